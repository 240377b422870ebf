#include "lib/wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

static _Thread_local int told = -1;

void
wait_until_told(int fd)
{
	told = fd;
}

int
wait_told_by(void)
{
	return told;
}

bool
wait_is_told(void)
{
	struct pollfd p = { .fd = told, .events = POLLIN };
	return told >= 0 && poll(&p, 1, 0) > 0;
}

void
wait_tell(int fd)
{
	const uint64_t one = 1;
	(void)!write(fd, &one, sizeof(one));
}

void
wait_forget(int fd)
{
	uint64_t count;
	(void)!read(fd, &count, sizeof(count));
}

int
wait_which(int fd, short events, int64_t deadline, const volatile int *stop)
{
	for (;;) {
		if (stop != NULL && *stop)
			return -ECANCELED;
		struct pollfd p[] = { { .fd = fd, .events = events },
			{ .fd = told, .events = POLLIN } };
		int left = clock_left(deadline);
		struct timespec t = { left / 1000, (long)(left % 1000) * 1000000 };
		sigset_t none;
		sigemptyset(&none);
		int r = ppoll(p, told < 0 ? 1 : 2, left < 0 ? NULL : &t, &none);
		if (r == 0 || (r > 0 && p[1].revents != 0))
			return -ETIMEDOUT;
		if (r > 0)
			return p[0].revents;
		if (errno != EINTR)
			return -errno;
	}
}

int
wait_for(int fd, short events, int64_t deadline, const volatile int *stop)
{
	int r = wait_which(fd, events, deadline, stop);
	return r < 0 ? r : 0;
}

bool
wait_is_ready(int fd, short events)
{
	return wait_for(fd, events, 0, NULL) == 0;
}
