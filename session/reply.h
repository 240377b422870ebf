/*
 * reply: everything smtpd can say, in one table.
 *
 * "%h" stands for our host name, "%z" for max_size, "%i" for the queue id, "%m" for mechanisms of
 * AUTH, "%c" for what recipient_check or sender_check said. A row is: id, code, text, what it
 * counts as. The reply to EHLO has further lines, one for each extension (session/offers.c).
 */
#ifndef POSTERN_REPLY_H
#define POSTERN_REPLY_H

#include <stdbool.h>

enum reply_kind {
	REPLY_OK,    /* went well */
	REPLY_ERROR, /* counts against max_errors */
	REPLY_SPARE, /* refused, but no error: a client that pipelines could not know */
	REPLY_CLOSE, /* refused, and the connection ends after it */
	REPLY_LEAVE, /* the client wants to go */
};

#define REPLY_TABLE(X) \
	X(GREETING, "220", "%h ESMTP Postern " POSTERN_VERSION, OK) \
	X(HELO, "250", "%h", OK) \
	X(EHLO, "250", "%h", OK) \
	X(FINE, "250", "2.0.0 Ok", OK) \
	X(SENDER_OK, "250", "2.1.0 Ok", OK) \
	X(RCPT_OK, "250", "2.1.5 Ok", OK) \
	X(START_DATA, "354", "End data with <CR><LF>.<CR><LF>", OK) \
	X(QUEUED, "250", "2.0.0 Ok: queued as %i", OK) \
	X(VRFY, "252", "2.0.0 Cannot verify, send mail and see", OK) \
	X(HELP, "214", \
		"2.0.0 Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS AUTH HELP " \
		"QUIT", OK) \
	X(BYE, "221", "2.0.0 Bye", LEAVE) \
	X(START_TLS, "220", "2.0.0 Ready to start TLS", OK) \
	X(HELO_SYNTAX, "501", "Syntax: HELO hostname", ERROR) \
	X(EHLO_SYNTAX, "501", "Syntax: EHLO hostname", ERROR) \
	X(MAIL_SYNTAX, "501", "5.5.4 Syntax: MAIL FROM:<address>", ERROR) \
	X(RCPT_SYNTAX, "501", "5.5.4 Syntax: RCPT TO:<address>", ERROR) \
	X(DATA_SYNTAX, "501", "5.5.4 Syntax: DATA", ERROR) \
	X(RSET_SYNTAX, "501", "5.5.4 Syntax: RSET", ERROR) \
	X(QUIT_SYNTAX, "501", "5.5.4 Syntax: QUIT", ERROR) \
	X(VRFY_SYNTAX, "501", "5.5.4 Syntax: VRFY address", ERROR) \
	X(AUTH_OK, "235", "2.7.0 Authentication successful", OK) \
	X(AUTH_SYNTAX, "501", "5.5.4 Syntax: AUTH mechanism [response]", ERROR) \
	X(AUTH_AGAIN, "503", "5.5.1 Error: already authenticated", ERROR) \
	X(AUTH_LATE, "503", "5.5.1 Error: AUTH not allowed in a transaction", ERROR) \
	X(AUTH_UNKNOWN, "504", "5.5.4 Error: authentication mechanism not offered", ERROR) \
	X(AUTH_CLEAR, "538", "5.7.11 Error: encryption required for this mechanism", ERROR) \
	X(AUTH_GIVEN_UP, "501", "5.7.0 Authentication cancelled", ERROR) \
	X(AUTH_BAD_TEXT, "501", "5.5.2 Error: response cannot be decoded", ERROR) \
	X(AUTH_TOO_LONG, "500", "5.5.6 Error: authentication line too long", ERROR) \
	X(AUTH_REFUSED, "535", "5.7.8 Error: authentication failed", ERROR) \
	X(AUTH_TROUBLE, "454", "4.7.0 Error: temporary authentication failure", ERROR) \
	X(NEED_UTF8, "553", "5.6.7 Error: address needs SMTPUTF8", ERROR) \
	X(BDAT_SYNTAX, "501", "5.5.4 Syntax: BDAT octets [LAST]", CLOSE) \
	X(CHUNK_TOO_LARGE, "552", "5.3.4 Error: chunk too large", CLOSE) \
	X(NOT_AFTER_BDAT, "503", "5.5.1 Error: only BDAT may follow BDAT", ERROR) \
	X(BINARY_NEEDS_BDAT, "503", "5.5.1 Error: BINARYMIME needs BDAT", ERROR) \
	X(BARE_IN_CHUNK, "554", "5.6.0 Error: bare CR, LF or NUL in message", ERROR) \
	X(CHUNK_OK, "250", "2.0.0 Ok", OK) \
	X(NOT_SMTP, "421", "4.7.0 %h Error: this is not SMTP", CLOSE) \
	X(QUOTA, "421", "4.7.0 %h Error: too much from your network, try again later", CLOSE) \
	X(QUOTA_RCPT, "452", \
		"4.5.3 Error: too many recipients from your network, try again later", SPARE) \
	X(CHECK_REJECT, "550", "5.7.1 Error: %c", ERROR) \
	X(CHECK_DEFER, "451", "4.7.1 Error: %c", ERROR) \
	X(TOO_EARLY, "554", "5.5.1 Error: client does not wait for replies", CLOSE) \
	X(SENDER_DENIED, "553", "5.7.1 Error: not a sender of this user", ERROR) \
	X(TLS_SYNTAX, "501", "5.5.4 Syntax: STARTTLS", ERROR) \
	X(TLS_ACTIVE, "503", "5.5.1 Error: TLS is active", ERROR) \
	X(TLS_UNAVAILABLE, "454", "4.7.0 Error: TLS not available", ERROR) \
	X(TLS_EARLY, "503", "5.5.1 Error: nothing may follow STARTTLS", CLOSE) \
	X(NEED_TLS, "530", "5.7.0 Error: send STARTTLS first", ERROR) \
	X(BAD_PARAMETER, "501", "5.5.4 Error: bad parameter value", ERROR) \
	X(UNKNOWN_PARAMETER, "555", "5.5.4 Error: parameter not recognized", ERROR) \
	X(NEED_HELO, "503", "5.5.1 Error: send HELO/EHLO first", ERROR) \
	X(NESTED_MAIL, "503", "5.5.1 Error: nested MAIL command", ERROR) \
	X(NEED_MAIL, "503", "5.5.1 Error: need MAIL command", ERROR) \
	X(NEED_RCPT, "503", "5.5.1 Error: need RCPT command", ERROR) \
	X(NO_RELAY, "550", "5.7.1 Error: relaying denied", ERROR) \
	X(GUARDED, "550", "5.7.1 Error: no mail for this recipient leaves this host", ERROR) \
	X(NO_POSTMASTER, "550", "5.1.1 Error: nobody takes mail for the postmaster here", ERROR) \
	X(TOO_MANY_RCPT, "452", "4.5.3 Error: too many recipients", SPARE) \
	X(TOO_LARGE, "552", "5.3.4 Error: message too large", ERROR) \
	X(TOO_MANY_HOPS, "554", "5.4.6 Error: too many hops", ERROR) \
	X(NUL_IN_DATA, "554", "5.6.0 Error: NUL in message", ERROR) \
	X(BEGINS_FOLDED, "554", "5.6.0 Error: message begins inside a header field", ERROR) \
	X(BARE_IN_DATA, "521", "5.5.2 Error: bare CR or LF in message", CLOSE) \
	X(QUEUE_ERROR, "451", "4.3.0 Error: queue file write error", ERROR) \
	X(QUEUE_FULL, "452", "4.3.1 Error: insufficient system storage", ERROR) \
	X(UNKNOWN_COMMAND, "500", "5.5.2 Error: command not recognized", ERROR) \
	X(NOT_IMPLEMENTED, "502", "5.5.1 Error: command not implemented", ERROR) \
	X(LINE_TOO_LONG, "500", "5.5.2 Error: line too long", ERROR) \
	X(BAD_LINE, "500", "5.5.2 Error: bare CR, LF or NUL in command", ERROR) \
	X(FLOOD, "421", "4.7.0 %h Error: line without end", CLOSE) \
	X(TOO_MANY_ERRORS, "421", "4.7.0 %h Error: too many errors", CLOSE) \
	X(IDLE_COMMANDS, "421", "4.7.0 %h Error: too many commands without mail", CLOSE) \
	X(TIMEOUT, "421", "4.4.2 %h Error: timeout exceeded", CLOSE) \
	X(STOPPING, "421", "4.3.2 %h Error: service shutting down", CLOSE) \
	X(CROWDED, "421", "4.3.2 %h Error: too many connections, try again later", CLOSE) \
	X(SOURCE, "421", "4.7.0 %h Error: too many connections from your network at once", CLOSE) \
	X(NO_QUEUE, "421", "4.3.0 %h Error: queue not available", CLOSE) \
	X(NO_SESSION, "421", "4.3.0 %h Error: no process for this connection", CLOSE) \
	X(NO_CONFIG, "421", "4.3.5 Error: server configuration problem", CLOSE)

enum reply {
#define REPLY_ID(id, code, text, kind) R_##id,
	REPLY_TABLE(REPLY_ID)
#undef REPLY_ID
};

struct reply_row {
	const char *code, *text;
	enum reply_kind kind;
};

const struct reply_row *reply_row(enum reply r);

#endif
