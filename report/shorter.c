#include "report/shorter.h"

#include <stdio.h>

#include "lib/cleanup.h"
#include "report/diagnosis.h"
#include "report/original.h"

enum {
	FRONT_MAX = 256 * 1024, /* what stands before the message; of a longer one none is made */
	MARK_SIZE = 64,
};

static const struct span eight = { "Content-Transfer-Encoding: 8bit\r\n", 33 };

bool
shorter_may_help(const struct message *m)
{
	static const char *const statuses[] = { "5.6.3", "5.3.4", "5.2.3" };
	struct diagnosis d;
	if (m->env.sender.n > 0 || !m->env.ours || m->n != 1 || m->rcpt[0].settled ||
		m->rcpt[0].outcome != HARD)
		return false;
	diagnosis_parse(buf_span(&m->rcpt[0].text), '5', &d);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (span_eq(d.status, span_of(statuses[i])))
			return true;
	return false;
}

/* Reads up to the part that is the message: *at, where its fields go on. */
static int
find_message(const struct message *m, struct buf *front, size_t *at)
{
	static const char *const kinds[] = { "rfc822", "global" };
	char mark[MARK_SIZE];
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(mark, sizeof(mark), "\r\n--%s\r\nContent-Type: message/%s\r\n", m->id,
			kinds[i]);
		buf_reset(front);
		int r = original_read_until(m, mark, front);
		if (r < 0)
			return r;
		const char *found = front->n > 0 ? memmem(front->p, front->n, mark, strlen(mark))
						 : NULL;
		if (found == NULL)
			continue;
		*at = (size_t)(found - front->p) + strlen(mark);
		front->n = (size_t)(found - front->p) + strlen("\r\n");
		return 0;
	}
	return NOT_WHOLE;
}

/* The message that begins there, to be read as one. */
static int
open_message(const struct message *m, size_t at, struct message *inner)
{
	char text[MARK_SIZE];
	ssize_t n = message_read(m, at, text, sizeof(text));
	if (n < 0)
		return (int)n;
	struct span fields = { text, (size_t)n };
	size_t skip = (span_istarts(fields, eight) ? eight.n : 0) + strlen("\r\n");
	if ((uint64_t)at + skip > m->length)
		return NOT_WHOLE;
	*inner = *m;
	inner->body += (int64_t)(at + skip);
	inner->length -= at + skip;
	return 0;
}

/* The front, but that what is said of its end is true. */
static void
put_front(struct buf *b, struct span front)
{
	static const char was[] = "\r\nThe message is at the end";
	static const char is[] = "\r\nIts header is at the end";
	const char *p = memmem(front.p, front.n, was, sizeof(was) - 1);
	if (p != NULL) {
		buf_add(b, span_from(front.p, p));
		buf_puts(b, is);
		front = span_from(p + sizeof(was) - 1, front.p + front.n);
	}
	buf_add(b, front);
}

int
shorter_write(const struct message *m, struct buf *b)
{
	auto_buf front = buf_new(FRONT_MAX);
	struct message inner;
	size_t at = 0;
	int r = find_message(m, &front, &at);
	if (r == 0)
		r = open_message(m, at, &inner);
	if (r != 0)
		return r;
	*b = buf_new(FRONT_MAX + 4 * (size_t)ORIGINAL_HEADER_MAX);
	put_front(b, buf_span(&front));
	buf_printf(b, "--%s\r\n", m->id);
	r = original_put_header(b, &inner, m->env.utf8);
	buf_printf(b, "\r\n--%s--\r\n", m->id);
	return r < 0 ? r : b->err;
}
