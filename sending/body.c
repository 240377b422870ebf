#include "sending/body.h"

#include <errno.h>
#include <stdio.h>

#include "lib/clock.h"
#include "mail/alabel.h"

#define NO_UTF8 "550 5.6.7 the host does not take SMTPUTF8"

enum {
	SEND_CHUNK = 16 * 1024,
	BY_KERNEL = 64 * 1024, /* octets from which a copy costs more than a call and a packet */
};

/* ---- what fits --------------------------------------------------------------------------- */

static ssize_t
read_message(const void *m, uint64_t offset, char *p, size_t n)
{
	return message_read(m, offset, p, n);
}

struct body_taker
body_taker_of(struct link *l, bool judge)
{
	return (struct body_taker){ .can = l->host.can, .avoided = l->terms.avoided,
		.size = l->host.limit.size, .by = l->host.limit.by, .final = link_is_final(l),
		.tls = l->proof.tls != NULL, .broken = l->terms.clear,
		.proved = judge && link_can(l, CAN_REQUIRETLS) && link_judge(l) };
}

static bool
can(const struct body_taker *h, unsigned what)
{
	return (h->can & what) == what;
}

/* Does it go as BINARYMIME? To a host that has no such thing, lines may go as any others. */
static bool
goes_as_binary(const struct body_taker *h, const struct message *m)
{
	return m->env.body == BODY_BINARYMIME && can(h, CAN_BDAT);
}

/* Can the host have the octets as they are? What the client called them does not matter. */
static bool
takes_as_it_is(const struct body_taker *h, const struct message *m)
{
	return goes_as_binary(h, m) ||
		(!m->binary && (!m->eightbit || can(h, CAN_8BITMIME)));
}

/*
 * What REQUIRETLS asks for and this host, or this connection, does not give; NULL: nothing. A
 * report that is lost would tell nobody, so it goes all the same (RFC 8689 section 5).
 */
static const char *
find_weakness(const struct body_taker *h, const struct envelope *e)
{
	if (!e->require_tls || e->sender.n == 0)
		return NULL;
	if (!h->tls)
		return h->broken
			? "550 5.7.10 REQUIRETLS was asked for, and TLS with the host does not work"
			: "550 5.7.10 REQUIRETLS was asked for, and there is no TLS";
	if (!can(h, CAN_REQUIRETLS))
		return "550 5.7.30 REQUIRETLS was asked for, and the host does not offer it";
	return h->proved ? NULL
		: "550 5.7.10 REQUIRETLS was asked for, and no certificate proves that this is the "
		  "host";
}

/* What the sender asked for and this host does not give; NULL: nothing. */
static const char *
find_trouble(const struct body_taker *h, const struct envelope *e, bool utf8)
{
	const char *weakness = find_weakness(h, e);
	if (weakness != NULL)
		return weakness;
	if (utf8 && !can(h, CAN_SMTPUTF8))
		return NO_UTF8;
	if (e->by == 0 || e->by_mode != 'R' || h->final)
		return NULL;
	if (!can(h, CAN_DELIVERBY))
		return "554 5.4.7 the host does not promise a time of delivery";
	if (e->by - clock_wall() < h->by)
		return "554 5.4.7 the host promises no time of delivery as early as that";
	return NULL;
}

/*
 * Chooses the form. Where there is none, *why says why; it may stand in `room`. 0; -EILSEQ: it
 * would have to be converted, and cannot be; other -errno: it cannot be read now.
 */
static int
choose(const struct body_taker *h, const struct message *m, struct text *t, const char **why,
	char room[static LIMIT_LOG_TEXT])
{
	bool utf8 = message_is_global(m) || alabel_needs_utf8(m->env.sender);
	*why = find_trouble(h, &m->env, utf8);
	*t = (struct text){ .m = m, .length = m->length, .utf8 = utf8,
		.binary = goes_as_binary(h, m), .converted = !takes_as_it_is(h, m) };
	int r = *why == NULL && t->converted ? sevenbit_check(read_message, m, &t->length, why) : 0;
	if (r < 0 && r != -EILSEQ)
		return r;
	if (r == -EILSEQ) {
		snprintf(room, LIMIT_LOG_TEXT, "554 5.6.3 the host takes %s only, and %s",
			can(h, CAN_8BITMIME) ? "lines of text" : "7-bit text", *why);
		*why = room;
	}
	if (*why == NULL && h->size > 0 && t->length > (uint64_t)h->size)
		*why = "552 5.3.4 over the limit the host announced";
	t->unfit = *why != NULL;
	return r;
}

enum outcome
body_fit(struct link *l, const struct message *m, struct text *t)
{
	const struct body_taker h = body_taker_of(l, m->env.require_tls);
	const char *why;
	char room[LIMIT_LOG_TEXT];
	int r = choose(&h, m, t, &why, room);
	if (r < 0 && r != -EILSEQ) {
		link_say(l, BODY_SPOOL, strerror(-r));
		return SOFT;
	}
	if (!t->unfit)
		return DONE;
	link_say(l, BODY_NOT_SENT, why);
	/* It might be sent as it is if we did not do without BDAT for a while (L10). */
	bool for_now = r == -EILSEQ && m->env.body == BODY_BINARYMIME &&
		(h.avoided & CAN_BINARYMIME) != 0;
	return for_now ? SOFT : HARD;
}

