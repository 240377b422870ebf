#include "sending/authclient.h"

#include <errno.h>

#include "lib/cleanup.h"
#include "sending/sasl.h"
#include "sending/tlsclient.h"
#include "sending/veil.h"

enum {
	TRANSITION = 432, /* another mechanism first (RFC 4954 section 6) */
	CHALLENGE = 334,
	COMMAND_MAX = 512,  /* AUTH with its initial response (RFC 4954 section 4) */
	STEPS = 8,          /* challenges of one exchange */
};
_Static_assert((int)SASL_BINDING == (int)TLS_EXPORTER, "what binds is what TLS exports");

/*
 * May a host that is not known for sure, or anybody on the way, see our password? The route says
 * so, not the login: two routes may have one login, and a relay that goes on from one to the other.
 */
static bool
anybody_may_see(const struct link *l)
{
	return l->terms.conf->auth_clear == CONF_YES;
}

/*
 * Is mechanism i one that the host announced and that fits our login and this connection? The
 * certificate is judged last, and only for a mechanism that shows the password, since that takes
 * time.
 */
static bool
check_mechanism(struct link *l, unsigned i, bool exporter)
{
	const struct sasl_mechanism *m = &sasl_mechanisms[i];
	return (l->host.mechanisms & 1U << i) != 0 && m->token == (l->terms.login->token != NULL) &&
		(!m->binds || exporter) &&
		(!m->bare || anybody_may_see(l) || link_judge(l));
}

static void
put(struct link *l, struct span text)
{
	link_put(l, text, l->terms.conf->timeout_helo);
}

/* The challenge in a reply 334, which has one line; "" if it is another reply. */
static struct span
challenge_of(const struct link *l)
{
	struct span text = buf_span(&l->text);
	return l->code == CHALLENGE && text.n > 4 ? span_skip(text, 4) : (struct span){ "", 0 };
}

/*
 * AUTH and the mechanism's name, and behind them `first`, our initial response ("": none), if the
 * line is not too long with it. True: it was put there; else it is the answer to the first
 * challenge.
 */
static bool
put_command(struct link *l, const struct sasl_mechanism *m, struct span first)
{
	bool fits = first.n > 0 && first.n + strlen("AUTH \r\n") + SASL_NAME < COMMAND_MAX;
	put(l, span_of("AUTH "));
	put(l, span_of(m->name));
	if (fits) {
		put(l, span_of(" "));
		put(l, first);
	}
	put(l, span_of("\r\n"));
	return fits;
}

/*
 * The first challenge makes no sense: hosts offer mechanisms that never worked there. Nothing was
 * proved yet, so that the exchange is given up in good order, and the next mechanism may do. What
 * the host refuses then is nothing about us, whatever its code; a yes is none of an honest host.
 */
static int
cancel(struct link *l)
{
	put(l, span_of("*\r\n"));
	int r = link_reply(l, "AUTH", l->terms.conf->timeout_helo);
	return r < 0 || l->bye ? -EIO : link_outcome(l->code) == DONE ? 0 : -ECANCELED;
}

/*
 * Answers challenges until the host has decided. 0: its reply is in l->code. -EIO: the connection
 * was lost. -EINVAL: our name does not fit the mechanism, and nothing was said. -ECANCELED: it was
 * given up, and the host knows. Others: no answer was given (sasl_step), or the host asks without
 * an end. What was answered is added to *told.
 */
static int
exchange(struct link *l, struct sasl *s, struct buf *told)
{
	auto_buf answer = buf_new(LIMIT_AUTH_LINE);
	bool said = false;
	if (sasl_speaks_first(s) && sasl_step(s, (struct span){ "", 0 }, &answer) < 0)
		return -EINVAL;
	buf_add(told, buf_span(&answer));
	said = put_command(l, s->mechanism, buf_span(&answer));
	for (int i = 0; i < STEPS; i++) {
		if (link_reply(l, "AUTH", l->terms.conf->timeout_helo) < 0)
			return -EIO;
		if (l->code != CHALLENGE)
			return 0;
		if (said || !sasl_speaks_first(s)) {
			buf_reset(&answer);
			int r = sasl_step(s, challenge_of(l), &answer);
			if (r == -EPROTO && i == 0)
				return cancel(l);
			if (r < 0)
				return r;
			buf_puts(told, " ");
			buf_add(told, buf_span(&answer));
		}
		said = true;
		put(l, buf_span(&answer));
		put(l, span_of("\r\n"));
	}
	return -EPROTO;
}

static void
wipe(struct buf *b)
{
	if (b->n > 0)
		explicit_bzero(b->p, b->n);
	buf_free(b);
}

/* What a host says when it does not take us is kept, and it may repeat what it was told. */
static void
cover_secrets(struct link *l, const struct buf *told)
{
	const struct login *own = l->terms.login;
	const char *secret = own->token != NULL ? own->token : own->password;
	struct buf shown = buf_new(LIMIT_AUTH_LINE);
	struct span rest = buf_span(told);
	for (struct span word; (word = span_word(&rest, " ")).n > 0;)
		veil_cover(&l->text, word);
	buf_escape(&shown, span_of(secret), LIMIT_AUTH_LINE);
	veil_cover(&l->text, buf_span(&shown));
	wipe(&shown);
}

