#include "session/commands.h"

#include <stdio.h>

#include "lib/cleanup.h"
#include "mail/match.h"
#include "session/arguments.h"
#include "session/offers.h"
#include "session/receive.h"
#include "session/say.h"
#include "session/secure.h"

/* ---- what the commands do --------------------------------------------------------------- */

static enum reply
do_hello(struct session *s, struct span arg, bool extended)
{
	if (!arguments_hello(arg, offers_parameters(s)))
		return extended ? R_EHLO_SYNTAX : R_HELO_SYNTAX;
	session_drop(s);
	snprintf(s->client.said.helo, sizeof(s->client.said.helo), "%.*s", (int)arg.n, arg.p);
	s->client.said.extended = extended;
	return extended ? R_EHLO : R_HELO;
}

static enum reply
do_helo(struct session *s, struct span arg)
{
	return do_hello(s, arg, false);
}

static enum reply
do_ehlo(struct session *s, struct span arg)
{
	return do_hello(s, arg, true);
}

/* All mail is put off by a program that cannot be run: not without a word. */
static void
tell_unanswered(const struct session *s, const char *what)
{
	struct log_fields f = session_event(s, "check");
	counters_one(COUNTER_CHECKS_UNANSWERED);
	log_event(LOG_WARNING, &f, "%s_check: it cannot be run, took too long, or said something "
		"else than OK, REJECT or DEFER; client %s", what, s->client.peer.text);
}

/*
 * Asks a program of the site: "recipient" or "sender" and the address, then who the client is. Both
 * hear of the sender what the client said.
 */
static enum reply
check_by(struct session *s, enum request_kind kind, const char *what, struct span address)
{
	auto_buf question = buf_new(LIMIT_COMMAND);
	buf_printf(&question, "%s %.*s\nclient %s\n", what, (int)address.n,
		address.n > 0 ? address.p : "", s->client.peer.text);
	if (kind == REQUEST_CHECK_RECIPIENT)
		buf_printf(&question, "sender %s\n", s->client.transaction.given);
	switch (helper_check(s->monitor, kind, buf_span(&question),
		session_deadline(s, s->conf.receive.timeout_check), s->stop,
		s->client.check_text)) {
	case CHECK_OK:
		return R_FINE;
	case CHECK_REJECT:
		return R_CHECK_REJECT;
	case CHECK_STOPPED:
		return R_STOPPING;
	default:
		if (s->client.check_text[0] == '\0')
			tell_unanswered(s, what);
		return R_CHECK_DEFER;
	}
}

/* A user of this host: his number, and his name where there is a list with names. */
static struct match_user
user_of(const struct session *s)
{
	struct match_user user = { .uid = s->client.peer.uid, .nobody = s->client.peer.nobody };
	user.domains[0] = span_of(s->conf.who.hostname);
	if (s->people != NULL) {
		user.name = people_name(s->people, user.uid);
		user.domains[1] = span_of(s->people->mailname);
	}
	return user;
}

static bool
may_send_as(const struct session *s, struct span address)
{
	struct match_user user = user_of(s);
	return !peer_is_bound(&s->client.peer, &s->conf.receive) ||
		match_local_sender(s->conf.receive.local_senders, &user, address);
}

static bool
is_bound(const struct session *s)
{
	struct match_user user = user_of(s);
	return peer_is_bound(&s->client.peer, &s->conf.receive) &&
		!match_local_any(s->conf.receive.local_senders, &user);
}

static enum reply
approve_sender(void *ctx, struct span address)
{
	struct session *s = ctx;
	if (!may_send_as(s, address))
		return R_SENDER_DENIED;
	return s->conf.receive.sender_check != NULL
		? check_by(s, REQUEST_CHECK_SENDER, "sender", address) : R_FINE;
}

/* What is asked about a recipient, by whom, and whether it counts already. */
struct asked {
	struct session *s;
	bool taken;
};

static enum reply
approve_recipient(void *ctx, struct span address)
{
	struct asked *asked = ctx;
	struct session *s = asked->s;
	asked->taken = session_take(s, QUOTA_RECIPIENTS);
	if (!asked->taken)
		return R_QUOTA_RCPT; /* without asking a program of the site */
	return s->conf.receive.recipient_check != NULL
		? check_by(s, REQUEST_CHECK_RECIPIENT, "recipient", address) : R_FINE;
}

