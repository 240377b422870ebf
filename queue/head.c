#include "queue/head.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/crc.h"

ssize_t
head_read_at(int fd, int64_t offset, char *p, size_t n)
{
	ssize_t r;
	do
		r = pread(fd, p, n, offset);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

int
head_read(int fd, struct buf *head, int64_t *at)
{
	char chunk[HEAD_CHUNK];
	for (;;) {
		ssize_t r = head_read_at(fd, (int64_t)head->n, chunk, sizeof(chunk));
		if (r <= 0)
			return r < 0 ? (int)r : -EBADMSG;
		size_t from = head->n > 0 ? head->n - 1 : 0;
		buf_add(head, (struct span){ chunk, (size_t)r });
		if (head->err < 0)
			return head->err == -E2BIG ? -EBADMSG : head->err;
		const char *end = memmem(head->p + from, head->n - from, "\n\n", 2);
		if (end != NULL) {
			head->n = (size_t)(end - head->p) + 1;
			*at = (int64_t)head->n + 1;
			return 0;
		}
	}
}

static int
add_rcpt(struct message *m, const struct lane *l, struct span value, int index)
{
	const char *blank = memchr(value.p, ' ', value.n);
	if (blank == NULL)
		return -EBADMSG;
	if (!span_eq(span_from(value.p, blank), span_of(l->name)))
		return 0;
	if ((m->n & (m->n - 1)) == 0) { /* room doubles: 1, 2, 4, ... */
		size_t room = m->n > 0 ? 2 * (size_t)m->n : 1;
		struct rcpt *v = reallocarray(m->rcpt, room, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		m->rcpt = v;
	}
	m->rcpt[m->n++] = (struct rcpt){
		.address = span_from(blank + 1, value.p + value.n),
		.index = index,
		.outcome = SOFT,
		.text = buf_new(2 * LIMIT_REPLY_TEXT),
	};
	return 0;
}

static bool
field(struct span line, const char *name, struct span *value)
{
	struct span prefix = span_of(name);
	if (line.n < prefix.n || memcmp(line.p, prefix.p, prefix.n) != 0)
		return false;
	*value = span_skip(line, prefix.n);
	return true;
}

/* A state that is none counts as waiting. */
static int
read_states(struct message *m, struct span states, int recipients)
{
	if (states.p == NULL)
		return 0;
	if (states.n != (size_t)recipients)
		return -EBADMSG;
	m->states = states;
	for (int i = 0; i < m->n; i++) {
		char state = states.p[m->rcpt[i].index];
		if (state == STATE_DELIVERED || state == STATE_FAILED)
			rcpt_set_settled(&m->rcpt[i], state == STATE_DELIVERED ? DONE : HARD);
	}
	return 0;
}

int
head_parse(struct message *m, const struct lane *l)
{
	struct span rest = buf_span(&m->head), line, v, states = { NULL, 0 };
	struct rcpt *last = NULL; /* whom terms are about; NULL: somebody of another lane */
	int index = 0;
	if (!stored_line(&rest, &line) || !span_eq(line, span_of(MESSAGE_MAGIC)))
		return -EBADMSG;
	m->arrived = -1;
	while (stored_line(&rest, &line)) {
		if (field(line, "Id: ", &v)) {
			if (!span_eq(v, span_of(m->id)))
				return -EBADMSG;
		} else if (field(line, "Arrived: ", &v)) {
			m->arrived = stored_number(v);
		} else if (field(line, "From: ", &v)) {
			m->env.sender = v;
		} else if (field(line, "To: ", &v)) {
			int n = m->n, r = add_rcpt(m, l, v, index++);
			if (r < 0)
				return r;
			last = m->n > n ? &m->rcpt[n] : NULL;
		} else if (index == 0) {
			(void)envelope_read(line, &m->env);
		} else if (field(line, "States: ", &v)) {
			states = v;
		} else if (last != NULL) {
			(void)envelope_read_terms(line, &last->terms);
		}
	}
	if (m->arrived < 0 || m->n == 0 || m->env.sender.p == NULL)
		return -EBADMSG;
	return read_states(m, states, index);
}

int
head_parse_mail(struct message *m)
{
	struct span rest = buf_span(&m->head), line, v;
	while (stored_line(&rest, &line)) {
		if (field(line, "To: ", &v))
			return 0;
		if (field(line, "Arrived: ", &v))
			m->arrived = stored_number(v);
		else
			(void)envelope_read(line, &m->env);
	}
	return -EBADMSG;
}

uint32_t
head_sum(const struct message *m)
{
	const char *end = m->head.p + m->head.n;
	const char *from = m->states.p != NULL ? m->states.p : end;
	const char waiting = STATE_WAITING;
	uint32_t crc = crc32c(0, m->head.p, (size_t)(from - m->head.p));
	for (size_t i = 0; i < m->states.n; i++)
		crc = crc32c(crc, &waiting, 1);
	from += m->states.n;
	return crc32c(crc32c(crc, from, (size_t)(end - from)), "\n", 1);
}
