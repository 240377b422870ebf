#include "sending/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#include "conf/routes.h"
#include "conf/target.h"
#include "lib/cleanup.h"

void
dial_name(const struct exchanger *to, char out[static DIAL_NAME])
{
	char addr[NETADDR_TEXT];
	netaddr_text(&to->addr, addr);
	if (to->socket)
		snprintf(out, DIAL_NAME, "unix:%s", to->host);
	else
		snprintf(out, DIAL_NAME, "%s[%s]:%d", to->host, addr, to->port);
}

/* Where to, as the system wants it. */
static socklen_t
address_of(const struct exchanger *to, struct sockaddr_storage *ss)
{
	if (!to->socket)
		return netaddr_to(&to->addr, to->port, ss);
	struct sockaddr_un *un = (struct sockaddr_un *)ss;
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(un->sun_path, sizeof(un->sun_path), "%.*s", (int)sizeof(un->sun_path) - 1,
		to->host);
	return sizeof(*un);
}

static int
bind_to(int fd, sa_family_t family, const char *source)
{
	const int late = 1; /* the port is chosen when it is known where to: many more fit */
	struct sources s;
	struct sockaddr_storage ss;
	if (target_sources(span_of(source), &s) < 0)
		return -EINVAL;
	if (!(family == AF_INET ? s.has4 : family == AF_INET6 && s.has6))
		return 0;
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof(late));
	socklen_t n = netaddr_to(family == AF_INET ? &s.v4 : &s.v6, 0, &ss);
	return bind(fd, (const struct sockaddr *)&ss, n) < 0 ? -errno : 0;
}

int
dial_begin(const struct exchanger *to, const char *source)
{
	struct sockaddr_storage ss;
	socklen_t n = address_of(to, &ss);
	auto_fd fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int r = bind_to(fd, ss.ss_family, source);
	if (r < 0)
		return r;
	if (connect(fd, (const struct sockaddr *)&ss, n) < 0 && errno != EINPROGRESS)
		return -errno;
	r = fd;
	fd = -1;
	return r;
}