static enum reply
do_mail(struct session *s, struct span arg)
{
	s->client.said.rights.offered = offers_parameters(s);
	s->client.said.rights.bound = is_bound(s);
	enum reply r = transaction_mail(&s->client.transaction, &s->spool, &s->conf,
		&s->client.said.rights, arg, approve_sender, s);
	return r == R_SENDER_OK && !session_take(s, QUOTA_MESSAGES) ? R_QUOTA : r;
}

/*
 * All recipients of a message may come in one group, before the first reply is read (RFC 2920): one
 * too many, for the message or for the network, is no error, but brings no message nearer. Those
 * before it stay, or whoever sends so many at once would never be rid of them.
 */
static enum reply
do_rcpt(struct session *s, struct span arg)
{
	struct asked asked = { .s = s };
	enum reply r = transaction_rcpt(&s->client.transaction, &s->conf, &s->client.said.rights,
		arg, approve_recipient, &asked);
	if (r != R_RCPT_OK && asked.taken)
		session_give_one_back(s, QUOTA_RECIPIENTS);
	bool many = r == R_TOO_MANY_RCPT || r == R_QUOTA_RCPT;
	return many && ++s->client.idle > LIMIT_IDLE_COMMANDS ? R_IDLE_COMMANDS : r;
}

static enum reply
do_data(struct session *s, struct span arg)
{
	(void)arg;
	return transaction_ready(&s->client.transaction, false);
}

static enum reply
do_rset(struct session *s, struct span arg)
{
	(void)arg;
	session_drop(s);
	return R_FINE;
}

static enum reply
do_noop(struct session *s, struct span arg)
{
	(void)s;
	(void)arg;
	return R_FINE;
}

static enum reply
do_vrfy(struct session *s, struct span arg)
{
	(void)s;
	return arguments_vrfy(arg) ? R_VRFY : R_VRFY_SYNTAX;
}

static enum reply
do_help(struct session *s, struct span arg)
{
	(void)s;
	(void)arg;
	return R_HELP;
}

static enum reply
do_expn(struct session *s, struct span arg)
{
	(void)s;
	(void)arg;
	return R_NOT_IMPLEMENTED;
}

static enum reply
do_quit(struct session *s, struct span arg)
{
	(void)s;
	(void)arg;
	return R_BYE;
}

/* ---- the table -------------------------------------------------------------------------- */

enum argument { NONE, OPTIONAL, REQUIRED };
enum {
	NEEDS_HELO = 1, /* not before HELO or EHLO */
	CLEAR = 2,      /* also without TLS where TLS is required (RFC 3207 section 4) */
	IDLE = 4,       /* does not bring a message nearer */
};

