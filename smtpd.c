/*
 * smtpd: speaks SMTP with one client on standard input and output, and queues what it sends.
 *
 * systemd, inetd, xinetd or a shell starts it for each connection. It becomes two processes:
 *
 *	monitor   the process that was started. It lets go of the connection before the first byte
 *	          is read, and waits for requests (request.h): "lane L has new mail", for which it
 *	          starts a relay if a slot is free; "speak TLS". It never sees a byte of the client.
 *	session   its child. Locked in (sandbox.h), it talks to the client and writes the spool.
 *
 * "250 queued" is sent only after draft_commit said that the message is on disk. Everything else
 * may fail at any moment: a message is in the spool whole, or not at all. The protocol is one table
 * (commands, below), its texts another (lib/reply.h).
 *
 * Exit status: 0; 75 the spool cannot be used; 78 the configuration is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/command.h"
#include "lib/lane.h"
#include "lib/helper.h"
#include "lib/launch.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/options.h"
#include "lib/peer.h"
#include "lib/reply.h"
#include "lib/request.h"
#include "lib/sandbox.h"
#include "lib/spool.h"
#include "lib/stdfds.h"
#include "lib/stream.h"
#include "lib/transaction.h"
#include "lib/users.h"

enum { HELO_SIZE = LIMIT_DOMAIN + 1, REFUSED_TEXT = LIMIT_LOG_TEXT };

static struct session {
	struct conf conf;
	struct spool spool;
	struct peer peer;
	struct rights rights;
	int monitor;  /* requests go there */
	bool secure;  /* TLS is spoken; then: */
	struct tlsinfo tls;
	char user[LIMIT_ADDRESS + 1]; /* who authenticated; empty: nobody */
	char senders[USERS_SECRET];   /* addresses the user may send from */
	int auth_failures;

	int64_t end; /* of the session's time (clock.h) */
	struct stream stream;
	char helo[HELO_SIZE]; /* empty: not said yet */
	bool extended;        /* said with EHLO */
	long errors, idle;    /* refused commands; commands since the last message */
	int64_t data_start;   /* when the data of a message began (clock.h) */

	struct transaction transaction;
} session;

static volatile int stop_requested;

static void
on_stop(int sig)
{
	(void)sig;
	stop_requested = 1;
}

/* ---- replies ---------------------------------------------------------------------------- */

/* `seconds` from now, or the end of the session's time if that comes first. */
static int64_t
deadline(const struct session *s, int64_t seconds)
{
	return clock_earlier(clock_deadline(seconds), s->end);
}

static void
put(struct session *s, const char *p, size_t n)
{
	stream_put(&s->stream, (struct span){ p, n }, deadline(s, s->conf.timeout_command));
}

static void
put_text(struct session *s, const char *text)
{
	put(s, text, strlen(text));
}

/* ---- what is offered ----------------------------------------------------------------------- */

static bool
offers_tls(const struct session *s)
{
	return !s->secure && s->peer.socket && s->conf.tls != TLS_OFF &&
		s->conf.tls_certificate != NULL;
}

/* Secrets of ours are needed, not a program that is told a password. */
static bool
usable_scram(const struct session *s)
{
	return s->conf.auth_users != NULL;
}

static bool
usable_bound(const struct session *s)
{
	return s->secure && usable_scram(s);
}

/* RFC 4954 section 4: no password in clear. */
static bool
usable_password(const struct session *s)
{
	return s->secure || s->peer.local || s->conf.auth_clear == CONF_YES;
}

static bool
usable_certificate(const struct session *s)
{
	return s->tls.client[0] != '\0' && usable_scram(s);
}

/* What AUTH can do, the best first. */
static const struct mechanism {
	const char *name;
	bool (*usable)(const struct session *);
} mechanisms[] = {
	{ "EXTERNAL", usable_certificate },       /* RFC 4422 appendix A */
	{ "SCRAM-SHA-256-PLUS", usable_bound },   /* RFC 7677 */
	{ "SCRAM-SHA-256", usable_scram },
	{ "SCRAM-SHA-1-PLUS", usable_bound },     /* RFC 5802 */
	{ "SCRAM-SHA-1", usable_scram },
	{ "PLAIN", usable_password },             /* RFC 4616 */
	{ "LOGIN", usable_password },
};

