/*
 * counters: what the processes of this host did since it was started.
 *
 * Numbers of 64 bits in the file of counts (counts.h), mapped by all who count and by all who read.
 * Whoever does something adds one; nobody waits for anybody, and while the file lives no number
 * gets smaller. Nothing in it is believed to be more than numbers: whatever stands there is added
 * to, or printed, and decides nothing (K13). A process that cannot map it does not count.
 *
 * The table is the only place that knows them: a row is the name in the code, the name for readers,
 * what is counted, and what that means. C is a counter; H a histogram of times, in ms, of which
 * bucket i counts those of up to 2^i ms that no bucket before it has, and the last one all longer
 * ones, and behind the buckets there is the sum. numbers.h prints them, and
 * docs/COUNTERS.md is for readers.
 *
 * Whoever changes the table raises COUNTERS_VERSION, which names the file: a process of another
 * version, that may still run, has a file of its own (tests/lint/test_counter_table.py).
 */
#ifndef POSTERN_COUNTERS_H
#define POSTERN_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#define COUNTERS_VERSION 4

enum {
	HISTOGRAM_BUCKETS = 31, /* the last but one: up to 2^29 ms, six days */
	HISTOGRAM_WORDS = HISTOGRAM_BUCKETS + 1,
};

/* Why mail did not go: an order that the rows of the table keep. */
enum counters_class {
	CLASS_DNS, CLASS_CONNECT, CLASS_TLS, CLASS_AUTH, CLASS_LOST, CLASS_HOST_4YZ,
	CLASS_HOST_5YZ, CLASS_OURS,
};

