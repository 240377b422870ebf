#include "session/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "session/arguments.h"
#include "session/proxy.h"
#include "process/sandbox.h"

int64_t
session_deadline(const struct session *s, int64_t seconds)
{
	return clock_earlier(clock_deadline(seconds), s->end);
}

struct log_fields
session_event(const struct session *s, const char *name)
{
	const struct transaction *t = &s->transaction;
	return (struct log_fields){ .event = name, .queue_id = t->open ? t->draft.id : NULL,
		.sender = t->open ? t->sender : NULL };
}

void
session_forget(struct session *s)
{
	bool loopback = !s->peer.local && netaddr_is_loopback(&s->peer.addr);
	transaction_drop(&s->transaction);
	s->helo[0] = s->user[0] = s->senders[0] = '\0';
	s->rights = (struct rights){ .any_domain = !s->proxy && (s->peer.local || loopback ||
		netlist_contains(&s->conf.relay_nets, &s->peer.addr)) };
}

void
session_lost(struct session *s, const char *where)
{
	struct log_fields f = session_event(s, "lost");
	log_event(LOG_NOTICE, &f, "lost connection from %s %s", s->peer.text, where);
}

/* What a client's network may do; 0: anything. */
static int64_t
limit_of(const struct conf *c, enum quota_kind kind)
{
	switch (kind) {
	case QUOTA_CONNECTIONS:
		return c->limit_connections;
	case QUOTA_MESSAGES:
		return c->limit_messages;
	case QUOTA_RECIPIENTS:
		return c->limit_recipients;
	case QUOTA_ERRORS:
		return c->limit_errors;
	default:
		return c->limit_auth_failures;
	}
}

void
session_count(struct session *s, enum quota_kind kind, int64_t n)
{
	(void)quota_add(&s->quota, kind, n);
}

bool
session_may(const struct session *s, enum quota_kind kind, int64_t n)
{
	int64_t limit = limit_of(&s->conf, kind);
	return limit == 0 || s->quota.window == 0 || quota_count(&s->quota, kind) + n <= limit;
}

/* ---- what the commands do --------------------------------------------------------------- */

