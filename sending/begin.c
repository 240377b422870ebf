#include "sending/begin.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "sending/authclient.h"
#include "sending/sasl.h"
#include "sending/tlsclient.h"

enum { READY_FOR_TLS = 220, WHY_SIZE = 512 };

/* ---- what the host tells of itself --------------------------------------------------------- */

/* A limit; 0, which is none, for an odd value. */
static int64_t
limit_of(struct span s)
{
	int64_t v = span_number(s);
	return v > 0 && v < INT64_MAX ? v : 0;
}

/* "RCPTMAX=20 MAILMAX=5" (RFC 9422 section 3); what is not known is passed by. */
static void
learn_limits(struct link_host *h, struct span words)
{
	const struct {
		const char *name;
		int64_t *limit;
	} known[] = {
		{ "MAILMAX", &h->limit.mails },
		{ "RCPTMAX", &h->limit.rcpts },
		{ "RCPTDOMAINMAX", &h->limit.domains },
	};
	for (struct span word; (word = span_word(&words, " ")).n > 0;) {
		struct span name = span_word(&word, "=");
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (span_ieq(name, span_of(known[i].name)))
				*known[i].limit = limit_of(span_word(&word, "="));
	}
}

/* Said twice, the limit is the larger one: the host itself will refuse what is too much. */
static void
learn_size(struct link_host *h, int64_t size, bool twice)
{
	int64_t *limit = &h->limit.size;
	if (!twice)
		*limit = size;
	else if (size == 0 || *limit == 0)
		*limit = 0; /* none */
	else if (size > *limit)
		*limit = size;
}

/*
 * "AUTH PLAIN LOGIN", or "AUTH=PLAIN LOGIN" as it was before RFC 2554 and is said by some to this
 * day. Where both are said, either counts.
 */
static void
learn_mechanisms(struct link_host *h, struct span line)
{
	static const struct span auth = { "AUTH", 4 };
	size_t n = strlen(h->auth);
	static const char behind[] = { ' ', '\t', '=' };
	if (!span_istarts(line, auth) || line.n == auth.n ||
		memchr(behind, line.p[auth.n], sizeof(behind)) == NULL)
		return;
	struct span names = span_skip(line, auth.n + 1);
	h->mechanisms |= sasl_known(names);
	if (n + 2 < sizeof(h->auth)) {
		h->auth[n] = ' ';
		buf_escape_text(h->auth + n + 1, sizeof(h->auth) - n - 1, names);
	}
}

/* Learns from a line of the reply to EHLO; unknown keywords and odd values mean nothing. */
static void
learn(struct link_host *h, struct span line)
{
	learn_mechanisms(h, line);
	bool sized = (h->can & CAN_SIZE) != 0;
	struct span word = span_word(&line, " ");
	unsigned extension = extension_named(word);
	if ((extension & h->without) != 0)
		return;
	h->can |= extension;
	if (span_ieq(word, span_of("LIMITS")))
		learn_limits(h, line);
	else if (span_ieq(word, span_of("SIZE")))
		learn_size(h, limit_of(span_trim(line)), sized);
	else if (span_ieq(word, span_of("DELIVERBY")))
		h->limit.by = limit_of(span_word(&line, " ,")); /* other options may follow */
}

/* ---- one step after the other -------------------------------------------------------------- */

static int
say_ehlo(struct link *l)
{
	link_put_hello(l);
	return link_listen(l, link_is_final(l) ? "LHLO" : "EHLO", l->terms.conf->timeout_helo,
		learn);
}

bool
begin_helo_will_do(const struct link_terms *t)
{
	return (t->policy == DELIVERY_TLS_MAY || t->policy == DELIVERY_TLS_NONE) &&
		t->login == NULL && t->conf->protocol == PROTOCOL_SMTP;
}

/*
 * The host closed at EHLO, or behind its refusal, where others go on to listen; or it has nothing
 * to say to a command that it does not know.
 */
static enum outcome
leave_ehlo(struct link *l)
{
	bool left = l->code == 0 && (l->silent || link_is_spoiled(l));
	if (left && l->proof.tls == NULL && !l->terms.helo && begin_helo_will_do(&l->terms))
		l->proof.again = AGAIN_HELO;
	return SOFT;
}

/*
 * EHLO, or HELO if the host does not know it. What was announced before is forgotten (RFC 3207
 * section 4.2).
 */