#define COUNTERS_TABLE(C, H) \
	/* smtpd */ \
	C(CONNECTIONS, "connections", "connections", \
		"clients that came, also those that were refused at once") \
	C(SESSIONS_CLEAR, "sessions_clear", "sessions", "ended, and had no TLS") \
	C(SESSIONS_TLS_1_3, "sessions_tls_1_3", "sessions", "handshakes that led to TLS 1.3") \
	C(SESSIONS_TLS_1_2, "sessions_tls_1_2", "sessions", "handshakes that led to TLS 1.2") \
	C(SESSIONS_TLS_OLD, "sessions_tls_old", "sessions", \
		"handshakes that led to TLS 1.0 or 1.1") \
	C(TLS_FAILED, "tls_failed", "sessions", \
		"handshakes that led to nothing, and those for which tls did not get ready") \
	C(AUTH_OK, "auth_ok", "attempts", "AUTH that proved who the client is") \
	C(AUTH_FAILED, "auth_failed", "attempts", "AUTH with a wrong name or password") \
	C(MESSAGES_ACCEPTED, "messages_accepted", "messages", "queued, and 250 was said") \
	C(RECIPIENTS_ACCEPTED, "recipients_accepted", "recipients", "of these messages") \
	C(OCTETS_ACCEPTED, "octets_accepted", "octets", \
		"of these messages, as the client sent them") \
	C(SESSIONS_LOST, "sessions_lost", "sessions", \
		"the client was gone in a message or before a reply could be sent") \
	C(PROXY_REFUSED, "proxy_refused", "connections", "of a proxy, without a PROXY header") \
	C(UNGREETED, "ungreeted", "connections", \
		"TLS from the start, closed without a word: too many of this network, or in all") \
	C(ERRORS, "errors", "replies", "that count against max_errors") \
	C(CHECKS_UNANSWERED, "checks_unanswered", "questions", \
		"that recipient_check or sender_check did not answer in order") \
	C(REFUSED_4YZ, "refused_4yz", "replies", "refusals for now, of all kinds below") \
	C(REFUSED_5YZ, "refused_5yz", "replies", "refusals for good, of all kinds below") \
	/* of session/reply.h all that refuse, in its order: the text is the reply */ \
	C(REFUSED_HELO_SYNTAX, "refused_helo_syntax", "replies", \
		"501 Syntax: HELO hostname") \
	C(REFUSED_EHLO_SYNTAX, "refused_ehlo_syntax", "replies", \
		"501 Syntax: EHLO hostname") \
	C(REFUSED_MAIL_SYNTAX, "refused_mail_syntax", "replies", \
		"501 5.5.4 Syntax: MAIL FROM:<address>") \
	C(REFUSED_RCPT_SYNTAX, "refused_rcpt_syntax", "replies", \
		"501 5.5.4 Syntax: RCPT TO:<address>") \
	C(REFUSED_DATA_SYNTAX, "refused_data_syntax", "replies", \
		"501 5.5.4 Syntax: DATA") \
	C(REFUSED_RSET_SYNTAX, "refused_rset_syntax", "replies", \
		"501 5.5.4 Syntax: RSET") \
	C(REFUSED_QUIT_SYNTAX, "refused_quit_syntax", "replies", \
		"501 5.5.4 Syntax: QUIT") \
	C(REFUSED_VRFY_SYNTAX, "refused_vrfy_syntax", "replies", \
		"501 5.5.4 Syntax: VRFY address") \
	C(REFUSED_AUTH_SYNTAX, "refused_auth_syntax", "replies", \
		"501 5.5.4 Syntax: AUTH mechanism [response]") \
	C(REFUSED_AUTH_AGAIN, "refused_auth_again", "replies", \
		"503 5.5.1 Error: already authenticated") \
	C(REFUSED_AUTH_LATE, "refused_auth_late", "replies", \
		"503 5.5.1 Error: AUTH not allowed in a transaction") \
	C(REFUSED_AUTH_UNKNOWN, "refused_auth_unknown", "replies", \
		"504 5.5.4 Error: authentication mechanism not offered") \
	C(REFUSED_AUTH_CLEAR, "refused_auth_clear", "replies", \
		"538 5.7.11 Error: encryption required for this mechanism") \
	C(REFUSED_AUTH_GIVEN_UP, "refused_auth_given_up", "replies", \
		"501 5.7.0 Authentication cancelled") \
	C(REFUSED_AUTH_BAD_TEXT, "refused_auth_bad_text", "replies", \
		"501 5.5.2 Error: response cannot be decoded") \
	C(REFUSED_AUTH_TOO_LONG, "refused_auth_too_long", "replies", \
		"500 5.5.6 Error: authentication line too long") \
	C(REFUSED_AUTH_REFUSED, "refused_auth_refused", "replies", \
		"535 5.7.8 Error: authentication failed") \
	C(REFUSED_AUTH_TROUBLE, "refused_auth_trouble", "replies", \
		"454 4.7.0 Error: temporary authentication failure") \
	C(REFUSED_NEED_UTF8, "refused_need_utf8", "replies", \
		"553 5.6.7 Error: address needs SMTPUTF8") \
	C(REFUSED_BDAT_SYNTAX, "refused_bdat_syntax", "replies", \
		"501 5.5.4 Syntax: BDAT octets [LAST]") \
	C(REFUSED_CHUNK_TOO_LARGE, "refused_chunk_too_large", "replies", \
		"552 5.3.4 Error: chunk too large") \
	C(REFUSED_NOT_AFTER_BDAT, "refused_not_after_bdat", "replies", \
		"503 5.5.1 Error: only BDAT may follow BDAT") \
	C(REFUSED_BINARY_NEEDS_BDAT, "refused_binary_needs_bdat", "replies", \
		"503 5.5.1 Error: BINARYMIME needs BDAT") \
	C(REFUSED_BARE_IN_CHUNK, "refused_bare_in_chunk", "replies", \
		"554 5.6.0 Error: bare CR, LF or NUL in message") \
	C(REFUSED_NOT_SMTP, "refused_not_smtp", "replies", \
		"421 4.7.0 %h Error: this is not SMTP") \
	C(REFUSED_QUOTA, "refused_quota", "replies", \
		"421 4.7.0 %h Error: too much from your network, try again later") \
	C(REFUSED_QUOTA_RCPT, "refused_quota_rcpt", "replies", \
		"452 4.5.3 Error: too many recipients from your network, try again later") \
	C(REFUSED_CHECK_REJECT, "refused_check_reject", "replies", \
		"550 5.7.1 Error: %c") \
	C(REFUSED_CHECK_DEFER, "refused_check_defer", "replies", \
		"451 4.7.1 Error: %c") \
	C(REFUSED_TOO_EARLY, "refused_too_early", "replies", \
		"554 5.5.1 Error: client does not wait for replies") \
	C(REFUSED_SENDER_DENIED, "refused_sender_denied", "replies", \
		"553 5.7.1 Error: not a sender of this user") \
	C(REFUSED_TLS_SYNTAX, "refused_tls_syntax", "replies", \
		"501 5.5.4 Syntax: STARTTLS") \
	C(REFUSED_TLS_ACTIVE, "refused_tls_active", "replies", \
		"503 5.5.1 Error: TLS is active") \
	C(REFUSED_TLS_UNAVAILABLE, "refused_tls_unavailable", "replies", \
		"454 4.7.0 Error: TLS not available") \
	C(REFUSED_TLS_EARLY, "refused_tls_early", "replies", \
		"503 5.5.1 Error: nothing may follow STARTTLS") \
	C(REFUSED_NEED_TLS, "refused_need_tls", "replies", \
		"530 5.7.0 Error: send STARTTLS first") \
	C(REFUSED_BAD_PARAMETER, "refused_bad_parameter", "replies", \
		"501 5.5.4 Error: bad parameter value") \
	C(REFUSED_UNKNOWN_PARAMETER, "refused_unknown_parameter", "replies", \
		"555 5.5.4 Error: parameter not recognized") \
	C(REFUSED_NEED_HELO, "refused_need_helo", "replies", \
		"503 5.5.1 Error: send HELO/EHLO first") \
	C(REFUSED_NESTED_MAIL, "refused_nested_mail", "replies", \
		"503 5.5.1 Error: nested MAIL command") \
	C(REFUSED_NEED_MAIL, "refused_need_mail", "replies", \
		"503 5.5.1 Error: need MAIL command") \
	C(REFUSED_NEED_RCPT, "refused_need_rcpt", "replies", \
		"503 5.5.1 Error: need RCPT command") \
	C(REFUSED_NO_RELAY, "refused_no_relay", "replies", \
		"550 5.7.1 Error: relaying denied") \
	C(REFUSED_GUARDED, "refused_guarded", "replies", \
		"550 5.7.1 Error: no mail for this recipient leaves this host") \
	C(REFUSED_NO_POSTMASTER, "refused_no_postmaster", "replies", \
		"550 5.1.1 Error: nobody takes mail for the postmaster here") \
	C(REFUSED_TOO_MANY_RCPT, "refused_too_many_rcpt", "replies", \
		"452 4.5.3 Error: too many recipients") \
	C(REFUSED_TOO_LARGE, "refused_too_large", "replies", \
		"552 5.3.4 Error: message too large") \
	C(REFUSED_TOO_MANY_HOPS, "refused_too_many_hops", "replies", \
		"554 5.4.6 Error: too many hops") \
	C(REFUSED_NUL_IN_DATA, "refused_nul_in_data", "replies", \
		"554 5.6.0 Error: NUL in message") \
	C(REFUSED_BEGINS_FOLDED, "refused_begins_folded", "replies", \
		"554 5.6.0 Error: message begins inside a header field") \
	C(REFUSED_BARE_IN_DATA, "refused_bare_in_data", "replies", \
		"521 5.5.2 Error: bare CR or LF in message") \
	C(REFUSED_QUEUE_ERROR, "refused_queue_error", "replies", \
		"451 4.3.0 Error: queue file write error") \
	C(REFUSED_QUEUE_FULL, "refused_queue_full", "replies", \
		"452 4.3.1 Error: insufficient system storage") \
	C(REFUSED_UNKNOWN_COMMAND, "refused_unknown_command", "replies", \
		"500 5.5.2 Error: command not recognized") \
	C(REFUSED_NOT_IMPLEMENTED, "refused_not_implemented", "replies", \
		"502 5.5.1 Error: command not implemented") \
	C(REFUSED_LINE_TOO_LONG, "refused_line_too_long", "replies", \
		"500 5.5.2 Error: line too long") \
	C(REFUSED_BAD_LINE, "refused_bad_line", "replies", \
		"500 5.5.2 Error: bare CR, LF or NUL in command") \
	C(REFUSED_FLOOD, "refused_flood", "replies", \
		"421 4.7.0 %h Error: line without end") \
	C(REFUSED_TOO_MANY_ERRORS, "refused_too_many_errors", "replies", \
		"421 4.7.0 %h Error: too many errors") \
	C(REFUSED_IDLE_COMMANDS, "refused_idle_commands", "replies", \
		"421 4.7.0 %h Error: too many commands without mail") \
	C(REFUSED_TIMEOUT, "refused_timeout", "replies", \
		"421 4.4.2 %h Error: timeout exceeded") \
	C(REFUSED_STOPPING, "refused_stopping", "replies", \
		"421 4.3.2 %h Error: service shutting down") \
	C(REFUSED_CROWDED, "refused_crowded", "replies", \
		"421 4.3.2 %h Error: too many connections, try again later") \
	C(REFUSED_SOURCE, "refused_source", "replies", \
		"421 4.7.0 %h Error: too many connections from your network at once") \
	C(REFUSED_NO_QUEUE, "refused_no_queue", "replies", \
		"421 4.3.0 %h Error: queue not available") \
	C(REFUSED_NO_SESSION, "refused_no_session", "replies", \
		"421 4.3.0 %h Error: no process for this connection") \
	C(REFUSED_NO_CONFIG, "refused_no_config", "replies", \
		"421 4.3.5 Error: server configuration problem") \
	H(SESSION_TIME, "session_time", "ms", "from the first wait for the client to its end") \
	/* relay */ \
	C(RELAYS, "relays", "processes", "that began to deliver") \
	C(HOSTS_CONNECTED, "hosts_connected", "connections", "to other hosts, ready for mail") \
	C(HOSTS_CONNECTED_TLS, "hosts_connected_tls", "connections", "of these, with TLS") \
	C(LANES_DEFERRED_DNS, "lanes_deferred_dns", "attempts", \
		"that reached no host, and the mail of a lane waits: its hosts are not known") \
	C(LANES_DEFERRED_CONNECT, "lanes_deferred_connect", "attempts", \
		"none could be connected to, or greeted") \
	C(LANES_DEFERRED_TLS, "lanes_deferred_tls", "attempts", \
		"TLS did not come about as the policy asks") \
	C(LANES_DEFERRED_AUTH, "lanes_deferred_auth", "attempts", \
		"our login was refused, or cannot be read") \
	C(LANES_DEFERRED_LOST, "lanes_deferred_lost", "attempts", "the conversation broke off") \
	C(LANES_DEFERRED_HOST_4YZ, "lanes_deferred_host_4yz", "attempts", \
		"the host refused us with 4yz") \
	C(LANES_DEFERRED_HOST_5YZ, "lanes_deferred_host_5yz", "attempts", \
		"the host refused us with 5yz") \
	C(LANES_DEFERRED_OURS, "lanes_deferred_ours", "attempts", \
		"this host is cut off, or out of memory") \
	C(DELIVERED, "delivered", "recipients", "that a host took") \
	C(DEFERRED_DNS, "deferred_dns", "recipients", \
		"that wait after an attempt: the hosts are not known") \
	C(DEFERRED_CONNECT, "deferred_connect", "recipients", \
		"no host could be connected to, or greeted") \
	C(DEFERRED_TLS, "deferred_tls", "recipients", "TLS did not come about as the policy asks") \
	C(DEFERRED_AUTH, "deferred_auth", "recipients", \
		"our login was refused, or cannot be read") \
	C(DEFERRED_LOST, "deferred_lost", "recipients", "the conversation broke off") \
	C(DEFERRED_HOST_4YZ, "deferred_host_4yz", "recipients", "the host said 4yz") \
	C(DEFERRED_HOST_5YZ, "deferred_host_5yz", "recipients", \
		"the host said 5yz, and it is not the mail that it refuses") \
	C(DEFERRED_OURS, "deferred_ours", "recipients", \
		"not sent: the host lacks what the mail needs, or our disk failed") \
	C(BOUNCED_DNS, "bounced_dns", "recipients", \
		"failed: there is no such domain, or it takes no mail") \
	C(BOUNCED_HOST_5YZ, "bounced_host_5yz", "recipients", "failed: the host said 5yz") \
	C(BOUNCED_OURS, "bounced_ours", "recipients", \
		"failed: not sent, the host lacks what the mail needs") \
	C(BOUNCED_EXPIRED, "bounced_expired", "recipients", \
		"failed: older than expire, or than its sender wished") \
	C(MESSAGES_DONE, "messages_done", "messages", \
		"that left a lane, all of whose recipients are settled") \
	C(MESSAGES_DEFERRED, "messages_deferred", "messages", \
		"of which somebody waits after an attempt") \
	C(DUPLICATES, "duplicates", "messages", \
		"sent whole and lost before the answer: perhaps sent twice") \
	C(REPORTS, "reports", "messages", \
		"reports that were queued for a sender or double_bounce") \
	C(REPORTS_DROPPED, "reports_dropped", "messages", "failures that nobody is told of") \
	C(SET_ASIDE, "set_aside", "messages", "moved to aside/: files that are no whole message") \
	H(QUEUE_TIME, "queue_time", "ms", "from MAIL until a recipient was delivered or failed") \
	H(DELIVERY_TIME, "delivery_time", "ms", \
		"from a message's first command to a host until that has answered all of it") \
	/* both */ \
	C(SPOOL_FAILURES, "spool_failures", "failures", "of the spool to be written or read")

