#include <stdio.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "session/arguments.h"
#include "session/session.h"

enum { LINE_MAX = 1024 }; /* of a reply; ours are short, the longest names the mechanisms */

/* ---- what is offered ----------------------------------------------------------------------- */

bool
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

const char *
offers_mechanism(const struct session *s, struct span name, enum reply *refusal)
{
	for (size_t i = 0; i < MECHANISMS; i++) {
		const struct mechanism *m = &mechanisms[i];
		if (!span_ieq(name, span_of(m->name)))
			continue;
		*refusal = m->usable(s)		       ? R_FINE
			: m->usable == usable_password ? R_AUTH_CLEAR
						       : R_AUTH_UNKNOWN;
		return m->name;
	}
	return NULL;
}

bool
offers_auth(const struct session *s)
{
	bool any = false;
	for (size_t i = 0; i < MECHANISMS; i++)
		any = any || mechanisms[i].usable(s);
	return any && (s->conf.auth_users != NULL || s->conf.auth_saslauthd != NULL ||
		s->conf.auth_dovecot != NULL);
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

unsigned
offers_parameters(const struct session *s)
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

/* ---- replies ------------------------------------------------------------------------------- */

static void
add_mechanisms(const struct session *s, struct buf *b)
{
	for (size_t i = 0; i < MECHANISMS; i++)
		if (mechanisms[i].usable(s))
			buf_printf(b, " %s", mechanisms[i].name);
}

/* What "%" and a letter stand for in a reply. */
static void
add_value(const struct session *s, char letter, struct buf *b)
{
	char date[CLOCK_STAMP_SIZE];
	switch (letter) {
	case 'h':
		buf_puts(b, s->conf.hostname);
		break;
	case 'i':
		buf_puts(b, s->transaction.draft.id);
		break;
	case 'm':
		add_mechanisms(s, b);
		break;
	case 'f': /* longest interval, latest time */
		clock_stamp(clock_wall() + s->conf.max_hold, date);
		buf_printf(b, "%lld %s", (long long)s->conf.max_hold, date);
		break;
	case 'z':
		buf_printf(b, "%lld", (long long)s->conf.max_size);
		break;
	case 'r':
		buf_printf(b, "%lld", (long long)s->conf.max_recipients);
		break;
	case 'c':
		buf_puts(b, s->check_text[0] != '\0' ? s->check_text : "cannot be checked now");
		break;
	case 'd':
		buf_printf(b, "%d", (int)DRAFT_LANES);
		break;
	}
}

static void
add_text(const struct session *s, const char *text, struct buf *b)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "%");
		buf_add(b, (struct span){ text, n });
		text += n;
		if (*text == '%') {
			add_value(s, text[1], b);
			text += 2;
		}
	}
}

static void
say_bytes(struct session *s, struct span bytes)
{
	stream_put(&s->stream, bytes, session_deadline(s, s->conf.timeout_command));
}

void
say_text(struct session *s, const char *text)
{
	say_bytes(s, span_of(text));
}

static void
say_line(struct session *s, const char *code, bool last, const char *text)
{
	auto_buf b = buf_new(LINE_MAX);
	buf_puts(&b, code);
	buf_puts(&b, last ? " " : "-");
	add_text(s, text, &b);
	buf_puts(&b, "\r\n");
	say_bytes(s, buf_span(&b));
}

void
say_reply(struct session *s, enum reply r)
{
	const struct reply_row *row = reply_row(r);
	const char *text = row->text; /* of the line to come */
	for (size_t i = 0; r == R_EHLO && i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		if (!extensions[i].offered(s))
			continue;
		say_line(s, row->code, false, text);
		text = extensions[i].keyword;
	}
	say_line(s, row->code, true, text);
}

static void
log_refused(struct session *s, enum reply r, struct span what)
{
	char text[LIMIT_LOG_TEXT];
	const struct reply_row *row = reply_row(r);
	struct log_fields f = session_event(s, "refused");
	auto_buf said = buf_new(LINE_MAX);
	escape_text(text, sizeof(text), what);
	add_text(s, row->text, &said);
	f.status = row->code;
	log_event(LOG_NOTICE, &f, "refused %s: \"%s\": %s %.*s", s->peer.text, text, row->code,
		(int)said.n, said.n > 0 ? said.p : "");
}

bool
say_and_count(struct session *s, enum reply r, struct span what)
{
	enum reply_kind kind = reply_row(r)->kind;
	if (kind == REPLY_ERROR || (kind == REPLY_CLOSE && r != R_BYE)) {
		log_refused(s, r, what);
		session_count(s, QUOTA_ERRORS, 1);
		if (kind == REPLY_ERROR && (++s->errors >= s->conf.max_errors ||
						   !session_may(s, QUOTA_ERRORS, 0))) {
			say_reply(s, r);
			r = R_TOO_MANY_ERRORS;
			kind = REPLY_CLOSE;
		}
	}
	say_reply(s, r);
	s->linger = kind == REPLY_CLOSE && r != R_BYE && r != R_QUOTA; /* who is over it gets no time */
	return kind != REPLY_CLOSE && !s->stream.broken;
}

enum reply
say_to_silence(enum stream_result res)
{
	return res == STREAM_FLOOD ? R_FLOOD : res == STREAM_STOPPED ? R_STOPPING : R_TIMEOUT;
}
