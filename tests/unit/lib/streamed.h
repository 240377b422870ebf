/*
 * streamed: a stream with a pair of sockets, for a group of tests.
 */
#ifndef POSTERN_STREAMED_H
#define POSTERN_STREAMED_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/stream.h"

enum { MINE, PEER, LIMIT = 10, JUNK = 60 };
enum { SOON = 20 /* ms, of what is to be too late */, LONG = 60 /* s, of what is not */ };

static struct stream s; /* large */

static inline void
pair(int type, int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd), 0);
}

static inline void
close_pair(const int fd[2])
{
	close(fd[MINE]);
	close(fd[PEER]);
}

static inline void
give(int fd, const char *p, size_t n)
{
	if (n > 0)
		assert_int_equal(write(fd, p, n), n);
}

/* Nothing here waits until that is over. */
static inline int64_t
in_time(void)
{
	return clock_deadline(LONG);
}

static inline bool
never(void *listener)
{
	(void)listener;
	return false;
}

#endif