enum { MECHANISMS = sizeof(mechanisms) / sizeof(mechanisms[0]) };

static const struct mechanism *
find_mechanism(struct span name)
{
	for (size_t i = 0; i < MECHANISMS; i++)
		if (span_ieq(name, span_of(mechanisms[i].name)))
			return &mechanisms[i];
	return NULL;
}

static bool
offers_auth(const struct session *s)
{
	bool any = false;
	for (size_t i = 0; i < MECHANISMS; i++)
		any = any || mechanisms[i].usable(s);
	return any && (s->conf.auth_users != NULL || s->conf.auth_saslauthd != NULL);
}

static bool
always(const struct session *s)
{
	(void)s;
	return true;
}

/* Has said who it is. */
static bool
is_known(const struct session *s)
{
	return s->user[0] != '\0';
}

static bool
offers_requiretls(const struct session *s)
{
	return s->secure && s->conf.requiretls == CONF_YES;
}

/* The parameters that go with what is offered. */
static unsigned
offered_parameters(const struct session *s)
{
	return (offers_auth(s) ? OFFER_AUTH : 0U) |
		(is_known(s) ? OFFER_HOLD | OFFER_PRIORITY : 0U) |
		(offers_requiretls(s) ? OFFER_REQUIRETLS : 0U);
}

/* Service extensions, as EHLO lists them. */
static const struct extension {
	const char *keyword;
	bool (*offered)(const struct session *);
} extensions[] = {
	{ "PIPELINING", always },          /* RFC 2920 */
	{ "SIZE %z", always },             /* RFC 1870 */
	{ "STARTTLS", offers_tls },        /* RFC 3207 */
	{ "AUTH%m", offers_auth },         /* RFC 4954 */
	{ "8BITMIME", always },            /* RFC 6152 */
	{ "CHUNKING", always },            /* RFC 3030 */
	{ "BINARYMIME", always },
	{ "SMTPUTF8", always },            /* RFC 6531 */
	{ "DSN", always },                 /* RFC 3461 */
	{ "DELIVERBY", always },           /* RFC 2852 */
	{ "FUTURERELEASE %f", is_known },  /* RFC 4865 */
	{ "MT-PRIORITY", is_known },       /* RFC 6710 */
	{ "REQUIRETLS", offers_requiretls }, /* RFC 8689 */
	{ "LIMITS RCPTMAX=%r RCPTDOMAINMAX=%d", always }, /* RFC 9422 */
	{ "ENHANCEDSTATUSCODES", always }, /* RFC 2034 */
};

static void
put_mechanisms(struct session *s)
{
	for (size_t i = 0; i < MECHANISMS; i++) {
		if (!mechanisms[i].usable(s))
			continue;
		put_text(s, " ");
		put_text(s, mechanisms[i].name);
	}
}

/* What "%" and a letter stand for in a reply. */
static void
put_value(struct session *s, char letter)
{
	char text[64] = "", date[CLOCK_STAMP_SIZE];
	switch (letter) {
	case 'h':
		put_text(s, s->conf.hostname);
		return;
	case 'i':
		put_text(s, s->transaction.draft.id);
		return;
	case 'm':
		put_mechanisms(s);
		return;
	case 'f': /* longest interval, latest time */
		clock_stamp(clock_wall() + s->conf.max_hold, date);
		snprintf(text, sizeof(text), "%lld %s", (long long)s->conf.max_hold, date);
		break;
	case 'z':
		snprintf(text, sizeof(text), "%lld", (long long)s->conf.max_size);
		break;
	case 'r':
		snprintf(text, sizeof(text), "%lld", (long long)s->conf.max_recipients);
		break;
	case 'd':
		snprintf(text, sizeof(text), "%d", (int)DRAFT_LANES);
		break;
	}
	put_text(s, text);
}

