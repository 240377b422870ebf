#include "delivery/outage.h"

#include <errno.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/net.h"

enum { PORT_DISCARD = 9 };

/* To connect a datagram socket is to look for a route, and no more. */
static bool
has_route(const char *address)
{
	struct netaddr a;
	struct sockaddr_storage ss;
	if (netaddr_parse(span_of(address), &a) < 0)
		return false;
	socklen_t n = netaddr_to(&a, PORT_DISCARD, &ss);
	auto_fd fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && connect(fd, (const struct sockaddr *)&ss, n) == 0;
}

bool
outage_is_by(bool v4)
{
	/* Any public address will do. These are a root server's, which will not be moved soon. */
	return !has_route(v4 ? "198.41.0.4" : "2001:503:ba3e::2:30");
}

bool
outage_is_now(void)
{
	return outage_is_by(true) && outage_is_by(false);
}

bool
outage_is_error(int err)
{
	/* The last two: of routes that say "prohibit", or "blackhole", as a VPN leaves them. */
	return err == -ENETUNREACH || err == -EHOSTUNREACH || err == -ENETDOWN ||
		err == -EADDRNOTAVAIL || err == -EACCES || err == -EINVAL;
}