static enum outcome
say_hello(struct link *l)
{
	const struct conf_delivery *conf = l->terms.conf;
	bool helo = l->terms.helo;
	l->host = (struct link_host){ .without = l->terms.without };
	if (!helo) {
		if (say_ehlo(l) < 0)
			return leave_ehlo(l);
		helo = link_outcome(l->code) == HARD && conf->protocol != PROTOCOL_LMTP;
		if (helo && link_said_more(l, "EHLO"))
			return SOFT;
	}
	if (helo && link_ask(l, "HELO ", l->terms.hostname, conf->timeout_helo) < 0)
		return leave_ehlo(l);
	l->host.helo = helo;
	return link_outcome(l->code) == DONE ? DONE : SOFT;
}

/* ---- what TLS came to, for reports on it ---------------------------------------------------- */

/* The first trouble counts; what was said about it is in l->text. */
static void
note_tls(struct link *l, enum tls_result result, bool said)
{
	struct link_tls *came = &l->came;
	if (came->result > TLS_RESULT_SUCCESS)
		return;
	came->result = result;
	if (result != TLS_RESULT_SUCCESS && said)
		snprintf(came->reason, sizeof(came->reason), "%.*s", (int)l->text.n, l->text.p);
}

/* "220 mx.example.org ESMTP": the name (RFC 8460 section 4.4, receiving-mx-helo). */
static void
note_banner(struct link *l)
{
	struct span text = buf_span(&l->text);
	(void)span_word(&text, " -");
	text = span_skip(text, text.n > 0 ? 1 : 0);
	struct span name = span_word(&text, " ");
	snprintf(l->came.banner, sizeof(l->came.banner), "%.*s", (int)name.n,
		name.n > 0 ? name.p : "");
}

/* Where it is a failure that may be told: from which of our addresses. */
static void
note_address(struct link *l)
{
	struct sockaddr_storage own;
	socklen_t n = sizeof(own);
	if (l->terms.counted && l->came.result > TLS_RESULT_SUCCESS &&
		getsockname(l->fd, (struct sockaddr *)&own, &n) == 0)
		l->came.bound =
			netaddr_from((const struct sockaddr *)&own, &l->came.from) == 0;
}

/* ---- TLS ------------------------------------------------------------------------------------ */

static enum outcome
say_why(struct link *l, const char *what, const struct buf *why)
{
	link_say(l, what, "");
	buf_add(&l->text, buf_span(why));
	return SOFT;
}

/*
 * Under the policy that asks for it. A name that only the DNS told proves nothing: who forges the
 * one forges the other. What the DNS says of the certificate itself (DANE) comes first; an
 * authority that the operator wants to have signed it is not replaced by that.
 */
static enum outcome
check_certificate(struct link *l)
{
	auto_buf why = buf_new(WHY_SIZE);
	const struct link_terms *t = &l->terms;
	const char *name = t->target[0] != '\0' ? t->target : t->domain;
	if (t->tlsa != NULL && link_match(l, &why) == DANE_BAD) {
		(void)say_why(l, "certificate", &why);
		note_tls(l, TLS_RESULT_NOT_TRUSTED, true);
		return SOFT;
	}
	if (t->policy != DELIVERY_TLS_VERIFY || link_verify(l) ||
		tlsclient_verify(l->proof.tls, name, &why))
		return DONE;
	(void)say_why(l, "certificate", &why);
	note_tls(l, tlsclient_verdict(l->proof.tls), true);
	return SOFT;
}

static enum outcome
shake_hands(struct link *l)
{
	auto_buf why = buf_new(WHY_SIZE);
	const struct link_terms *t = &l->terms;
	bool may = t->policy == DELIVERY_TLS_MAY;
	bool verify = t->policy == DELIVERY_TLS_VERIFY || t->tlsa != NULL;
	struct tls_how how = { .lenient = may, .legacy = !verify, .nameless = t->nameless,
		.resume = !t->fresh };
	int64_t deadline = clock_deadline(t->timeout_tls);
	int r = tlsclient_begin(t->tls_setup, l->fd, &t->peer, how, deadline, &l->proof.tls, &why);
	if (r < 0) {
		l->proof.again = r == -EAGAIN ? AGAIN_FRESH
			: r == -ENOENT && !verify ? AGAIN_NAMELESS
			: may && !t->implicit ? AGAIN_CLEAR : AGAIN_NOT;
		l->silent = clock_left(deadline) == 0;
		(void)say_why(l, "TLS", &why);
		note_tls(l, TLS_RESULT_VALIDATION, true);
		return SOFT;
	}
	l->stream.below = &tlsclient_transport;
	l->stream.context = l->proof.tls;
	enum outcome o = check_certificate(l);
	if (o == DONE)
		note_tls(l, TLS_RESULT_SUCCESS, false);
	return o;
}

/* The host said something in clear that belongs to nothing we asked. */
static enum outcome
say_injected(struct link *l)
{
	l->proof.again = AGAIN_NOT;
	link_say(l, "STARTTLS", "the host said more than its reply in clear");
	note_tls(l, TLS_RESULT_VALIDATION, true);
	return SOFT;
}