enum counter {
#define COUNTERS_C(id, name, unit, help) COUNTER_##id,
#define COUNTERS_H(id, name, unit, help) COUNTER_##id, \
	COUNTER_##id##_END = COUNTER_##id + HISTOGRAM_WORDS - 1,
	COUNTERS_TABLE(COUNTERS_C, COUNTERS_H)
#undef COUNTERS_C
#undef COUNTERS_H
	COUNTERS
};

/* What stands at the beginning of the file. */
struct counters {
	_Atomic uint64_t mark; /* COUNTERS_MARK; 0: new */
	_Atomic uint64_t value[COUNTERS];
};

/* "Post", the version, and how many there are: of this octet order, too. */
#define COUNTERS_MARK \
	(UINT64_C(0x506f7374) << 32 | (uint64_t)COUNTERS_VERSION << 16 | (uint64_t)COUNTERS)

enum { COUNTERS_SIZE = 4096 }; /* octets that they have in the file: a page, so a fault */

_Static_assert(sizeof(struct counters) <= COUNTERS_SIZE, "the counters have no room");

/*
 * This process and its children are to count there: the mapped beginning of the file, or NULL.
 * Nothing of it is touched.
 */
void counters_begin(struct counters *at);

/*
 * Before anything is counted, and before the first thread: is what stands there of this version, or
 * new? If not, this process does not count. Of several processes, the one that counts is to ask: it
 * is by this that the page becomes its own, and another would pay for nothing.
 */
bool counters_fit(void);

/* May be called by any thread, and by a process that does not count. */
void counters_add(enum counter c, uint64_t n);
static inline void
counters_one(enum counter c)
{
	counters_add(c, 1);
}

/* A time, ms; less than 0 is 0. `h` is a histogram. */
void counters_time(enum counter h, int64_t ms);

/* Why a lane waits, a recipient waits, or has failed. */
enum counter counters_of_lane(enum counters_class why);
enum counter counters_of_deferred(enum counters_class why);
enum counter counters_of_bounced(enum counters_class why);

#endif
