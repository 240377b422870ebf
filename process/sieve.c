#include "process/sieve.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	LONGEST = 400,        /* instructions of a filter */
	ROWS = 120,           /* ... and its rows */
	LEAF = 6,             /* rows that are gone through one by one */
	FARTHEST = UINT8_MAX, /* instructions that a jump can skip */
};

struct row {
	uint32_t call;
	uint16_t at, n; /* where it begins, and its instructions */
};

struct sieve {
	struct sock_filter from[LONGEST];
	struct sock_filter rest; /* what becomes of a call that no row is about */
	struct sock_fprog *to;
	size_t room;
	size_t rows;
	struct row row[ROWS];
};

static const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

static bool
is_row(const struct sock_filter *f)
{
	return f->code == (BPF_JMP | BPF_JEQ | BPF_K) && f->jt == 0;
}

/* Is the call allowed, whatever its arguments are? */
static bool
is_plain(const struct sieve *s, const struct row *r)
{
	const struct sock_filter *second = &s->from[r->at + 1];
	return r->n == 2 && second->code == allow.code && second->k == allow.k;
}

/* All rows by their numbers; those of one number stay as they are. False: that is no filter. */
static bool
sort_rows(struct sieve *s, size_t head, size_t end)
{
	const struct sock_filter *f = s->from;
	size_t at = head;
	for (size_t n, i; at < end && s->rows < ROWS && is_row(&f[at]); at += n) {
		n = f[at].jf + 1U;
		for (i = s->rows++; i > 0 && s->row[i - 1].call > f[at].k; i--)
			s->row[i] = s->row[i - 1];
		s->row[i] = (struct row){ f[at].k, (uint16_t)at, (uint16_t)n };
	}
	return at == end;
}

static bool
put(struct sieve *s, const struct sock_filter *what, size_t n)
{
	if (s->to->len + n > s->room)
		return false;
	memcpy(&s->to->filter[s->to->len], what, n * sizeof(*what));
	s->to->len = (unsigned short)(s->to->len + n);
	return true;
}

/* Rows, what is to be said of the rest, and what the plain ones of them jump to. */
static bool
put_rows(struct sieve *s, size_t begin, size_t end)
{
	size_t last = s->to->len;
	for (size_t i = begin; i < end; i++)
		last += is_plain(s, &s->row[i]) ? 1 : s->row[i].n;
	for (const struct row *r = &s->row[begin]; r < &s->row[end]; r++) {
		const struct sock_filter plain = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->call,
			(uint8_t)(last - s->to->len), 0);
		if (last - s->to->len > FARTHEST ||
			!(is_plain(s, r) ? put(s, &plain, 1) : put(s, &s->from[r->at], r->n)))
			return false;
	}
	return put(s, &s->rest, 1) && put(s, &allow, 1);
}

/* Halves, until they are small. No number is in both. */
static bool
put_tree(struct sieve *s, size_t begin, size_t end)
{
	size_t middle = begin + (end - begin) / 2, at = s->to->len;
	while (middle > begin && middle < end && s->row[middle].call == s->row[middle - 1].call)
		middle++;
	if (end - begin <= LEAF || middle == end)
		return put_rows(s, begin, end);
	const struct sock_filter jump =
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, s->row[middle].call, 0, 0);
	if (!put(s, &jump, 1) || !put_tree(s, begin, middle))
		return false;
	size_t skipped = s->to->len - at - 1;
	s->to->filter[at].jt = (uint8_t)skipped;
	return skipped <= FARTHEST && put_tree(s, middle, end);
}

int
sieve_arrange(struct sock_fprog *p, size_t head, size_t room)
{
	struct sieve s;
	s.to = p;
	s.room = room;
	s.rows = 0;
	size_t n = p->len;
	if (n <= head || n > LONGEST)
		return -E2BIG;
	memcpy(s.from, p->filter, n * sizeof(s.from[0]));
	s.rest = s.from[n - 1];
	p->len = (unsigned short)head;
	return sort_rows(&s, head, n - 1) && put_tree(&s, 0, s.rows) ? 0 : -E2BIG;
}
