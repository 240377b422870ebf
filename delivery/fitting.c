#include "delivery/fitting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
fitting_end(struct fitting *f)
{
	free(f->v);
	*f = (struct fitting){ 0 };
}

static bool
is_same(const struct exchanger *a, const struct exchanger *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

int
fitting_note(struct fitting *f, const struct exchangers *x, const struct exchanger *to,
	const struct body_taker *can, bool for_now)
{
	bool known = false;
	if (f->v == NULL)
		f->v = calloc(x->n > 0 ? x->n : 1, sizeof(*f->v));
	if (f->v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < x->n; i++) {
		if (!is_same(&x->v[i], to))
			continue;
		known = known || f->v[i].asked;
		f->v[i] = (struct fitting_host){ .asked = true, .can = *can, .for_now = for_now };
	}
	f->asked += !known;
	return 0;
}

void
fitting_note_vain(struct fitting *f, size_t i)
{
	f->v[i].vain = true;
}

void
fitting_note_all_vain(struct fitting *f, const struct exchangers *x)
{
	for (size_t i = 0; i < x->n; i++)
		f->v[i].vain = f->v[i].vain || f->v[i].wanted;
	fitting_forget_wanted(f, x);
}

static void
want(struct fitting *f, size_t i)
{
	f->v[i].wanted = f->seeks = true;
}

enum fitting_chance
fitting_chance(struct fitting *f, const struct exchangers *x, const struct exchanger *to,
	const struct message *m, struct span recipient)
{
	enum fitting_chance chance = x->unknown <= EXCHANGER_WORST ? FITTING_LATER : FITTING_NEVER;
	for (size_t i = 0; i < x->n; i++) {
		const struct fitting_host *h = &f->v[i];
		if (is_same(&x->v[i], to))
			continue;
		bool may = h->asked ? body_would_fit(&h->can, m, recipient)
			: h->vain || f->asked < FITTING_ASKED;
		if (may && !h->vain) {
			want(f, i);
			chance = FITTING_NOW;
		} else if (may && chance < FITTING_LATER) {
			chance = FITTING_LATER;
		} else if (h->for_now && chance == FITTING_NEVER) {
			chance = FITTING_DOUBTFUL;
		}
	}
	return chance;
}

static bool
fits_all(const struct fitting_host *h, const struct message *m)
{
	for (int i = 0; i < m->n; i++)
		if (!m->rcpt[i].settled && !body_would_fit(&h->can, m, m->rcpt[i].address))
			return false;
	return true;
}

bool
fitting_has_better(struct fitting *f, const struct exchangers *x, const struct exchanger *to,
	const struct message *m)
{
	bool any = false;
	for (size_t i = 0; i < x->n && f->v != NULL; i++) {
		const struct fitting_host *h = &f->v[i];
		if (!h->asked || h->vain || x->v[i].preference >= to->preference ||
			!fits_all(h, m))
			continue;
		want(f, i);
		any = true;
	}
	return any;
}

int
fitting_wanted(const struct fitting *f, const struct exchangers *x, struct exchangers *out)
{
	*out = (struct exchangers){ .v = calloc(x->n > 0 ? x->n : 1, sizeof(*out->v)) };
	if (out->v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < x->n; i++)
		if (f->v[i].wanted)
			out->v[out->n++] = x->v[i];
	return 0;
}

void
fitting_forget_wanted(struct fitting *f, const struct exchangers *x)
{
	for (size_t i = 0; i < x->n; i++)
		f->v[i].wanted = false;
	f->seeks = f->due = false;
}