static void
put_reply_text(struct session *s, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '%')
			put_value(s, *++text);
		else
			put(s, text, 1);
	}
}

static void
put_line(struct session *s, const char *code, bool last, const char *text)
{
	put_text(s, code);
	put_text(s, last ? " " : "-");
	put_reply_text(s, text);
	put_text(s, "\r\n");
}

static void
put_reply(struct session *s, enum reply r)
{
	const struct reply_row *row = reply_row(r);
	const char *text = row->text; /* of the line to come */
	for (size_t i = 0; r == R_EHLO && i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		if (!extensions[i].offered(s))
			continue;
		put_line(s, row->code, false, text);
		text = extensions[i].keyword;
	}
	put_line(s, row->code, true, text);
}

/* ---- what the commands do ------------------------------------------------------------------------ */

/* Fields of an event about the transaction, if there is one. */
static struct log_fields
event(const struct session *s, const char *name)
{
	const struct transaction *t = &s->transaction;
	return (struct log_fields){ .event = name, .queue_id = t->open ? t->draft.id : NULL,
		.sender = t->open ? t->sender : NULL };
}

static void
log_refused(struct session *s, enum reply r, struct span what)
{
	char text[REFUSED_TEXT];
	escape_text(text, sizeof(text), what);
	const struct reply_row *row = reply_row(r);
	struct log_fields f = event(s, "refused");
	f.status = row->code;
	log_event(LOG_NOTICE, &f, "refused %s: \"%s\": %s %s", s->peer.text, text, row->code,
		row->text);
}

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

static enum reply
do_mail(struct session *s, struct span arg)
{
	s->rights.offered = offered_parameters(s);
	return transaction_mail(&s->transaction, &s->spool, &s->conf, &s->rights, arg);
}

