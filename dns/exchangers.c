#include "dns/exchangers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/tlsa.h"

void
exchangers_begin(struct exchangers *out)
{
	*out = (struct exchangers){ .own = EXCHANGER_BEYOND, .unknown = EXCHANGER_BEYOND };
}

/*
 * Most domains have one address or two, and very many may be waited for: none takes the room of the
 * most that there can be.
 */
bool
exchangers_make_room(struct exchangers *out, size_t n)
{
	size_t all = out->n + n < EXCHANGER_ADDRESSES_MAX ? out->n + n : EXCHANGER_ADDRESSES_MAX;
	struct exchanger *v = reallocarray(out->v, all, sizeof(*v));
	if (v == NULL)
		return false;
	out->v = v;
	return true;
}

void
exchangers_add(struct exchangers *out, uint16_t preference, const char *host,
	const struct netaddr *addr)
{
	for (size_t i = 0; i < out->n; i++)
		if (netaddr_eq(&out->v[i].addr, addr) && strcmp(out->v[i].host, host) == 0)
			return;
	if (out->n == EXCHANGER_ADDRESSES_MAX)
		return;
	struct exchanger *x = &out->v[out->n++];
	*x = (struct exchanger){ .preference = preference, .addr = *addr,
		.vouched = out->secure && !out->implicit };
	snprintf(x->host, sizeof(x->host), "%s", host);
}

void
exchangers_explain(struct exchangers *out, const char *domain, const char *what, const char *why)
{
	snprintf(out->why, sizeof(out->why), "%.100s %s: %s", domain, what, why);
}

void
exchangers_note_unknown(struct exchangers *out, int preference, const char *host,
	const char *what, const char *why)
{
	if (preference >= out->unknown)
		return;
	out->unknown = preference;
	exchangers_explain(out, host, what, why);
}

bool
exchangers_own(struct exchangers *out, struct tlsa *t)
{
	struct tlsa **v = reallocarray(out->tlsa, out->tlsas + 1, sizeof(*v));
	if (v == NULL)
		return false;
	out->tlsa = v;
	v[out->tlsas++] = t;
	return true;
}

void
exchangers_free(struct exchangers *e)
{
	for (size_t i = 0; i < e->tlsas; i++)
		tlsa_drop(e->tlsa[i]);
	free(e->tlsa);
	free(e->v);
	e->tlsa = NULL;
	e->tlsas = 0;
	e->v = NULL;
	e->n = 0;
}

int
exchangers_adopt(struct exchangers *out, struct exchangers *more)
{
	for (; more->tlsas > 0; more->tlsas--)
		if (!exchangers_own(out, more->tlsa[more->tlsas - 1]))
			return -ENOMEM;
	return 0;
}

void
exchanger_keep(struct exchanger *out, const struct exchanger *e)
{
	struct exchanger before = *out;
	*out = *e;
	out->tlsa = tlsa_hold(e->tlsa);
	exchanger_drop(&before);
}

void
exchanger_drop(struct exchanger *e)
{
	tlsa_drop(e->tlsa);
	e->tlsa = NULL;
}

void
exchanger_free(struct exchanger *e)
{
	if (e != NULL)
		exchanger_drop(e);
	free(e);
}