static enum reply
do_hello(struct session *s, struct span arg, bool extended)
{
	if (arg.n >= sizeof(s->helo) || !address_is_helo(arg))
		return extended ? R_EHLO_SYNTAX : R_HELO_SYNTAX;
	transaction_drop(&s->transaction);
	snprintf(s->helo, sizeof(s->helo), "%.*s", (int)arg.n, arg.p);
	s->extended = extended;
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

/* "recipient <address>" and who asks, for a program of the site's. */
static enum reply
check_by(struct session *s, enum request_kind kind, const char *what, struct span address)
{
	auto_buf question = buf_new(LIMIT_COMMAND);
	buf_printf(&question, "%s %.*s\nclient %s\n", what, (int)address.n,
		address.n > 0 ? address.p : "", s->peer.text);
	if (kind == REQUEST_CHECK_RECIPIENT)
		buf_printf(&question, "sender %s\n", s->transaction.sender);
	switch (helper_check(s->monitor, kind, buf_span(&question),
		session_deadline(s, s->conf.timeout_check), s->stop, s->check_text)) {
	case CHECK_OK:
		return R_FINE;
	case CHECK_REJECT:
		return R_CHECK_REJECT;
	case CHECK_STOPPED:
		return R_STOPPING;
	default:
		return R_CHECK_DEFER;
	}
}

static enum reply
approve_sender(void *ctx, struct span address)
{
	struct session *s = ctx;
	if (!session_may(s, QUOTA_MESSAGES, 1))
		return R_QUOTA;
	return s->conf.sender_check != NULL
		? check_by(s, REQUEST_CHECK_SENDER, "sender", address) : R_FINE;
}

static enum reply
approve_recipient(void *ctx, struct span address)
{
	struct session *s = ctx;
	if (!session_may(s, QUOTA_RECIPIENTS, s->transaction.draft.recipients + 1))
		return R_QUOTA;
	return s->conf.recipient_check != NULL
		? check_by(s, REQUEST_CHECK_RECIPIENT, "recipient", address) : R_FINE;
}

static enum reply
do_mail(struct session *s, struct span arg)
{
	s->rights.offered = offers_parameters(s);
	return transaction_mail(&s->transaction, &s->spool, &s->conf, &s->rights, arg,
		approve_sender, s);
}

/* All recipients of a message may come in one group, before the first reply is read (RFC 2920): one
 * too many is no error, but brings no message nearer. */
static enum reply
do_rcpt(struct session *s, struct span arg)
{
	enum reply r = transaction_rcpt(&s->transaction, &s->conf, &s->rights, arg,
		approve_recipient, s);
	return r == R_TOO_MANY_RCPT && ++s->idle > LIMIT_IDLE_COMMANDS ? R_IDLE_COMMANDS : r;
}

static enum reply
do_data(struct session *s, struct span arg)
{
	(void)arg;
	return transaction_ready(&s->transaction, false);
}

static enum reply
do_rset(struct session *s, struct span arg)
{
	(void)arg;
	transaction_drop(&s->transaction);
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
	return command_vrfy(arg) ? R_VRFY : R_VRFY_SYNTAX;
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

/* ---- commands --------------------------------------------------------------------------- */

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
	{ "BDAT", do_bdat, REQUIRED, R_BDAT_SYNTAX, CLEAR }, /* its octets are no commands, whatever is wrong */
	{ "EHLO", do_ehlo, REQUIRED, R_EHLO_SYNTAX, CLEAR | IDLE },
	{ "HELO", do_helo, REQUIRED, R_HELO_SYNTAX, CLEAR | IDLE },
	{ "STARTTLS", do_starttls, NONE, R_TLS_SYNTAX, CLEAR | IDLE },
	{ "AUTH", do_auth, REQUIRED, R_AUTH_SYNTAX, NEEDS_HELO },
	{ "RSET", do_rset, NONE, R_RSET_SYNTAX, CLEAR | IDLE },
	{ "NOOP", do_noop, OPTIONAL, R_FINE, CLEAR | IDLE },
	{ "VRFY", do_vrfy, REQUIRED, R_VRFY_SYNTAX, IDLE },
	{ "EXPN", do_expn, OPTIONAL, R_FINE, IDLE },
	{ "HELP", do_help, OPTIONAL, R_FINE, CLEAR | IDLE },
	{ "QUIT", do_quit, NONE, R_QUIT_SYNTAX, CLEAR },
};

static struct span
verb_of(struct span line)
{
	size_t n = 0;
	while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
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

/* A browser that was made to talk to us sends what it likes behind these (B14). */
static bool
is_http(struct span verb)
{
	static const char *const verbs[] = { "GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT" };
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (span_ieq(verb, span_of(verbs[i])))
			return true;
	return false;
}

static enum reply
run_command(struct session *s, struct span line)
{
	struct span verb = verb_of(line);
	const struct command *c = find_command(verb);
	struct span arg = span_trim(span_skip(line, verb.n));
	if (c == NULL)
		return is_http(verb) ? R_NOT_SMTP : R_UNKNOWN_COMMAND;
	if ((c->rules & IDLE) != 0 && ++s->idle > LIMIT_IDLE_COMMANDS)
		return R_IDLE_COMMANDS;
	if ((c->argument == REQUIRED && arg.n == 0) || (c->argument == NONE && arg.n > 0))
		return c->syntax;
	if ((c->rules & CLEAR) == 0 && s->conf.tls == TLS_REQUIRED && !s->secure && !s->peer.local)
		return R_NEED_TLS;
	if ((c->rules & NEEDS_HELO) != 0 && s->helo[0] == '\0')
		return R_NEED_HELO;
	return c->run(s, arg);
}

/* A reply for what stream_line returned; the command has been run if there was one. */
static enum reply
answer(struct session *s, enum stream_result res, struct span line)
{
	switch (res) {
	case STREAM_OK:
		return run_command(s, line);
	case STREAM_TOO_LONG:
		return R_LINE_TOO_LONG;
	case STREAM_BAD: /* it may be that a chunk follows */
		return span_ieq(verb_of(line), span_of("BDAT")) ? R_BDAT_SYNTAX : R_BAD_LINE;
	default:
		return say_to_silence(res);
	}
}

/* What may stand in the log of a command line: not what AUTH carries, nor what a client says that did
 * not wait until AUTH was refused; nor what BDAT reads into the place of the line. */
static struct span
loggable(struct session *s, struct span line)
{
	struct span auth = span_of("AUTH"), bdat = span_of("BDAT");
	s->hush = span_istarts(span_trim(line), auth) || (s->hush && find_command(verb_of(line)) == NULL);
	return s->hush ? auth : span_istarts(line, bdat) ? bdat : line;
}

/* ---- the loop --------------------------------------------------------------------------- */

/* A stranger who speaks before it was greeted does not listen (A15). A script in a pipe, or one of a
 * client that we trust, may. */
static bool
spoke_early(const struct session *s)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	return !s->rights.any_domain && (stream_pending(&s->stream) ||
		(ppoll(&p, 1, &(struct timespec){ 0 }, NULL) > 0 && (p.revents & POLLHUP) == 0));
}

/* What a proxy in front of us says about the client (proxy.h). False: nothing that can be believed. */
static bool
learn_from_proxy(struct session *s)
{
	char header[PROXY_MAX];
	struct netaddr client;
	enum proxy_result r = PROXY_MORE;
	int64_t until = session_deadline(s, s->conf.timeout_tls);
	for (size_t n = 0, used; r == PROXY_MORE && n < sizeof(header);) {
		if (stream_octet(&s->stream, until, &header[n]) != STREAM_OK)
			break;
		n++;
		r = proxy_parse((struct span){ header, n }, &used, &client);
	}
	if (r == PROXY_CLIENT)
		peer_become(&s->peer, &client);
	s->proxy = r == PROXY_ITSELF;
	if (r != PROXY_CLIENT && r != PROXY_ITSELF)
		session_lost(s, "that is a proxy and did not say for whom it speaks");
	return r == PROXY_CLIENT || r == PROXY_ITSELF;
}

/* Who the client is and what it may do. False: the connection ends. */
static bool
meet_client(struct session *s)
{
	if (!s->peer.local && netlist_contains(&s->conf.proxy_nets, &s->peer.addr) &&
		!learn_from_proxy(s))
		return false;
	session_forget(s);
	if (!s->peer.local && !netaddr_is_loopback(&s->peer.addr))
		quota_client(&s->quota, &s->peer.addr, s->conf.limit_window);
	struct log_fields f = { .event = "connected" };
	log_event(LOG_INFO, &f, "connection from %s", s->peer.text);
	session_count(s, QUOTA_CONNECTIONS, 1);
	if (s->conf.tls != TLS_IMPLICIT || !s->peer.socket)
		return true;
	if (session_may(s, QUOTA_CONNECTIONS, 0))
		return secure_start(s);
	f.event = "refused"; /* not a word: what would be saved is the handshake */
	log_event(LOG_NOTICE, &f, "refused %s: too many connections from its network", s->peer.text);
	return false;
}

static enum reply
greeting(struct session *s)
{
	if (!session_may(s, QUOTA_CONNECTIONS, 0))
		return R_QUOTA;
	return spoke_early(s) ? R_TOO_EARLY : R_GREETING;
}

static void
session_loop(struct session *s)
{
	bool more = meet_client(s) && say_and_count(s, greeting(s), span_of("greeting"));
	while (more) {
		struct span line = { 0 };
		enum stream_result res = stream_line(&s->stream, LIMIT_COMMAND, LIMIT_COMMAND_JUNK,
			session_deadline(s, s->conf.timeout_command), &line);
		if (res == STREAM_EOF || res == STREAM_BROKEN) {
			if (s->transaction.open || s->stream.broken)
				session_lost(s, "in a transaction; it was dropped");
			break;
		}
		struct span shown = loggable(s, line);
		enum reply r = answer(s, res, line);
		more = say_and_count(s, r, shown);
		if (more && r == R_START_DATA)
			more = receive_message(s);
		else if (more && r == R_START_TLS)
			more = secure_start(s);
	}
	transaction_drop(&s->transaction);
	(void)stream_flush(&s->stream, session_deadline(s, s->conf.timeout_command));
	if (s->linger)
		stream_linger(&s->stream, LIMIT_LINGER, clock_deadline(LIMIT_LINGER_TIME));
}

int
session_main(struct session *s)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* no session without its monitor */
	s->end = clock_deadline(s->conf.timeout_session);
	stream_init(&s->stream, STDIN_FILENO, STDOUT_FILENO, !s->peer.socket, s->stop);
	int r = sandbox_enter(SANDBOX_SESSION, s->spool.root);
	struct log_fields f = { .event = "sandbox" };
	if (r == -ENOSYS) {
		log_event(LOG_WARNING, &f, "this kernel has no Landlock; going on without");
	} else if (r < 0) {
		log_event(LOG_ERR, &f, "cannot lock myself in: %s", strerror(-r));
		say_reply(s, R_NO_QUEUE);
		(void)stream_flush(&s->stream, session_deadline(s, s->conf.timeout_command));
		return EX_TEMPFAIL;
	}
	session_loop(s);
	return EXIT_SUCCESS;
}