bool
body_address_fits(struct link *l, struct span address)
{
	if (link_can(l, CAN_SMTPUTF8) || !alabel_needs_utf8(address))
		return true;
	link_say(l, BODY_NOT_SENT, NO_UTF8);
	return false;
}

bool
body_would_fit(const struct body_taker *h, const struct message *m, struct span address)
{
	struct text t;
	const char *why;
	char room[LIMIT_LOG_TEXT];
	bool utf8 = alabel_needs_utf8(address);
	return choose(h, m, &t, &why, room) == 0 && !t.unfit && (!utf8 || can(h, CAN_SMTPUTF8));
}

/* ---- sending ----------------------------------------------------------------------------- */

/* Says why sending stopped in the middle: the connection, or -errno of reading the text. */
static bool
cut_short(struct link *l, int err)
{
	if (l->stream.broken)
		link_say(l, "sending the message", "connection lost or stalled");
	else if (err == -ENODATA)
		link_say(l, BODY_SPOOL, "file is shorter than it was");
	else
		link_say(l, BODY_SPOOL, strerror(-err));
	return false;
}

struct sending {
	struct link *l;
	int64_t until; /* for all of it */
	bool bol;      /* at the start of a line */
};

static struct sending
begin(struct link *l, const struct text *t)
{
	const struct conf_delivery *conf = l->terms.conf;
	int64_t slowest = conf->timeout_data_block + (int64_t)t->length / l->terms.min_data_rate;
	return (struct sending){ .l = l, .until = clock_deadline(slowest), .bol = true };
}

/* Of the next octets. */
static int64_t
next_deadline(const struct sending *s)
{
	return clock_earlier(s->until, clock_deadline(s->l->terms.conf->timeout_data_block));
}

static int
put_octets(void *target, struct span octets)
{
	struct sending *s = target;
	stream_put(&s->l->stream, octets, next_deadline(s));
	return s->l->stream.broken ? -EPIPE : 0;
}

/* Up to the next line that begins with a dot. */
static struct span
first_run(struct span s)
{
	const char *end = s.p + s.n, *p = s.p;
	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL && ++p < end && *p != '.')
		;
	return p != NULL ? span_from(s.p, p) : s;
}

/* Pieces of the body, dots stuffed. */
static int
put_lines(void *target, struct span rest)
{
	static const struct span dot = { ".", 1 };
	struct sending *s = target;
	int r = 0;
	while (rest.n > 0 && r == 0) {
		struct span run = first_run(rest);
		r = s->bol && run.p[0] == '.' ? put_octets(s, dot) : 0;
		if (r == 0)
			r = put_octets(s, run);
		s->bol = run.p[run.n - 1] == '\n';
		rest = span_skip(rest, run.n);
	}
	return r;
}

/* The octets as they are, to a sink as sevenbit's. 0 or -errno. */
static int
put_all(const struct message *m, sevenbit_sink *sink, void *target)
{
	char chunk[SEND_CHUNK];
	for (uint64_t at = 0; at < m->length;) {
		ssize_t n = message_read(m, at, chunk, sizeof(chunk));
		if (n <= 0)
			return n < 0 ? (int)n : -ENODATA;
		int r = sink(target, (struct span){ chunk, (size_t)n });
		if (r < 0)
			return r;
		at += (uint64_t)n;
	}
	return 0;
}

int
body_read(const struct text *t, sevenbit_sink *sink, void *target)
{
	const char *why;
	return t->converted ? sevenbit_convert(read_message, t->m, sink, target, &why)
			    : put_all(t->m, sink, target);
}

bool
body_put_lines(struct link *l, const struct text *t)
{
	struct sending s = begin(l, t);
	int r = put_lines(&s, t->signature);
	if (r == 0)
		r = body_read(t, put_lines, &s);
	if (r < 0)
		return cut_short(l, r);
	/*
	 * Without a line end cannot happen to what smtpd queued, but the dot must stand alone
	 * (A10).
	 */
	(void)put_octets(&s, span_of(s.bol ? ".\r\n" : "\r\n.\r\n"));
	return true;
}

/*
 * By the kernel, without a copy. 0 or -errno; -EINVAL: there is no such way, and nothing was sent.
 */
static int
put_file(const struct sending *s, const struct message *m)
{
	for (uint64_t at = 0; at < m->length;) {
		ssize_t n = stream_file(&s->l->stream, m->fd, m->body + (int64_t)at, m->length - at,
			next_deadline(s));
		if (n <= 0)
			return n < 0 ? (int)n : -ENODATA;
		at += (uint64_t)n;
	}
	return 0;
}

bool
body_put_chunk(struct link *l, const struct text *t)
{
	struct sending s = begin(l, t);
	char command[64];
	snprintf(command, sizeof(command), "BDAT %llu LAST\r\n", (unsigned long long)t->length);
	(void)put_octets(&s, span_of(command));
	int r = put_octets(&s, t->signature);
	bool by_kernel = t->length >= BY_KERNEL && !t->converted && stream_takes_files(&l->stream);
	if (r == 0)
		r = by_kernel ? put_file(&s, t->m) : -EINVAL;
	if (r == -EINVAL)
		r = body_read(t, put_octets, &s);
	return r == 0 || cut_short(l, r);
}
