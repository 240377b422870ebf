#include "delivery/resolvers.h"

#include <pthread.h>
#include <stdlib.h>

struct resolvers {
	pthread_mutex_t lock;   /* of what follows */
	struct resolver *first; /* which the others are made after */
	struct resolver **idle;
	size_t n, size;         /* of them, and places */
};

struct resolvers *
resolvers_open(const struct conf_servers *servers, const char *hosts, const char *hostname)
{
	struct resolvers *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->first = resolver_open(servers->v, servers->n, hostname);
	if (r->first == NULL) {
		free(r);
		return NULL;
	}
	if (servers->tcp)
		resolver_use_tcp(r->first);
	resolver_use_hosts(r->first, hosts);
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

bool
resolvers_trust(struct resolvers *r, const struct netlist *vouchers)
{
	resolver_trust(r->first, vouchers);
	return resolver_is_trusted(r->first);
}

struct resolver *
resolvers_take(struct resolvers *r)
{
	pthread_mutex_lock(&r->lock);
	struct resolver *one = r->n > 0 ? r->idle[--r->n] : resolver_copy(r->first);
	pthread_mutex_unlock(&r->lock);
	return one;
}

bool
resolvers_change(struct resolvers *r, const struct conf_servers *servers)
{
	pthread_mutex_lock(&r->lock);
	bool others = resolver_use_servers(r->first, servers->v, servers->n, servers->tcp);
	while (others && r->n > 0)
		resolver_close(r->idle[--r->n]);
	pthread_mutex_unlock(&r->lock);
	return others;
}

static bool
keep(struct resolvers *r, struct resolver *one)
{
	if (r->n == r->size) {
		size_t size = 2 * r->size + 1;
		struct resolver **idle = reallocarray(r->idle, size, sizeof(*idle));
		if (idle == NULL)
			return false;
		r->idle = idle;
		r->size = size;
	}
	r->idle[r->n++] = one;
	return true;
}

void
resolvers_give_back(struct resolvers *r, struct resolver *one)
{
	pthread_mutex_lock(&r->lock);
	bool kept = one == NULL || (resolver_is_like(one, r->first) && keep(r, one));
	pthread_mutex_unlock(&r->lock);
	if (!kept)
		resolver_close(one);
}

void
resolvers_close(struct resolvers *r)
{
	if (r == NULL)
		return;
	while (r->n > 0)
		resolver_close(r->idle[--r->n]);
	free(r->idle);
	resolver_close(r->first);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
