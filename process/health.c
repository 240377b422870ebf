#include "process/health.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "process/listen.h"

enum {
	PATIENCE = 10, /* s, for each step; who is slower is not well */
	GREETING = 512, /* octets, RFC 5321 section 4.5.3.1.5 */
};

static int
complain(const char *address, const char *what)
{
	fprintf(stderr, "smtpd: %s: %s\n", address, what);
	return EX_UNAVAILABLE;
}

int
health_ask(const char *address)
{
	struct sockaddr_storage ss;
	const struct timeval patience = { .tv_sec = PATIENCE };
	char greeting[GREETING];
	socklen_t length = listen_parse(span_of(address), &ss);
	if (length == 0) {
		(void)complain(address, "not ADDRESS:PORT or [IPv6]:PORT");
		return EX_USAGE;
	}
	auto_fd fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return complain(address, strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&ss, length) < 0)
		return complain(address, strerror(errno));
	ssize_t n = recv(fd, greeting, sizeof(greeting), 0);
	if (n <= 0)
		return complain(address, n < 0 ? strerror(errno) : "it said nothing");
	/* Whatever becomes of this, the question is answered. */
	(void)!send(fd, "QUIT\r\n", 6, MSG_NOSIGNAL);
	if (n < 4 || memcmp(greeting, "220", 3) != 0)
		return complain(address, "it takes no mail now");
	return EX_OK;
}