static enum reply
do_rcpt(struct session *s, struct span arg)
{
	return transaction_rcpt(&s->transaction, &s->conf, &s->rights, arg);
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

/* RFC 3207: what follows in the same segment was not sent by who shakes hands with us (B1). */
static enum reply
do_starttls(struct session *s, struct span arg)
{
	(void)arg;
	if (s->secure)
		return R_TLS_ACTIVE;
	if (!offers_tls(s))
		return R_TLS_UNAVAILABLE;
	return stream_pending(&s->stream) ? R_TLS_EARLY : R_START_TLS;
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

/* ---- data ------------------------------------------------------------------------------- */

/* Tells the monitor. If it is gone, the timer will find the message. */
static void
announce(struct session *s)
{
	const struct draft *d = &s->transaction.draft;
	for (int i = 0; i < d->lanes; i++) {
		struct request r = { .kind = REQUEST_RELAY };
		snprintf(r.lane, sizeof(r.lane), "%s", d->lane[i]);
		if (request_send(s->monitor, &r, NULL, 0) < 0)
			return;
	}
}

/* The end of the data was read: queues the message, or refuses it. */
static enum reply
finish_data(struct session *s)
{
	struct transaction *t = &s->transaction;
	int err;
	enum reply r = transaction_finish(t, &err);
	if (r == R_QUEUED) {
		struct log_fields f = event(s, "accepted");
		announce(s);
		s->idle = 0;
		log_event(LOG_INFO, &f,
			"%s: accepted from %s, sender <%s>, %d recipient%s, %lld octets",
			t->draft.id, s->peer.text, t->sender, t->draft.recipients,
			t->draft.recipients == 1 ? "" : "s", (long long)t->size);
	} else if (err < 0) {
		struct log_fields f = event(s, "refused");
		log_event(LOG_ERR, &f, "%s: not queued: spool: %s; the client was told to try again",
			t->draft.id, strerror(-err));
	}
	return r;
}

/* RFC 3848 */
static const char *
with_keyword(const struct session *s)
{
	if (s->user[0] != '\0')
		return s->secure ? "ESMTPSA" : "ESMTPA";
	return s->secure ? "ESMTPS" : s->extended ? "ESMTP" : "SMTP";
}

static void
lost(struct session *s, const char *where)
{
	struct log_fields f = event(s, "lost");
	log_event(LOG_NOTICE, &f, "lost connection from %s %s", s->peer.text, where);
}

/* The last word to a client from whom nothing more is read. */
static enum reply
reply_to_silence(enum stream_result res)
{
	return res == STREAM_FLOOD ? R_FLOOD : res == STREAM_STOPPED ? R_STOPPING : R_TIMEOUT;
}

static void
start_data(struct session *s, bool chunked)
{
	struct trace trace = { .helo = s->helo, .peer = s->peer.local ? NULL : s->peer.text,
		.hostname = s->conf.hostname, .with = with_keyword(s),
		.cipher = s->secure ? s->tls.cipher : NULL };
	transaction_start_data(&s->transaction, &trace, chunked, !s->peer.socket);
	s->data_start = clock_ms();
}

/* Whoever sends has timeout_data for the next octet, and must keep up a rate on the whole (I4). */
static int64_t
data_deadline(const struct session *s)
{
	int64_t allowed = s->conf.timeout_data * 1000 +
		s->transaction.size / s->conf.min_data_rate * 1000;
	return clock_earlier(deadline(s, s->conf.timeout_data), s->data_start + allowed);
}

/* Reads a message. STREAM_OK and a reply, or how the connection ended; then nothing is queued. */
static enum stream_result
receive_data(struct session *s, enum reply *reply)
{
	start_data(s, false);
	for (enum dot_result end = DOT_MORE; end == DOT_MORE;) {
		struct span bytes;
		size_t used;
		enum stream_result res = stream_bytes(&s->stream, data_deadline(s), &bytes);
		if (res != STREAM_OK)
			return res;
		end = transaction_data(&s->transaction, bytes, &used);
		stream_used(&s->stream, used);
	}
#ifdef BREAK_EARLY_250 /* set only by the test that proves the power-cut test can fail */
	put_reply(s, R_QUEUED);
	(void)stream_flush(&s->stream, deadline(s, s->conf.timeout_command));
#endif
	*reply = finish_data(s);
	return STREAM_OK;
}

/*
 * Reads a chunk, to its end whatever is wrong with it (RFC 3030 section 2). *reply is what was said
 * against it before, or R_CHUNK_OK; a message that is refused is over.
 */
static enum stream_result
receive_chunk(struct session *s, int64_t left, bool last, enum reply *reply)
{
	while (left > 0) {
		struct span bytes;
		enum stream_result res = stream_bytes(&s->stream, data_deadline(s), &bytes);
		if (res != STREAM_OK)
			return res;
		if ((int64_t)bytes.n > left)
			bytes.n = (size_t)left;
		if (*reply == R_CHUNK_OK)
			*reply = transaction_chunk(&s->transaction, bytes);
		else
			s->transaction.size += (int64_t)bytes.n; /* for its rate */
		stream_used(&s->stream, bytes.n);
		left -= (int64_t)bytes.n;
	}
	if (last && *reply == R_CHUNK_OK)
		*reply = finish_data(s);
	return STREAM_OK;
}

/* The next chunk of a message. */
static enum reply
do_bdat(struct session *s, struct span arg)
{
	int64_t octets;
	bool last;
	if (!command_bdat(arg, &octets, &last))
		return R_BDAT_SYNTAX;
	enum reply r = transaction_ready(&s->transaction, true);
	if (r == R_START_DATA)
		r = R_CHUNK_OK;
	if (r == R_CHUNK_OK && !s->transaction.chunked)
		start_data(s, true);
	if (r != R_CHUNK_OK)
		s->data_start = clock_ms();
	enum stream_result res = receive_chunk(s, octets, last, &r);
	if (res == STREAM_EOF || res == STREAM_BROKEN) {
		lost(s, "in a message; nothing was queued");
		s->stream.broken = true;
	} else if (res != STREAM_OK) {
		r = reply_to_silence(res);
	}
	if (r != R_CHUNK_OK && r != R_NEED_RCPT)
		transaction_drop(&s->transaction);
	return r;
}

/* ---- TLS -------------------------------------------------------------------------------- */

/* What was said in clear is forgotten (RFC 3207 section 4.2). */
static bool
start_tls(struct session *s)
{
	struct log_fields f = event(s, "tls");
	int64_t until = deadline(s, s->conf.timeout_tls);
	transaction_drop(&s->transaction);
	s->helo[0] = '\0';
	if (stream_flush(&s->stream, until) != STREAM_OK ||
		helper_tls(s->monitor, &s->stream, until, &s->tls) < 0) {
		log_event(LOG_NOTICE, &f, "no TLS with %s", s->peer.text);
		return false;
	}
	s->secure = true;
	log_event(LOG_INFO, &f, "%s with %s, %s%s%s", s->tls.version, s->peer.text, s->tls.cipher,
		s->tls.client[0] != '\0' ? ", certificate of " : "", s->tls.client);
	return true;
}

/* ---- AUTH ------------------------------------------------------------------------------- */

/* Says a challenge and reads the response; R_FINE, or the reply that ends the exchange. */
static enum reply
ask_client(struct session *s, const char *challenge, struct span *line)
{
	put_text(s, "334 ");
	put_text(s, challenge);
	put_text(s, "\r\n");
	enum stream_result res = stream_line(&s->stream, LIMIT_AUTH_LINE, LIMIT_COMMAND_JUNK,
		deadline(s, s->conf.timeout_command), line);
	switch (res) {
	case STREAM_OK:
		return span_eq(*line, span_of("*")) ? R_AUTH_GIVEN_UP : R_FINE;
	case STREAM_TOO_LONG:
		return R_AUTH_TOO_LONG;
	case STREAM_BAD:
		return R_AUTH_BAD_TEXT;
	case STREAM_EOF:
	case STREAM_BROKEN:
		s->stream.broken = true;
		return R_BYE;
	default:
		return reply_to_silence(res);
	}
}

static void
remember_user(struct session *s, const struct auth_text *a)
{
	struct log_fields f = event(s, "authenticated");
	snprintf(s->user, sizeof(s->user), "%s", a->text);
	snprintf(s->senders, sizeof(s->senders), "%s", a->text + strlen(a->text) + 1);
	s->rights = (struct rights){ .any_domain = true, .senders = span_of(s->senders) };
	char name[REFUSED_TEXT];
	escape_text(name, sizeof(name), span_of(s->user));
	log_event(LOG_INFO, &f, "%s is \"%s\"", s->peer.text, name);
}

/* The exchange of one AUTH; `first` is NULL without an initial response. */
static enum reply
authenticate(struct session *s, const char *mechanism, const struct span *first)
{
	static struct auth_text answer;
	struct auth_hello hello = { .secure = s->secure };
	struct span line;
	snprintf(hello.mechanism, sizeof(hello.mechanism), "%s", mechanism);
	memcpy(hello.exporter, s->tls.exporter, sizeof(hello.exporter));
	snprintf(hello.client, sizeof(hello.client), "%s", s->tls.client);
	auto_fd fd = helper_auth(s->monitor, &hello);
	if (fd < 0)
		return R_AUTH_TROUBLE;
	for (const struct span *said = first;; said = &line) {
		if (helper_auth_step(fd, said, deadline(s, s->conf.timeout_command), &answer) < 0)
			return R_AUTH_TROUBLE;
		if (answer.result != AUTH_CHALLENGE)
			break;
		enum reply r = ask_client(s, answer.text, &line);
		if (r != R_FINE)
			return r;
	}
	if (answer.result == AUTH_DONE) {
		remember_user(s, &answer);
		return R_AUTH_OK;
	}
	if (answer.result != AUTH_REFUSED)
		return answer.result == AUTH_BAD_TEXT ? R_AUTH_BAD_TEXT : R_AUTH_TROUBLE;
	return ++s->auth_failures < LIMIT_AUTH_FAILURES ? R_AUTH_REFUSED : R_TOO_MANY_ERRORS;
}

static enum reply
do_auth(struct session *s, struct span arg)
{
	if (!offers_auth(s))
		return R_NOT_IMPLEMENTED;
	if (s->user[0] != '\0')
		return R_AUTH_AGAIN;
	if (s->transaction.open)
		return R_AUTH_LATE;
	const char *blank = memchr(arg.p, ' ', arg.n);
	struct span name = blank != NULL ? span_from(arg.p, blank) : arg;
	struct span first = span_trim(span_skip(arg, name.n));
	const struct mechanism *m = find_mechanism(name);
	if (m == NULL)
		return R_AUTH_UNKNOWN;
	if (!m->usable(s))
		return m->usable == usable_password ? R_AUTH_CLEAR : R_AUTH_UNKNOWN;
	if (memchr(first.p, ' ', first.n) != NULL)
		return R_AUTH_SYNTAX;
	if (span_eq(first, span_of("="))) /* given, and empty */
		return authenticate(s, m->name, &(struct span){ "", 0 });
	return authenticate(s, m->name, first.n > 0 ? &first : NULL);
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
	{ "BDAT", do_bdat, REQUIRED, R_BDAT_SYNTAX, 0 },
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
	size_t n = 0;
	while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
		n++;
	const struct command *c = find_command((struct span){ line.p, n });
	struct span arg = span_trim(span_skip(line, n));
	if (c == NULL)
		return is_http((struct span){ line.p, n }) ? R_NOT_SMTP : R_UNKNOWN_COMMAND;
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
	case STREAM_BAD:
		return R_BAD_LINE;
	default:
		return reply_to_silence(res);
	}
}

/* What may stand in the log of a command line: not what AUTH carries, and what it reads into the
 * place of the line. */
static struct span
loggable(struct span line)
{
	return span_istarts(line, span_of("AUTH")) ? span_of("AUTH") : line;
}

/* Sends a reply; false if the session ends with it. */
static bool
finish_command(struct session *s, enum reply r, struct span line)
{
	enum reply_kind kind = reply_row(r)->kind;
	if (kind == REPLY_ERROR || (kind == REPLY_CLOSE && r != R_BYE)) {
		log_refused(s, r, line);
		if (kind == REPLY_ERROR && ++s->errors >= s->conf.max_errors) {
			put_reply(s, r);
			r = R_TOO_MANY_ERRORS;
			kind = REPLY_CLOSE;
		}
	}
	put_reply(s, r);
	return kind != REPLY_CLOSE && !s->stream.broken;
}

/* The message behind DATA; false if the session ends with it. */
static bool
data_phase(struct session *s)
{
	enum reply r;
	enum stream_result res = receive_data(s, &r);
	if (res == STREAM_EOF || res == STREAM_BROKEN) {
		lost(s, "in a message; nothing was queued");
		return false;
	}
	if (res != STREAM_OK)
		r = answer(s, res, (struct span){ 0 });
	bool more = finish_command(s, r, span_of("message"));
	transaction_drop(&s->transaction);
	return more;
}

/* A stranger who speaks before it was greeted does not listen (A15). A script in a pipe, or one of a
 * client that we trust, may. */
static bool
spoke_early(const struct session *s)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	return !s->rights.any_domain && (stream_pending(&s->stream) ||
		(ppoll(&p, 1, &(struct timespec){ 0 }, NULL) > 0 && (p.revents & POLLHUP) == 0));
}