static const struct command {
	const char *verb;
	enum reply (*run)(struct session *, struct span arg);
	enum argument argument;
	enum reply syntax; /* when the argument is not as it must be */
	unsigned rules;
} commands[] = {
	{ "MAIL", do_mail, REQUIRED, R_MAIL_SYNTAX, NEEDS_HELO },
	{ "RCPT", do_rcpt, REQUIRED, R_RCPT_SYNTAX, 0 },
	{ "DATA", do_data, NONE, R_DATA_SYNTAX, 0 },
	/* Its octets are no commands, whatever is wrong. */
	{ "BDAT", receive_bdat, REQUIRED, R_BDAT_SYNTAX, CLEAR },
	{ "EHLO", do_ehlo, REQUIRED, R_EHLO_SYNTAX, CLEAR | IDLE },
	{ "HELO", do_helo, REQUIRED, R_HELO_SYNTAX, CLEAR | IDLE },
	{ "STARTTLS", secure_starttls, NONE, R_TLS_SYNTAX, CLEAR | IDLE },
	{ "AUTH", secure_auth, REQUIRED, R_AUTH_SYNTAX, NEEDS_HELO },
	{ "RSET", do_rset, NONE, R_RSET_SYNTAX, CLEAR | IDLE },
	{ "NOOP", do_noop, OPTIONAL, R_FINE, CLEAR | IDLE },
	{ "VRFY", do_vrfy, REQUIRED, R_VRFY_SYNTAX, IDLE },
	{ "EXPN", do_expn, OPTIONAL, R_FINE, IDLE },
	{ "HELP", do_help, OPTIONAL, R_FINE, CLEAR | IDLE },
	{ "QUIT", do_quit, NONE, R_QUIT_SYNTAX, CLEAR },
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_letter(char c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static struct span
verb_of(struct span line)
{
	size_t n = 0;
	while (n < line.n && !is_blank(line.p[n]))
		n++;
	return (struct span){ line.p, n };
}

static const struct command *
find_command(struct span verb)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (span_ieq(verb, span_of(commands[i].verb)))
			return &commands[i];
	return NULL;
}

/* A browser that a web page made connect here sends lines of that page behind these (B14). */
static bool
is_http(struct span verb)
{
	static const char *const verbs[] = { "GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT",
		"DELETE", "TRACE", "PATCH", "PRI" }; /* RFC 9110, RFC 5789; RFC 9113 section 3.4 */
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (span_ieq(verb, span_of(verbs[i])))
			return true;
	return false;
}

/* The name of a field and its colon, "Host:". */
static bool
is_field(struct span verb)
{
	size_t n = 0;
	while (n < verb.n && (is_letter(verb.p[n]) || ascii_digit(verb.p[n]) || verb.p[n] == '-'))
		n++;
	return n > 0 && n < verb.n && verb.p[n] == ':';
}

/* "HTTP/1.1", "RTSP/1.0" and the like, behind something. */
static bool
ends_with_version(struct span line)
{
	static const size_t number = sizeof("/1.1") - 1;
	line = span_trim(line);
	if (line.n <= number)
		return false;
	const char *p = line.p + line.n - number;
	size_t letters = 0, most = line.n - number;
	while (letters < most && is_letter(p[-1 - (ptrdiff_t)letters]))
		letters++;
	return p[0] == '/' && ascii_digit(p[1]) && p[2] == '.' && ascii_digit(p[3]) &&
		letters > 0 && letters < most && is_blank(p[-1 - (ptrdiff_t)letters]);
}

/*
 * Is this, which is no command, another protocol: TLS, a request, a field of a header? A program
 * that was made to talk to us has lines of somebody else's choice behind it. A blank in front, or
 * nothing at all, is a careless client's; base64 behind an AUTH that was refused is one's that does
 * not wait.
 */
static bool
is_foreign(const struct session *s, struct span line)
{
	struct span verb = verb_of(line);
	if (is_http(verb))
		return true;
	if (s->client.hush || line.n == 0)
		return false;
	return (!is_letter(line.p[0]) && !is_blank(line.p[0])) ||
		is_field(verb) || ends_with_version(line);
}

static enum reply
run_command(struct session *s, struct span line)
{
	struct span verb = verb_of(line);
	const struct command *c = find_command(verb);
	struct span arg = span_trim(span_skip(line, verb.n));
	if (c == NULL)
		return is_foreign(s, line) ? R_NOT_SMTP : R_UNKNOWN_COMMAND;
	if ((c->rules & IDLE) != 0 && !session_count_idle(s))
		return R_IDLE_COMMANDS;
	if ((c->argument == REQUIRED && arg.n == 0) || (c->argument == NONE && arg.n > 0))
		return c->syntax;
	if ((c->rules & CLEAR) == 0 && offers_tls_first(s))
		return R_NEED_TLS;
	if ((c->rules & NEEDS_HELO) != 0 && s->client.said.helo[0] == '\0')
		return R_NEED_HELO;
	return c->run(s, arg);
}

/* It may be that a chunk follows. */
static enum reply
answer_bad_line(const struct session *s, struct span line)
{
	struct span verb = verb_of(line);
	if (span_ieq(verb, span_of("BDAT")))
		return R_BDAT_SYNTAX;
	return find_command(verb) == NULL && is_foreign(s, line) ? R_NOT_SMTP : R_BAD_LINE;
}

enum reply
commands_answer(struct session *s, enum stream_result res, struct span line)
{
	switch (res) {
	case STREAM_OK:
		return run_command(s, line);
	case STREAM_TOO_LONG:
		return is_foreign(s, (struct span){ &s->client.stream.first, 1 })
			? R_NOT_SMTP : R_LINE_TOO_LONG;
	case STREAM_BAD:
		return answer_bad_line(s, line);
	default:
		return say_to_silence(res);
	}
}

void
commands_hush(struct session *s, struct span line)
{
	s->client.hush = span_istarts(span_trim(line), span_of("AUTH")) ||
			 (s->client.hush && find_command(verb_of(line)) == NULL);
}

struct span
commands_loggable(const struct session *s, struct span line)
{
	struct span bdat = span_of("BDAT");
	return s->client.hush ? span_of("AUTH") : span_istarts(line, bdat) ? bdat : line;
}
