#include "delivery/withheld.h"

/* Its place, or the first that is nobody's; the last one where there is none. */
static size_t
place_of(const struct withheld *w, const struct exchanger *to)
{
	size_t i = 0;
	while (i < WITHHELD_HOSTS - 1 && w->v[i].words != 0 &&
		!(w->v[i].port == to->port && netaddr_eq(&w->v[i].addr, &to->addr)))
		i++;
	return i;
}

void
withheld_note(struct withheld *w, const struct exchanger *to, unsigned words)
{
	struct withheld_host *h = &w->v[place_of(w, to)];
	*h = (struct withheld_host){ .addr = to->addr, .port = to->port,
		.words = h->words | words };
}

unsigned
withheld_from(const struct withheld *w, const struct exchanger *to)
{
	return w->v[place_of(w, to)].words;
}