static void
session_loop(struct session *s)
{
	bool more = s->conf.tls != TLS_IMPLICIT || !s->peer.socket || start_tls(s);
	if (more)
		more = finish_command(s, spoke_early(s) ? R_TOO_EARLY : R_GREETING,
			span_of("greeting"));
	while (more) {
		struct span line = { 0 };
		enum stream_result res = stream_line(&s->stream, LIMIT_COMMAND, LIMIT_COMMAND_JUNK,
			deadline(s, s->conf.timeout_command), &line);
		if (res == STREAM_EOF || res == STREAM_BROKEN) {
			if (s->transaction.open || s->stream.broken)
				lost(s, "in a transaction; it was dropped");
			break;
		}
		struct span shown = loggable(line);
		enum reply r = answer(s, res, line);
		more = finish_command(s, r, shown);
		if (more && r == R_START_DATA)
			more = data_phase(s);
		else if (more && r == R_START_TLS)
			more = start_tls(s);
	}
	(void)stream_flush(&s->stream, deadline(s, s->conf.timeout_command));
	transaction_drop(&s->transaction);
}

static int
session_main(struct session *s)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* no session without its monitor */
	s->end = clock_deadline(s->conf.timeout_session);
	stream_init(&s->stream, STDIN_FILENO, STDOUT_FILENO, !s->peer.socket, &stop_requested);
	int r = sandbox_enter(SANDBOX_SESSION, s->spool.root);
	struct log_fields f = { .event = "sandbox" };
	if (r == -ENOSYS) {
		log_event(LOG_WARNING, &f, "this kernel has no Landlock; going on without");
	} else if (r < 0) {
		log_event(LOG_ERR, &f, "cannot lock myself in: %s", strerror(-r));
		put_reply(s, R_NO_QUEUE);
		(void)stream_flush(&s->stream, deadline(s, s->conf.timeout_command));
		return EX_TEMPFAIL;
	}
	f.event = "connected";
	log_event(LOG_INFO, &f, "connection from %s", s->peer.text);
	session_loop(s);
	return EXIT_SUCCESS;
}

