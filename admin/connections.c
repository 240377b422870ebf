#include "admin/connections.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

enum {
	ESTABLISHED = 1, /* of the kernel's tcp_states.h */
	LISTEN = 10,
	DNS_PORT = 53,
	PORTS = 65536,
	WORDS = 4, /* of an IPv6 address there, as this machine has them in memory */
};

struct row {
	uint32_t there[WORDS];
	unsigned local, remote, state;
	uid_t uid;
};

/* A host and port that some were connected to, while they are gathered. */
struct gather {
	struct connections *c;
	uid_t uid;
	bool listened[PORTS]; /* by anybody: who is connected there is a client */
};

/* "4: <here>:<port> <there>:<port> <state> ... <uid> ...", hexadecimal. False: it is not a row. */
static bool
read_row(const char *line, int words, struct row *r)
{
	char here[40], there[40];
	unsigned long uid;
	*r = (struct row){ .local = 0 };
	if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%4x %32[0-9A-Fa-f]:%4x %2x %*s %*s %*s %lu", here,
		    &r->local, there, &r->remote, &r->state, &uid) != 6 ||
		strlen(there) != (size_t)words * 8)
		return false;
	for (int i = 0; i < words; i++)
		if (sscanf(there + (size_t)i * 8, "%8" SCNx32, &r->there[i]) != 1)
			return false;
	r->uid = (uid_t)uid;
	return true;
}

static void
name_host(const struct row *r, int words, char *text, size_t size)
{
	struct sockaddr_storage ss = { .ss_family = words == 1 ? AF_INET : AF_INET6 };
	struct netaddr a;
	char name[NETADDR_TEXT];
	if (words == 1)
		memcpy(&((struct sockaddr_in *)(void *)&ss)->sin_addr, r->there, 4);
	else
		memcpy(&((struct sockaddr_in6 *)(void *)&ss)->sin6_addr, r->there, 16);
	if (netaddr_from((struct sockaddr *)&ss, &a) < 0)
		snprintf(name, sizeof(name), "?");
	else
		netaddr_text(&a, name);
	snprintf(text, size, strchr(name, ':') != NULL ? "[%s]:%u" : "%s:%u", name, r->remote);
}

static int
add(struct connections *c, const char *text)
{
	c->all++;
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->v[i].text, text) == 0) {
			c->v[i].n++;
			return 0;
		}
	struct connections_host *v = reallocarray(c->v, c->n + 1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	c->v = v;
	snprintf(v[c->n].text, sizeof(v[c->n].text), "%s", text);
	v[c->n++].n = 1;
	return 0;
}

static int
take_row(struct gather *g, const struct row *r, int words, bool listeners)
{
	char text[sizeof(g->c->v->text)];
	if (listeners) {
		g->listened[r->local % PORTS] |= r->state == LISTEN;
		return 0;
	}
	if (r->state != ESTABLISHED || r->uid != g->uid || r->remote == DNS_PORT ||
		g->listened[r->local % PORTS])
		return 0;
	name_host(r, words, text, sizeof(text));
	return add(g->c, text);
}

/* One table, for listeners or for connections. What is not there has none. */
static int
read_table(struct gather *g, const char *path, int words, bool listeners)
{
	auto_file f = path != NULL ? fopen(path, "re") : NULL;
	auto_memory char *line = NULL;
	size_t size = 0;
	int r = 0;
	while (f != NULL && r == 0 && getline(&line, &size, f) > 0) {
		struct row row;
		if (read_row(line, words, &row))
			r = take_row(g, &row, words, listeners);
	}
	return r;
}

static int
compare(const void *a, const void *b)
{
	const struct connections_host *x = a, *y = b;
	return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->text, y->text);
}

int
connections_of(struct connections *c, uid_t uid, const char *v4, const char *v6)
{
	*c = (struct connections){ .n = 0 };
	auto_memory struct gather *g = calloc(1, sizeof(*g)); /* 64 KiB */
	if (g == NULL)
		return -ENOMEM;
	g->c = c;
	g->uid = uid;
	int r = read_table(g, v4, 1, true);
	if (r == 0)
		r = read_table(g, v6, WORDS, true);
	if (r == 0)
		r = read_table(g, v4, 1, false);
	if (r == 0)
		r = read_table(g, v6, WORDS, false);
	if (c->n > 0)
		qsort(c->v, c->n, sizeof(*c->v), compare);
	return r;
}

int
connections_read(struct connections *c, uid_t uid)
{
	return connections_of(c, uid, "/proc/self/net/tcp", "/proc/self/net/tcp6");
}

void
connections_free(struct connections *c)
{
	free(c->v);
	*c = (struct connections){ .n = 0 };
}
