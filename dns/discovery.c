#include "dns/discovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/name.h"

/* ---- questions --------------------------------------------------------------------------- */

/* "_25._tcp." before a name. False: that is longer than a name can be. */
static bool
name_records(dnscc_t *host, uint16_t port, dnsc_t out[static DNS_MAXDN])
{
	char label[8];
	static const char protocol[] = "\4_tcp";
	size_t n = (size_t)snprintf(label, sizeof(label), "_%u", (unsigned)port);
	size_t rest = dns_dnlen(host), before = 1 + n + strlen(protocol);
	if (before + rest > DNS_MAXDN)
		return false;
	out[0] = (dnsc_t)n;
	memcpy(out + 1, label, n);
	memcpy(out + 1 + n, protocol, strlen(protocol));
	memcpy(out + before, host, rest);
	return true;
}

/* There is nothing to ask if the name would be too long. */
static void
ask_for_records(struct question *q, dnscc_t *host, uint16_t port)
{
	dnsc_t name[DNS_MAXDN] = { 0 };
	bool fits = name_records(host, port, name);
	question_set(q, name, TLSA_TYPE);
	q->open = fits;
	q->said = fits ? SAID_NONE : SAID_NO_NAME;
}

void
discovery_prepare(const struct discovery *d, uint16_t port)
{
	ask_for_records(d->own, d->host, port);
	d->own->of[0] = &d->address[0];
	d->own->of[1] = &d->address[1];
}

/* ---- what the addresses say -------------------------------------------------------------- */

/* The answer that brought addresses; NULL: none did. */
static const struct question *
addresses_of(const struct discovery *d)
{
	for (int i = 0; i < 2; i++)
		if (d->address[i].said == SAID_RECORDS)
			return &d->address[i];
	return NULL;
}

/* Does DNSSEC say which addresses the host has? */
static bool
is_secure(const struct discovery *d)
{
	for (int i = 0; i < 2; i++)
		if (d->address[i].said == SAID_RECORDS && !d->address[i].secure)
			return false;
	return addresses_of(d) != NULL;
}

static bool
is_alias(const struct discovery *d)
{
	const struct question *a = addresses_of(d);
	return a != NULL && a->links > 0;
}

/* ---- what is found ------------------------------------------------------------------------ */

/* Is there no answer? An empty one without SOA will do if it was validated. */
static bool
take_trouble(struct discovery *d, const struct question *q)
{
	if (q->said == SAID_TROUBLE || (q->said == SAID_EMPTY && !q->denied))
		d->trouble = q->trouble;
	return d->trouble != NULL;
}

/* By the answer for the records of `base`. True: it decides about this host. */
static bool
take(struct discovery *d, const struct question *q, dnscc_t *base)
{
	const char *trouble;
	if (take_trouble(d, q))
		return true;
	if (q->said != SAID_RECORDS || !q->secure)
		return false;
	d->tlsa = tlsa_read(q, &trouble);
	if (d->tlsa != NULL)
		name_write(base, d->tlsa->base);
	else
		d->trouble = trouble;
	return true;
}

/*
 * Of an alias, when it is known that it is one: where all of the way is secure, the records of its
 * end; else whether the alias is, and the records of that name itself.
 */
static void
ask_about_alias(const struct discovery *d, uint16_t port, struct question q[static 2])
{
	if (is_secure(d)) {
		ask_for_records(&q[0], addresses_of(d)->name, port);
		return; /* the other one is zeroed, and so not open */
	}
	question_set(&q[0], d->host, DNS_T_CNAME);
	ask_for_records(&q[1], d->host, port);
	q[1].of[0] = &q[0];
}

static void
conclude_alias(struct discovery *d, const struct question q[static 2])
{
	if (is_secure(d)) {
		if (!take(d, &q[0], addresses_of(d)->name))
			(void)take(d, d->own, d->host);
	} else if (!take_trouble(d, &q[0]) && q[0].said == SAID_RECORDS && q[0].secure) {
		(void)take(d, &q[1], d->host);
	}
}

/* ... of all of them at once. */
static void
conclude_aliases(struct resolver *r, struct discovery *v, size_t n, size_t aliases, uint16_t port,
	int64_t deadline)
{
	struct question *all = calloc(2 * aliases, sizeof(*all)), *q = all;
	for (size_t i = 0; i < n && all != NULL; i++)
		if (is_alias(&v[i])) {
			ask_about_alias(&v[i], port, q);
			q += 2;
		}
	if (all != NULL)
		question_ask(r, all, 2 * aliases, deadline);
	q = all;
	for (size_t i = 0; i < n; i++) {
		if (!is_alias(&v[i]))
			continue;
		if (all == NULL) {
			v[i].trouble = "out of memory";
			continue;
		}
		conclude_alias(&v[i], q);
		free(q[0].packet);
		free(q[1].packet);
		q += 2;
	}
	free(all);
}

void
discovery_conclude(struct resolver *r, struct discovery *v, size_t n, uint16_t port,
	int64_t deadline)
{
	size_t aliases = 0;
	for (size_t i = 0; i < n; i++)
		if (is_alias(&v[i]))
			aliases++;
		else if (is_secure(&v[i]))
			(void)take(&v[i], v[i].own, v[i].host);
	if (aliases > 0)
		conclude_aliases(r, v, n, aliases, port, deadline);
}