/* ---- monitor ---------------------------------------------------------------------------- */

static void
start_relay(const struct launcher *l, const char *lane)
{
	struct log_fields f = { .event = "launch", .lane = lane };
	if (!address_lane_valid(span_of(lane)))
		return; /* not made by a session of ours */
	int r = launch_relay(l, lane);
	if (r < 0 && r != -EAGAIN && r != -ENOENT && r != -EBUSY)
		log_event(LOG_WARNING, &f, "lane %s: cannot start relay: %s; the timer will", lane,
			strerror(-r));
}

/* Does what the session asks for, with the fds that came along. */
static void
serve_request(const struct launcher *l, const struct request *r, const int *fds, int n)
{
	switch (r->kind) {
	case REQUEST_RELAY:
		start_relay(l, r->lane);
		break;
	case REQUEST_TLS:
		if (n == 2) /* if it fails, the session sees that nobody answers */
			(void)launch_helper(l, "tls", l->conf->tls_path, fds, n);
		break;
	case REQUEST_AUTH:
		if (n == 1)
			(void)launch_helper(l, "auth", l->conf->auth_path, fds, n);
		break;
	}
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

/* Waits for a process that ended; false if there is none. Remembers the session's status. */
static bool
reap(pid_t session_pid, int *status, int flags)
{
	int ended;
	pid_t pid;
	do
		pid = waitpid(flags == WNOHANG ? -1 : session_pid, &ended, flags);
	while (pid < 0 && errno == EINTR);
	if (pid == session_pid)
		*status = ended;
	return pid > 0;
}

/* Serves requests until the session ends. Returns the session's exit status. */
static int
monitor_main(const struct launcher *l, int requests, pid_t pid)
{
	int status = -1, n, got, fds[REQUEST_FDS];
	struct request r;
	while ((got = request_receive(requests, &r, fds, &n)) != 0) {
		if (got > 0)
			serve_request(l, &r, fds, n);
		else if (got != -EBADMSG)
			break;
		while (reap(pid, &status, WNOHANG)) /* relays that ended */
			;
	}
	if (status < 0)
		reap(pid, &status, 0);
	if (WIFSIGNALED(status)) {
		struct log_fields f = { .event = "crashed" };
		log_event(LOG_ERR, &f, "session ended by signal %d", WTERMSIG(status));
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

/* The connection is not the monitor's business, and a signal may end it: the session notices. */
static void
become_monitor(void)
{
	sigset_t none;
	sigemptyset(&none);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		close(null);
	}
}

/* ---- start ------------------------------------------------------------------------------ */

static int
give_up(struct session *s, enum reply r, int status, const char *why)
{
	struct log_fields f = { .event = "failed" };
	log_event(LOG_ERR, &f, "%s", why);
	put_reply(s, r);
	(void)stream_flush(&s->stream, deadline(s, s->conf.timeout_command));
	return status;
}

static int
configure(struct session *s, const struct options *o)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	int r = -EINVAL;
	if (o->wrong != NULL)
		buf_puts(&why, o->wrong);
	else
		r = conf_load(&s->conf, &o->conf, &why);
	buf_add(&why, (struct span){ "", 1 });
	log_open(r == 0 ? s->conf.log : LOG_TO_AUTO, "smtpd", journal_send);
	if (r == 0)
		return 0;
	if (o->check) {
		fprintf(stderr, "smtpd: %s\n", why.p);
		return EXIT_CONFIG;
	}
	return give_up(s, R_NO_CONFIG, EXIT_CONFIG, why.p);
}

static void
catch_signals(void)
{
	struct sigaction stop = { .sa_handler = on_stop };
	sigset_t blocked; /* let in only while waiting, by stream.c */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a write error like any other (K8) */
	signal(SIGCHLD, SIG_DFL);
}

static int
serve(struct session *s, const struct options *o)
{
	char why[256];
	int pair[2];
	int r = spool_open(&s->spool, s->conf.spool);
	if (r < 0) {
		snprintf(why, sizeof(why), "spool %s: %s", s->conf.spool, strerror(-r));
		return give_up(s, R_NO_QUEUE, EX_TEMPFAIL, why);
	}
	s->rights.any_domain = s->peer.local || netaddr_class(&s->peer.addr) == NET_LOOPBACK ||
		netlist_contains(&s->conf.relay_nets, &s->peer.addr);
	if (request_pair(pair) < 0)
		return give_up(s, R_NO_QUEUE, EX_TEMPFAIL, "cannot make a socket pair");
	s->monitor = pair[1];
	pid_t pid = fork();
	if (pid < 0)
		return give_up(s, R_NO_QUEUE, EX_TEMPFAIL, "cannot fork");
	if (pid == 0) {
		close(pair[0]);
		return session_main(s);
	}
	close(pair[1]);
	become_monitor();
	struct launcher l = { .spool = &s->spool, .conf = &s->conf, .args = &o->conf };
	return monitor_main(&l, pair[0], pid);
}

int
main(int argc, char **argv)
{
	struct session *s = &session;
	struct options o;
	char why[256];

	stdfds_fill();
	if (argc < 1)
		return EX_USAGE;
	catch_signals();
	stream_init(&s->stream, STDIN_FILENO, STDOUT_FILENO, true, &stop_requested);
	s->end = CLOCK_NEVER;
	s->conf.timeout_command = 1; /* for give_up, until the configuration is read */
	options_parse(&o, argc, argv);
	if (!o.check && o.hash == NULL)
		stdfds_hide_client();
	int r = configure(s, &o);
	if (r != 0)
		return r;
	if (o.check) {
		conf_print(&s->conf, stdout);
		return EXIT_SUCCESS;
	}
	if (o.hash != NULL) {
		execl(s->conf.auth_path, "auth", "--hash", o.hash, (char *)NULL);
		return EX_UNAVAILABLE;
	}
	r = sandbox_drop_root(s->conf.user);
	if (r < 0) {
		snprintf(why, sizeof(why), "started as root, cannot become user %s: %s",
			s->conf.user, strerror(-r));
		return give_up(s, R_NO_CONFIG, EXIT_CONFIG, why);
	}
	if (peer_of(STDIN_FILENO, &s->peer) < 0)
		return EXIT_SUCCESS; /* gone before we began */
	umask(S_IRWXG | S_IRWXO);
	return serve(s, &o);
}
