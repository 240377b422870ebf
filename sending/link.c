#include "sending/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include "dns/tlsa.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

enum { CODE_DIGITS = 3, WHY_SIZE = 512 };

void
link_say(struct link *l, const char *what, const char *why)
{
	l->code = 0;
	buf_reset(&l->text);
	buf_printf(&l->text, "%s: %s", what, why);
}

static const char *
failure(enum stream_result r)
{
	switch (r) {
	case STREAM_TIMEOUT:
		return "timed out";
	case STREAM_EOF:
		return "connection closed by the host";
	case STREAM_FLOOD:
		return "endless reply";
	case STREAM_OK:
		return "not a reply";
	default:
		return "connection lost";
	}
}

/* Adds a line of a reply, or a part of it, as far as there is room for it in a log. */
static void
put_line(struct buf *text, struct span line)
{
	if (text->n > 0 && line.n > 0 && line.p[0] != ' ' && line.p[0] != '-')
		buf_puts(text, " ");
	if (text->n < LIMIT_LOG_TEXT)
		buf_escape(text, line, LIMIT_LOG_TEXT);
}

/* Does it begin with three digits? */
static bool
has_digits(struct span line)
{
	return span_digits(line).n >= CODE_DIGITS;
}

/* Is it one of those lines of a reply behind which others follow? */
static bool
has_hyphen(struct span line)
{
	return line.n > CODE_DIGITS && line.p[CODE_DIGITS] == '-';
}

/*
 * RFC 5321 section 4.2: three digits, then blank (or a tab, which looks like one), hyphen or
 * nothing; what follows is text, whatever octets it has. 0 if it is none.
 */
