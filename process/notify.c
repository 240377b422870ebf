#include "process/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/span.h"

enum { TEXT = 512, US_PER_MS = 1000 };

void
notify_say(const char *fmt, ...)
{
	char text[TEXT];
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *where = getenv("NOTIFY_SOCKET");
	size_t n = where != NULL ? strlen(where) : 0;
	if (n < 2 || n >= sizeof(to.sun_path) || (where[0] != '/' && where[0] != '@'))
		return;
	memcpy(to.sun_path, where, n);
	if (where[0] == '@') /* an abstract name */
		to.sun_path[0] = '\0';
	va_list ap;
	va_start(ap, fmt);
	int length = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	auto_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || length < 0 || (size_t)length >= sizeof(text))
		return;
	(void)sendto(fd, text, (size_t)length, MSG_NOSIGNAL, (struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

int64_t
notify_watchdog(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	if (us == NULL || (pid != NULL && span_number(span_of(pid)) != getpid()))
		return 0;
	int64_t ms = span_number(span_of(us)) / US_PER_MS / 2;
	return ms > 0 ? ms : 0;
}
