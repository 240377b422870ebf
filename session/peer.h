/* peer: the client's end of standard input. */
#ifndef POSTERN_PEER_H
#define POSTERN_PEER_H

#include <stdbool.h>

#include "lib/net.h"

struct peer {
	bool socket;                 /* lines end with CRLF only */
	bool local;                  /* a pipe, a terminal, a file or AF_UNIX: on this host */
	struct netaddr addr;         /* unless local */
	char text[NETADDR_LITERAL];  /* "[192.0.2.1]", or "local" */
};

/* Looks at `fd`. 0, or -errno when it is a socket whose peer has gone. */
int peer_of(int fd, struct peer *out);

/* A proxy said that the client is at `client`. */
void peer_become(struct peer *p, const struct netaddr *client);

#endif