static enum again
may_do_without(const struct link *l)
{
	return l->terms.policy == DELIVERY_TLS_MAY ? AGAIN_CLEAR : AGAIN_NOT;
}

/*
 * The host shook hands, and said nothing inside TLS. Of hosts behind one address one may take a
 * session back, and another one get what is said in it: that is no word about TLS that begins anew.
 */
static enum again
leave_tls(const struct link *l)
{
	return tlsclient_disown(l->proof.tls) ? AGAIN_FRESH
		: l->terms.implicit ? AGAIN_NOT : may_do_without(l);
}

/*
 * The host offers it. What it says in clear before it is asked, or behind its consent, would be
 * taken for replies inside TLS (NO STARTTLS, 2021): then it is not the host, or not one to trust
 * with mail.
 */
static enum outcome
start_tls(struct link *l)
{
	if (stream_pending(&l->stream))
		return say_injected(l);
	l->proof.again = may_do_without(l);
	if (link_ask(l, "STARTTLS", "", l->terms.conf->timeout_helo) < 0 ||
		l->code != READY_FOR_TLS) {
		note_tls(l, l->code != 0 ? TLS_RESULT_STARTTLS_NOT_SUPPORTED
					 : TLS_RESULT_VALIDATION, true);
		return SOFT;
	}
	if (stream_pending(&l->stream))
		return say_injected(l);
	l->proof.again = AGAIN_NOT;
	enum outcome o = shake_hands(l);
	if (o == DONE && (o = say_hello(l)) != DONE && l->code == 0)
		l->proof.again = leave_tls(l);
	if (o != DONE && l->code == 0)
		note_tls(l, TLS_RESULT_VALIDATION, true);
	return o;
}

/* TLS as the policy wants it, if it has not begun already. */
static enum outcome
protect(struct link *l)
{
	if (l->proof.tls != NULL || l->terms.policy == DELIVERY_TLS_NONE)
		return DONE;
	if (link_can(l, CAN_STARTTLS))
		return start_tls(l);
	note_tls(l, TLS_RESULT_STARTTLS_NOT_SUPPORTED, false);
	if (l->terms.policy == DELIVERY_TLS_MAY)
		return DONE;
	link_say(l, "STARTTLS", "the host does not offer it");
	return SOFT;
}

static enum outcome
introduce(struct link *l)
{
	enum outcome o = l->terms.implicit ? shake_hands(l) : DONE;
	l->proof.unprotected = o != DONE;
	if (o != DONE)
		return SOFT;
	if (link_reply(l, "greeting", l->terms.conf->timeout_greeting) < 0) {
		if (l->proof.tls != NULL)
			l->proof.again = leave_tls(l);
		return SOFT;
	}
	if (link_outcome(l->code) != DONE || link_said_more(l, "greeting"))
		return SOFT; /* a bad greeting is a matter of this host: try the next one (R60) */
	note_banner(l);
	o = say_hello(l);
	if (o == DONE) {
		o = protect(l);
		l->proof.unprotected = o != DONE;
	}
	if (o == DONE && link_said_more(l, "EHLO"))
		o = SOFT;
	if (o == DONE && l->terms.login != NULL) {
		o = authclient_prove(l);
		l->proof.refused = o != DONE;
		if (o == DONE && link_said_more(l, "AUTH"))
			o = SOFT;
	}
	return o;
}

/* Closes; a host that talks hears QUIT first (section 4.1.1.10). Nobody needs its answer. */
static void
leave(struct link *l)
{
	if (l->code != 0) {
		link_put(l, span_of("QUIT\r\n"), l->terms.conf->timeout_quit);
		(void)stream_flush(&l->stream, clock_deadline(l->terms.conf->timeout_quit));
	}
	if (l->code != 0 && l->proof.tls != NULL)
		tlsclient_end(l->proof.tls);
	else if (l->proof.tls != NULL)
		(void)tlsclient_disown(l->proof.tls);
	link_close(l);
}

enum outcome
begin_link(struct link *l, int fd)
{
	int one = 1; /* groups are gathered here; the kernel need not wait for more */
	l->fd = fd;
	l->text.max = LIMIT_REPLY_TEXT;
	l->bye = l->hung_up = l->silent = false;
	l->host = (struct link_host){ 0 };
	l->proof = (struct link_proof){ 0 };
	l->came = (struct link_tls){ 0 };
	l->flow = (struct link_flow){ 0 };
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	stream_init(&l->stream, fd, fd, true, NULL);
	link_attend(l);
	enum outcome o = introduce(l);
	note_address(l);
	if (o != DONE)
		leave(l);
	return o;
}
