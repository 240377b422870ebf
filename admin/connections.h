/*
 * connections: to which hosts this machine's relays have connections now, as the kernel tells.
 *
 * Sockets say whose they are and where they lead, but not which lane they are for. Those over UNIX
 * sockets (LMTP) are not seen, and in a container only those of its own network are.
 */
#ifndef POSTERN_CONNECTIONS_H
#define POSTERN_CONNECTIONS_H

#include <sys/types.h>

#include "lib/net.h"

struct connections_host {
	char text[NETADDR_TEXT + 8]; /* "192.0.2.1:25" */
	int n;
};

struct connections {
	struct connections_host *v; /* owned; most connections first */
	size_t n;
	int all;
};

/* Of this user's processes. 0 or -errno. */
int connections_read(struct connections *c, uid_t uid);
void connections_free(struct connections *c);

/* The same of tables like /proc/net/tcp at these paths (NULL: none), for tests. */
int connections_of(struct connections *c, uid_t uid, const char *v4, const char *v6);

#endif
