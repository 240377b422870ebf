/*
 * locked_in: processes that lock themselves in, each in a role, and try something. There is a spool
 * with somebody's mail, a directory beside it, sockets, and another process.
 */
#ifndef POSTERN_LOCKED_IN_H
#define POSTERN_LOCKED_IN_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/sandbox.h"
#include "queue/bell.h"
#include "queue/spool.h"

static char spool[] = "/tmp/postern-sandbox-XXXXXX";
static struct spool sp; /* with a lane that has somebody's mail, MAIL */
#define LANE "d.example"
#define MAIL LANE "/mail"
#define LOGIN "relay/h.example/none"
static char beside[] = "/tmp/postern-files-XXXXXX";
static int files; /* that directory, in which a relay may make files */
static int bell_pipe[2];
static int datagram; /* a socket of that kind, not connected */
static int listener; /* a TCP socket on loopback that takes connections */
static int nameless; /* an abstract UNIX socket that takes connections */
static int requests[2]; /* from a session to its monitor, as request.c makes them */
static pid_t victim; /* a process that is not locked in, of the same user */

enum {
	ALONE = 1 << SANDBOX_SESSION, /* that has one client */
	WORKER = 1 << SANDBOX_WORKER,
	SESSION = ALONE | WORKER,
	RELAY = 1 << SANDBOX_RELAY,
	PLAIN = 1 << SANDBOX_HELPER,    /* started for one client */
	WAITING = 1 << SANDBOX_WAITING, /* ... or for one after the other */
	FETCH = 1 << SANDBOX_FETCH,     /* ... with libcurl */
	HELPER = PLAIN | WAITING | FETCH,
};

struct row {
	const char *name;
	long (*try)(void);
	unsigned refused_to; /* the others may */
};

enum { PASSED = 10, REFUSED, FAILED, NOT_ENTERED, NO_LANDLOCK };

static inline bool
refused(long r)
{
	return r < 0 && (errno == EPERM || errno == EACCES);
}

/* What becomes of an attempt in a process of this role. */
static inline int
attempt(enum sandbox_role role, const struct row *row)
{
	pid_t pid = fork();
	if (pid == 0) {
		bool helps = (HELPER >> role & 1) != 0;
		int r = sandbox_enter(role, helps ? NULL : &sp,
			((RELAY | PLAIN | FETCH) >> role & 1) != 0 ? -1 : requests[1]);
		if (r == 1 << SANDBOX_LANDLOCK)
			_exit(NO_LANDLOCK);
		if (r != 0)
			_exit(NOT_ENTERED);
		errno = 0;
		long got = row->try();
		_exit(refused(got) ? REFUSED : got < 0 ? FAILED : PASSED);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Tries all rows in a process of this role. */
static inline void
check(enum sandbox_role role, const struct row *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int got = attempt(role, &row[i]);
		if (got == NO_LANDLOCK)
			skip(); /* this kernel has none, or not enough of it */
		bool want = (row[i].refused_to >> role & 1) != 0;
		if ((got == REFUSED) != want || got == NOT_ENTERED)
			fail_msg("role %d, %s: %d", (int)role, row[i].name, got);
	}
}

/* ... of each role. */
static inline void
check_roles(const struct row *row, size_t n)
{
#ifdef POSTERN_INSTRUMENTED
	skip(); /* such a build is not locked in, so that checkers can work (sandbox.c) */
#endif
	for (int role = SANDBOX_SESSION; role <= SANDBOX_WAITING; role++)
		check((enum sandbox_role)role, row, n);
}

/* ---- what more than one test tries ---- */

static inline long
try_read_outside(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static inline long
try_setns(void)
{
	return syscall(SYS_setns, -1, 0);
}

/* A relay's lock and bell. */
static inline int
make_login(void)
{
	int dir = bell_open_dir(&sp, "h.example", "none");
	int lock = dir < 0 ? dir : bell_lock(dir);
	if (lock < 0)
		return lock;
	close(lock);
	int r = bell_make(dir);
	close(dir);
	return r;
}

static inline int
set_up(void **state)
{
	(void)state;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	nameless = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* the kernel takes a name that is free */
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	if (bind(nameless, (const struct sockaddr *)&any, sizeof(sa_family_t)) < 0 || listen(nameless, 8) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, requests) < 0)
		return -1;
	if (mkdtemp(spool) == NULL || spool_open(&sp, spool) < 0 || make_login() < 0 ||
		pipe(bell_pipe) < 0 ||
		mkdirat(sp.lanes, LANE, 0700) < 0 || mknodat(sp.lanes, MAIL, S_IFREG | 0600, 0) < 0 ||
		bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		listen(listener, 8) < 0)
		return -1;
	if (mkdtemp(beside) == NULL || (files = open(beside, O_RDONLY | O_DIRECTORY)) < 0 ||
		mknodat(files, "kept", S_IFREG | 0600, 0) < 0)
		return -1;
	sandbox_allow_files(files);
	victim = fork();
	if (victim == 0) {
		pause();
		_exit(0);
	}
	return victim > 0 ? 0 : -1;
}

static inline int
tear_down(void **state)
{
	(void)state;
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	unlinkat(files, "kept", 0);
	unlinkat(files, "name", 0);
	unlinkat(files, "beneath", AT_REMOVEDIR); /* the witness that is not locked in made it */
	rmdir(beside);
	unlinkat(sp.lanes, MAIL, 0);
	unlinkat(sp.lanes, LANE, AT_REMOVEDIR);
	unlinkat(sp.root, LOGIN "/lock", 0);
	unlinkat(sp.root, LOGIN "/bell", 0);
	unlinkat(sp.root, LOGIN, AT_REMOVEDIR);
	unlinkat(sp.root, "relay/h.example", AT_REMOVEDIR);
	unlinkat(sp.root, "relay", AT_REMOVEDIR);
	unlinkat(sp.root, "lane", AT_REMOVEDIR);
	unlinkat(sp.root, "tmp", AT_REMOVEDIR);
	unlinkat(sp.root, "aside", AT_REMOVEDIR);
	spool_close(&sp);
	return rmdir(spool);
}

#endif
