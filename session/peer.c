#include "session/peer.h"

#include <errno.h>
#include <stdio.h>

int
peer_of(int fd, struct peer *out)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	struct peer p = { .local = true };
	snprintf(p.text, sizeof(p.text), "local");
	if (getpeername(fd, (struct sockaddr *)&ss, &n) == 0) {
		p.socket = true;
		if (netaddr_from((struct sockaddr *)&ss, &p.addr) == 0) {
			p.local = false;
			netaddr_literal(&p.addr, p.text);
		}
	} else if (errno != ENOTSOCK) {
		return -errno;
	}
	*out = p;
	return 0;
}

void
peer_become(struct peer *p, const struct netaddr *client)
{
	p->local = false;
	p->addr = *client;
	netaddr_literal(client, p->text);
}