enum verdict {
	PROVED,
	NOT_THIS_WAY, /* the mechanism was refused */
	NOT_US,       /* our name and password were; they may not fit the mechanism */
	NOT_NOW,      /* the host has trouble, perhaps with this mechanism only */
	GONE,         /* it broke off */
	GIVE_UP,
};

/* What the host's last reply to an exchange means. */
static enum verdict
judge(int code)
{
	static const int way[] = { TRANSITION, 500, 501, 502, 504, 534, 538 };
	for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++)
		if (code == way[i])
			return NOT_THIS_WAY;
	if (code == CODE_GOODBYE)
		return GONE;
	return link_outcome(code) == DONE ? PROVED : link_outcome(code) == HARD ? NOT_US : NOT_NOW;
}

/* By mechanism m. A success that the host had to prove, and did not, is none. */
static enum verdict
prove_by(struct link *l, const struct sasl_mechanism *m, const uint8_t *binding)
{
	struct sasl s;
	struct buf told = buf_new(STEPS * LIMIT_AUTH_LINE);
	int r = sasl_begin(&s, m, l->terms.login, m->binds ? binding : NULL);
	if (r == 0)
		r = exchange(l, &s, &told);
	cover_secrets(l, &told);
	wipe(&told);
	if (r == -EINVAL || r == -ECANCELED) {
		link_say(l, "AUTH", r == -EINVAL ? "libgsasl refuses our name or password"
			: "the host's first challenge makes no sense");
		sasl_end(&s);
		return NOT_THIS_WAY;
	}
	if (r == -EPROTO || (r == 0 && link_outcome(l->code) == DONE && !s.proved)) {
		link_say(l, "AUTH", "the host did not prove that it knows our password");
		r = -EPROTO;
	}
	if (r == -EACCES)
		link_say(l, "AUTH",
			"the host wants an answer from which our password could be guessed");
	if (r == -ERANGE)
		link_say(l, "AUTH", "the host wants our password hashed too many times");
	sasl_end(&s);
	return r == -EIO ? GONE : r < 0 ? GIVE_UP : judge(l->code);
}

/*
 * The best mechanism that was not tried; or else the plainest, which depends on least.
 */
static const struct sasl_mechanism *
next_mechanism(struct link *l, unsigned tried, bool plainest, bool exporter)
{
	const struct sasl_mechanism *best = NULL;
	for (unsigned i = 0; i < SASL_MECHANISMS; i++) {
		if ((tried & 1U << i) != 0 || !check_mechanism(l, i, exporter))
			continue;
		if (best == NULL)
			best = &sasl_mechanisms[i];
		if (!plainest || sasl_mechanisms[i].bare)
			return &sasl_mechanisms[i];
	}
	return best;
}

/*
 * The host broke off. If there is a plainer mechanism, a new connection begins with that: hosts
 * offer some that never worked there.
 */
static void
ask_for_plainer(struct link *l, bool exporter)
{
	const struct sasl_mechanism *m = next_mechanism(l, 0, true, exporter);
	if (!l->terms.plain && m != NULL && m->bare)
		l->proof.again = AGAIN_PLAIN;
}

/*
 * By one mechanism after the other while it is the mechanism that is refused. After a refusal of
 * our password, or trouble with a mechanism that hides it, there is one more, the plainest:
 * accounts are locked for less.
 */
static enum outcome
try_all(struct link *l, const uint8_t *binding, bool exporter)
{
	unsigned tried = 0;
	bool refused = false, hidden = false; /* hidden: not all that was tried is bare */
	for (int left = SASL_MECHANISMS; left > 0; left--) {
		const struct sasl_mechanism *m =
			next_mechanism(l, tried, refused || l->terms.plain, exporter);
		if (m == NULL)
			break;
		hidden = hidden || !m->bare;
		tried |= 1U << (m - sasl_mechanisms);
		enum verdict v = prove_by(l, m, binding);
		if (v == PROVED) {
			l->proof.mechanism = m->name;
			l->proof.plainer = m->bare && hidden;
			return DONE;
		}
		if (v == GONE && hidden)
			ask_for_plainer(l, exporter);
		if (v == GONE || v == GIVE_UP || (v == NOT_NOW && m->bare))
			return SOFT;
		if (v != NOT_THIS_WAY && !refused)
			left = 2; /* with this one */
		refused = refused || v != NOT_THIS_WAY;
	}
	if (tried == 0) {
		link_say(l, "AUTH", "the host offers nothing that is safe with it:");
		buf_puts(&l->text, l->host.auth);
	}
	return SOFT;
}

enum outcome
authclient_prove(struct link *l)
{
	uint8_t binding[TLS_EXPORTER];
	bool exporter = l->proof.tls != NULL && tlsclient_exporter(l->proof.tls, binding);
	if (l->proof.tls == NULL && !anybody_may_see(l)) {
		link_say(l, "AUTH", "not without TLS");
		return SOFT;
	}
	if (l->host.auth[0] == '\0') {
		link_say(l, "AUTH", "the host does not offer it");
		return SOFT;
	}
	return try_all(l, binding, exporter);
}
