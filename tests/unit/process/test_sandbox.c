/*
 * What a locked-in process cannot do (K-rows; the session's promise in docs/ARCHITECTURE.md), tried by
 * processes that locked themselves in.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/sandbox.h"

static char spool[] = "/tmp/postern-sandbox-XXXXXX";
static int datagram; /* a socket of that kind, not connected */
static int listener; /* a TCP socket on loopback that takes connections */
static pid_t victim; /* a process that is not locked in, of the same user */

static bool
refused(long r)
{
	return r < 0 && (errno == EPERM || errno == EACCES);
}

static long
try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long
try_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

/* Landlock, where the filter lets sockets be. */
static long
try_bind(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(2525) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? fd : bind(fd, (struct sockaddr *)&a, sizeof(a));
}

/* From an address of our choice: a relay connects so. */
static long
try_source(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? fd : bind(fd, (struct sockaddr *)&a, sizeof(a));
}

/* Without a bind the kernel takes a port that is free. */
static long
try_listen(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? fd : listen(fd, 1);
}

static long
try_connect(void)
{
	struct sockaddr_in a;
	socklen_t n = sizeof(a);
	if (getsockname(listener, (struct sockaddr *)&a, &n) < 0)
		return -1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? fd : connect(fd, (struct sockaddr *)&a, n);
}

/* From a socket that was open before, to an address of our choice. */
static long
try_sendto(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
	return sendto(datagram, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&a, sizeof(a));
}

static long
try_exec(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}

static long
try_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long
try_clone3(void)
{
	return syscall(SYS_clone3, NULL, 0);
}

static long
try_read_outside(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static long
try_list_outside(void)
{
	return open("/", O_RDONLY | O_DIRECTORY);
}

static long
try_write_outside(void)
{
	return open("/tmp/postern-sandbox-outside", O_WRONLY | O_CREAT, 0600);
}

static long
try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, victim, NULL, NULL);
}

static long
try_kill(void)
{
	return kill(victim, 0);
}

static long
try_kill_parent(void)
{
	return kill(getppid(), SIGTERM);
}

static long
try_chmod(void)
{
	return chmod(spool, 0777);
}

static long
try_symlink(void)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/link", spool);
	return symlink("/etc/passwd", path);
}

static long
try_fifo(void)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/fifo", spool);
	return mkfifo(path, 0600);
}

static long
try_unshare(void)
{
	return syscall(SYS_unshare, 0x10000000); /* a user namespace */
}

static long
try_keyctl(void)
{
	return syscall(SYS_keyctl, 0, -3, 0, 0, 0);
}

static long
try_x32(void)
{
#ifdef __x86_64__
	return syscall(0x40000000 + SYS_getpid);
#else
	errno = EPERM;
	return -1;
#endif
}

static long
try_spool(void)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/file", spool);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	return fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) < 0 ? -1
		: unlinkat(AT_FDCWD, path, 0);
}

enum { SESSION = 1 << SANDBOX_SESSION, RELAY = 1 << SANDBOX_RELAY, HELPER = 1 << SANDBOX_HELPER };

static const struct row {
	const char *name;
	long (*try)(void);
	unsigned refused_to; /* the others may */
} rows[] = {
	{ "the spool", try_spool, HELPER },
	{ "a TCP socket", try_socket, SESSION | HELPER },
	{ "a Unix socket", try_unix_socket, SESSION | HELPER },
	{ "a port of our choice", try_bind, SESSION | RELAY | HELPER },
	{ "an address of our choice", try_source, SESSION | HELPER },
	{ "serving TCP", try_listen, SESSION | RELAY | HELPER },
	{ "connecting", try_connect, SESSION | HELPER },
	{ "sending elsewhere", try_sendto, SESSION },
	{ "exec", try_exec, SESSION | RELAY | HELPER },
	{ "fork", try_fork, SESSION | HELPER },
	{ "clone3", try_clone3, SESSION | RELAY | HELPER },
	{ "reading outside", try_read_outside, SESSION | RELAY | HELPER },
	{ "listing outside", try_list_outside, SESSION | RELAY | HELPER },
	{ "writing outside", try_write_outside, SESSION | RELAY | HELPER },
	{ "tracing", try_ptrace, SESSION | RELAY | HELPER },
	{ "a signal to another process", try_kill, SESSION | RELAY | HELPER },
	{ "a signal to the monitor", try_kill_parent, SESSION | RELAY | HELPER },
	{ "chmod", try_chmod, SESSION | HELPER },
	{ "a symbolic link", try_symlink, SESSION | RELAY | HELPER },
	{ "a fifo", try_fifo, SESSION | RELAY | HELPER },
	{ "namespaces", try_unshare, SESSION | RELAY | HELPER },
	{ "keys", try_keyctl, SESSION | RELAY | HELPER },
	{ "calls of x32", try_x32, SESSION | RELAY | HELPER },
};

enum { PASSED = 10, REFUSED, FAILED, NOT_ENTERED, NO_LANDLOCK };

/* What becomes of an attempt in a process of this role. */
static int
attempt(enum sandbox_role role, const struct row *row)
{
	pid_t pid = fork();
	if (pid == 0) {
		int dir = open(spool, O_RDONLY | O_DIRECTORY);
		int r = sandbox_enter(role, role == SANDBOX_HELPER ? -1 : dir);
		if (r == -ENOSYS)
			_exit(NO_LANDLOCK);
		if (r < 0)
			_exit(NOT_ENTERED);
		errno = 0;
		long got = row->try();
		_exit(refused(got) ? REFUSED : got < 0 ? FAILED : PASSED);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void
test_rows(void **state)
{
	(void)state;
#ifdef POSTERN_INSTRUMENTED
	skip(); /* such a build is not locked in, so that checkers can work (sandbox.c) */
#endif
	for (int role = SANDBOX_SESSION; role <= SANDBOX_HELPER; role++) {
		for (size_t i = 0; i < ROWS(rows); i++) {
			int got = attempt((enum sandbox_role)role, &rows[i]);
			if (got == NO_LANDLOCK)
				skip(); /* this kernel has none, or not enough of it */
			bool want = (rows[i].refused_to >> role & 1) != 0;
			if ((got == REFUSED) != want || got == NOT_ENTERED)
				fail_msg("role %d, %s: %d", role, rows[i].name, got);
		}
	}
}

static int
set_up(void **state)
{
	(void)state;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (mkdtemp(spool) == NULL || bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		listen(listener, 8) < 0)
		return -1;
	victim = fork();
	if (victim == 0) {
		pause();
		_exit(0);
	}
	return victim > 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	return rmdir(spool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
	};
	return cmocka_run_group_tests_name("sandbox", tests, set_up, tear_down);
}