static int
reply_code(struct span line)
{
	static const char behind[] = { ' ', '\t', '-' };
	if (!has_digits(line) || line.p[0] < '2' || line.p[0] > '5')
		return 0;
	if (line.n > CODE_DIGITS && !memchr(behind, line.p[CODE_DIGITS], sizeof(behind)))
		return 0;
	return (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
}

/* Without the CRs of hosts that end their lines by CR CR LF. */
static struct span
without_cr(struct span line)
{
	while (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

enum outcome
link_outcome(int code)
{
	return code >= 200 && code < 300 ? DONE : code >= 500 ? HARD : SOFT;
}

/*
 * Asks the system to acknowledge at once what the host sends. A host that writes each reply by
 * itself waits for the acknowledgement of the first (Nagle), which would go out after 40 ms. The
 * system forgets the wish, so it is repeated before each wait.
 */
static void
hasten(const struct link *l)
{
	const int one = 1;
	if (!stream_pending(&l->stream))
		(void)setsockopt(l->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

/*
 * There is no reply, for the reason in r. What the host did say, the beginning of a line included,
 * stands behind that.
 */
static int
fail(struct link *l, const char *to_what, enum stream_result r)
{
	auto_buf said = buf_new(LIMIT_REPLY_TEXT);
	struct span rest;
	l->hung_up = r == STREAM_EOF || r == STREAM_BROKEN;
	l->silent = r == STREAM_TIMEOUT;
	buf_add(&said, buf_span(&l->text));
	if (r != STREAM_OK && stream_pending(&l->stream) &&
		stream_bytes(&l->stream, 0, &rest) == STREAM_OK)
		put_line(&said, rest);
	link_say(l, to_what, failure(r));
	if (said.n > 0)
		buf_puts(&l->text, ": ");
	buf_add(&l->text, buf_span(&said));
	return -EIO;
}

/* The code of a line that belongs to the reply of which l->code is the code so far; or 0. */
static int
next_code(const struct link *l, struct span line)
{
	int code = reply_code(line);
	return l->code == 0 || code / 100 == l->code / 100 ? code : 0;
}

/*
 * Of a line only the first four octets matter: the code, of which only the first digit must be that
 * of the lines before, and whether another one follows. The rest is text, and so is, where another
 * one follows, a line that begins with no digits at all. An empty line begins nothing.
 */
int
link_listen(struct link *l, const char *to_what, int64_t seconds, link_learns *learns)
{
	int64_t deadline = clock_deadline(seconds);
	size_t left = LIMIT_REPLY;
	struct span line;
	auto_buf goodbye = buf_new(LIMIT_REPLY_TEXT);
	if (l->bye)
		buf_add(&goodbye, buf_span(&l->text));
	l->code = 0;
	buf_reset(&l->text);
	hasten(l);
	for (bool more = true; more;) {
		enum stream_result r = stream_head(&l->stream, LIMIT_REPLY_LINE, &left, deadline,
			&line);
		int code = 0;
		if (r == STREAM_OK) {
			line = without_cr(line);
			if (line.n == 0 && l->code == 0)
				continue;
			code = next_code(l, line);
			put_line(&l->text, code != 0 && l->code != 0
				? span_skip(line, CODE_DIGITS) : line);
		}
		if (code == 0 && l->text.n == 0 && goodbye.n > 0) { /* that is the reason */
			buf_add(&l->text, buf_span(&goodbye));
			return -EIO;
		}
		if (r == STREAM_OK && l->code != 0 && !has_digits(line))
			continue;
		if (code == 0)
			return fail(l, to_what, r);
		if (learns != NULL && l->code != 0 && code < 300 && line.n > CODE_DIGITS)
			learns(&l->host, span_skip(line, CODE_DIGITS + 1));
		l->code = code;
		more = has_hyphen(line);
	}
	l->bye = l->code == CODE_GOODBYE;
	return 0;
}

int
link_reply(struct link *l, const char *to_what, int64_t seconds)
{
	return link_listen(l, to_what, seconds, NULL);
}

void
link_put(struct link *l, struct span bytes, int64_t seconds)
{
	stream_put(&l->stream, bytes, clock_deadline(seconds));
}

void
link_puts(struct link *l, const char *text, int64_t seconds)
{
	link_put(l, span_of(text), seconds);
}

void
link_put_hello(struct link *l)
{
	int64_t seconds = l->terms.conf->timeout_helo;
	link_puts(l, link_is_final(l) ? "LHLO " : "EHLO ", seconds); /* RFC 2033 section 4.1 */
	link_puts(l, l->terms.hostname, seconds);
	link_puts(l, "\r\n", seconds);
}

int
link_ask(struct link *l, const char *command, const char *argument, int64_t seconds)
{
	link_puts(l, command, seconds);
	link_puts(l, argument, seconds);
	link_puts(l, "\r\n", seconds);
	return link_reply(l, command, seconds);
}

/* Is the certificate for one of these, with a blank between them? */
static bool
verify_any(const struct link *l, const char *names)
{
	auto_buf why = buf_new(WHY_SIZE);
	struct span rest = span_of(names);
	for (struct span word; (word = span_word(&rest, " ")).n > 0;) {
		char name[LIMIT_DOMAIN + 1];
		snprintf(name, sizeof(name), "%.*s", (int)word.n, word.p);
		if (tlsclient_verify(l->proof.tls, name, &why))
			return true;
	}
	return false;
}

bool
link_verify(struct link *l)
{
	auto_buf why = buf_new(WHY_SIZE);
	const struct link_terms *t = &l->terms;
	if (l->proof.tls == NULL || (t->target[0] == '\0' && t->vouched[0] == '\0'))
		return false;
	if (l->proof.trust == TRUST_UNKNOWN)
		l->proof.trust = tlsclient_verify(l->proof.tls, t->target, &why) ||
				verify_any(l, t->vouched)
			? TRUSTED : NOT_TRUSTED;
	return l->proof.trust == TRUSTED;
}

/* Names for which a certificate may be: RFC 7672 section 3.2.2. */
enum dane_verdict
link_match(struct link *l, struct buf *why)
{
	auto_buf unheard = buf_new(WHY_SIZE);
	const struct link_terms *t = &l->terms;
	const char *domain = t->domain != NULL ? t->domain : "";
	if (l->proof.tls == NULL)
		return DANE_BAD;
	if (l->proof.dane == DANE_UNKNOWN || why != NULL) {
		const char *const names[] = { t->tlsa->base, t->target, domain, t->tlsa->domain,
			NULL };
		l->proof.dane = tlsclient_match(l->proof.tls, t->tlsa, names,
			why != NULL ? why : &unheard);
	}
	return l->proof.dane;
}

bool
link_judge(struct link *l)
{
	if (l->terms.tlsa != NULL && link_match(l, NULL) == DANE_GOOD)
		return true;
	return link_verify(l);
}

void
link_turn_to(struct link *l, const char *target, const char *domain)
{
	snprintf(l->terms.target, sizeof(l->terms.target), "%s", target);
	l->terms.domain = domain;
	l->terms.vouched[0] = '\0';
	l->terms.tlsa = NULL;
	l->proof.trust = TRUST_UNKNOWN;
	l->proof.dane = DANE_UNKNOWN;
	l->flow.served = link_has_served(l);
	l->flow.answered = 0;
	l->flow.about = l->flow.heeded = 0;
}

void
link_describe(const struct link *l, struct buf *out)
{
	bool verified = l->terms.policy == DELIVERY_TLS_VERIFY || l->proof.trust == TRUSTED;
	if (l->proof.tls != NULL)
		tlsclient_describe(l->proof.tls, out);
	buf_puts(out, l->proof.tls == NULL ? "in clear"
			: l->proof.dane == DANE_GOOD ? ", verified by DANE"
			: verified ? ", verified" : ", not verified");
	if (l->proof.mechanism != NULL)
		buf_printf(out, ", authenticated by %s", l->proof.mechanism);
}

bool
link_is_spoiled(struct link *l)
{
	return stream_has_news(&l->stream);
}

bool
link_said_more(struct link *l, const char *to_what)
{
	static const struct span goodbye = { "421", CODE_DIGITS };
	struct span rest;
	if (!link_is_spoiled(l) || !stream_pending(&l->stream) ||
		stream_bytes(&l->stream, 0, &rest) != STREAM_OK || span_istarts(rest, goodbye))
		return false;
	link_say(l, to_what, "the host said more than its reply: ");
	buf_escape(&l->text, rest, LIMIT_LOG_TEXT);
	return true;
}

/* Whole replies that were read and not used yet. */
static int
count_replies(const struct stream *s)
{
	const char *p = s->ibuf + s->head, *end = s->ibuf + s->tail, *lf;
	bool within = false;
	int n = 0;
	for (; (lf = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL) != NULL; p = lf + 1) {
		struct span line = span_from(p, lf);
		if (within && !has_digits(line))
			continue;
		within = has_hyphen(line);
		n += !within;
	}
	return n;
}

/* Is there a word about the text that is still going out? */
static bool
hears_a_word(void *listener)
{
	const struct link *l = listener;
	return l->flow.awaited >= 0 && count_replies(&l->stream) > l->flow.awaited;
}

void
link_attend(struct link *l)
{
	l->flow.awaited = -1;
	l->stream.listens = hears_a_word;
	l->stream.listener = l;
}

void
link_wake(struct link *l)
{
	if (link_is_spoiled(l))
		link_close(l);
}

void
link_close(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	tlsclient_free(l->proof.tls);
	l->proof.tls = NULL;
	l->stream.below = NULL;
	l->stream.broken = true; /* what is still put goes nowhere */
}

void
link_quit(struct link *l, int64_t seconds)
{
	if (l->fd < 0)
		return;
	if (seconds > l->terms.conf->timeout_quit)
		seconds = l->terms.conf->timeout_quit;
	struct buf said = l->text;
	l->text = buf_new(LIMIT_REPLY_TEXT);
	(void)link_ask(l, "QUIT", "", seconds);
	buf_free(&l->text);
	l->text = said;
	if (l->proof.tls != NULL)
		tlsclient_end(l->proof.tls);
	link_close(l);
}
