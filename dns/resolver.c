#include "dns/resolver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/question.h"
#include "lib/cleanup.h"

struct resolver *
resolver_open(const struct sockaddr_storage *servers, int n, const char *hostname)
{
	struct resolver *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	if (dns_ptodn(hostname, 0, r->own, sizeof(r->own), NULL) <= 0)
		r->own[0] = 0;
	(void)resolver_use_servers(r, servers, n, false);
	return r;
}

/*
 * Docker hands on what it hears from servers elsewhere, the bit that says "validated" included, by
 * an address of loopback.
 */
static bool
is_forwarder(const struct netaddr *a)
{
	static const uint8_t docker[] = { 127, 0, 0, 11 };
	return netaddr_is_v4(a) && memcmp(a->ip + 12, docker, sizeof(docker)) == 0;
}

bool
resolver_trusts(const struct netlist *vouchers, const struct sockaddr_storage *server)
{
	struct netaddr a;
	if (netaddr_from((const struct sockaddr *)server, &a) < 0)
		return false;
	return (netaddr_is_loopback(&a) && !is_forwarder(&a)) ||
		(vouchers != NULL && netlist_contains(vouchers, &a));
}

void
resolver_trust(struct resolver *r, const struct netlist *vouchers)
{
	r->vouchers = vouchers;
	r->trusted = r->servers > 0;
	for (int i = 0; i < r->servers; i++)
		r->trusted = r->trusted && resolver_trusts(vouchers, &r->server[i]);
}

bool
resolver_is_trusted(const struct resolver *r)
{
	return r->trusted;
}

void
resolver_use_dane(struct resolver *r, uint16_t port)
{
	r->dane = port;
}

bool
resolver_use_servers(struct resolver *r, const struct sockaddr_storage *servers, int n, bool tcp)
{
	struct resolver now = { .tcp = tcp, .hosts = r->hosts, .is_copy = r->is_copy };
	memcpy(now.own, r->own, sizeof(now.own));
	for (int i = 0; i < n && i < DNS_MAXSERV; i++)
		now.server[now.servers++] = servers[i];
	resolver_trust(&now, r->vouchers);
	bool others = !resolver_is_like(&now, r);
	if (others)
		*r = now;
	return others;
}

bool
resolver_is_like(const struct resolver *r, const struct resolver *other)
{
	return r->servers == other->servers && r->tcp == other->tcp &&
		memcmp(r->server, other->server, sizeof(r->server)) == 0;
}

void
resolver_use_tcp(struct resolver *r)
{
	r->tcp = true;
}

void
resolver_use_hosts(struct resolver *r, const char *path)
{
	r->hosts = fopen(path, "re");
}

struct resolver *
resolver_copy(const struct resolver *r)
{
	struct resolver *copy = malloc(sizeof(*copy));
	if (copy == NULL)
		return NULL;
	*copy = *r;
	copy->is_copy = true;
	return copy;
}

void
resolver_close(struct resolver *r)
{
	if (!r->is_copy)
		cleanup_file(&r->hosts);
	free(r);
}
