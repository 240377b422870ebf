#include "process/sources.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

struct sources_table {
	_Atomic int used; /* places, from the first; those behind were never anybody's */
	_Atomic uint64_t network[];
};

uint64_t
sources_network(const struct netaddr *client)
{
	/* Of IPv4 the half that has it, ::ffff:192.0.2.1, which is no network of IPv6. */
	bool four = netaddr_is_v4(client);
	uint64_t n = 0;
	for (size_t i = 0; i < NETADDR_SITE; i++)
		n = n << 8 | client->ip[four ? sizeof(client->ip) - NETADDR_SITE + i : i];
	return n != SOURCES_NOBODY ? n : 1;
}

static size_t
size_of(int places)
{
	return sizeof(struct sources_table) + (size_t)places * sizeof(uint64_t);
}

int
sources_open(struct sources *s, int places)
{
	void *map = mmap(NULL, size_of(places), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	*s = (struct sources){ .places = places, .table = map };
	return 0;
}

void
sources_close(struct sources *s)
{
	munmap(s->table, size_of(s->places));
}

void
sources_set(const struct sources *s, int place, uint64_t network)
{
	atomic_store(&s->table->network[place], network);
	if (place >= atomic_load(&s->table->used))
		atomic_store(&s->table->used, place + 1);
}

uint64_t
sources_get(const struct sources *s, int place)
{
	return atomic_load(&s->table->network[place]);
}

/* How many have somebody of that network. */
static int64_t
count(const struct sources *s, uint64_t network)
{
	int used = atomic_load(&s->table->used);
	int64_t n = 0;
	for (int i = 0; i < used && i < s->places; i++)
		n += atomic_load(&s->table->network[i]) == network;
	return n;
}

bool
sources_take(const struct source *own, uint64_t network, int64_t most)
{
	if (own->all.places == 0 || most == 0)
		return true;
	/* First written, then counted: of two that do so at once one at least sees the other. */
	atomic_store(&own->all.table->network[own->place], network);
	if (count(&own->all, network) <= most)
		return true;
	sources_leave(own);
	return false;
}

void
sources_leave(const struct source *own)
{
	if (own->all.places > 0)
		atomic_store(&own->all.table->network[own->place], SOURCES_NOBODY);
}
