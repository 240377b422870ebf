#include "process/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "process/filter.h"
#include "process/sieve.h"
#include "process/syscalls.h"

/* What a worker has open when it locks itself in, beside standard input and output: not more. */
enum { SHARED = 64 };
enum { SHARED_FILTER = SHARED + 4 }; /* instructions about that */

/* Adds instructions behind those that are there, the number of the monitor's socket put in. */
static void
append(struct sock_fprog *to, const struct sock_filter *from, size_t n, int monitor)
{
	for (size_t i = 0; i < n; i++) {
		struct sock_filter *at = &to->filter[to->len++];
		*at = from[i];
		if (BPF_CLASS(at->code) == BPF_JMP && at->k == TO_MONITOR)
			at->k = (uint32_t)monitor;
	}
}

/* What is open now above standard output. How many; more than SHARED are not all told. */
static int
find_open(int fds[static SHARED])
{
	enum { HIGHEST = 256 }; /* the monitor's socket is the last one (crew.c) */
	int n = 0;
	for (int fd = STDERR_FILENO; fd < HIGHEST && n <= SHARED; fd++)
		if (fcntl(fd, F_GETFD) >= 0) {
			if (n < SHARED)
				fds[n] = fd;
			n++;
		}
	return n;
}

/*
 * Sockets that listen, and the one to the log, are those of all workers, of the monitor and of
 * systemd: who shuts one down has shut it down for everybody, and for good. So no worker may that
 * with what was open before it had a client. 0 or -errno.
 */
static int
append_shutdown(struct sock_fprog *to)
{
	int fds[SHARED];
	int n = find_open(fds);
	if (n > SHARED)
		return -EMFILE;
	const struct sock_filter head[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_shutdown, 0, (uint8_t)(n + 3)), ARGUMENT(0)
	};
	const struct sock_filter tail[] = { ALLOWED, REFUSE };
	append(to, head, 2, -1);
	for (int i = 0; i < n; i++) {
		struct sock_filter is = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)fds[i],
			(uint8_t)(n - i), 0);
		append(to, &is, 1, -1);
	}
	append(to, tail, 2, -1);
	return 0;
}

int
seccomp_enter(enum sandbox_role role, int monitor)
{
	const struct syscalls calls = syscalls_of(role);
	struct sock_filter code[SYSCALLS_MAX + SHARED_FILTER + SIEVE_MORE];
	struct sock_fprog program = { 0, code };
	if (calls.own == NULL)
		return -ENOSYS;
	append(&program, calls.own, calls.n, monitor);
	int r = role == SANDBOX_WORKER ? append_shutdown(&program) : 0;
	if (r < 0)
		return r;
	append(&program, calls.also, calls.n_also, monitor);
	r = sieve_arrange(&program, SYSCALLS_HEAD, sizeof(code) / sizeof(code[0]));
	if (r < 0)
		return r;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
