#include "process/seccomp.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/filter.h"
#include "process/log.h"
#include "process/sieve.h"
#include "process/syscalls.h"

/*
 * Sockets that are open already, as runs of numbers: of a worker they are few, listeners in a row,
 * a log, a monitor. Each run is two instructions; there is a row for each call that has them not.
 */
enum { RUNS = 16, KEPT_CALLS = 3, KEPT_ROW = 2 * RUNS + 4 };
enum { HIGHEST = 256 }; /* a worker's socket to its monitor is the last one (crew.c) */

struct run {
	uint32_t first, last;
};

struct kept {
	struct run run[RUNS];
	int n;
};

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

static bool
is_socket(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* False: there are more runs than a filter has room for. */
static bool
keep(struct kept *k, int fd)
{
	uint32_t number = (uint32_t)fd;
	if (fd < 0)
		return true;
	if (k->n > 0 && k->run[k->n - 1].last + 1 == number) {
		k->run[k->n - 1].last = number;
		return true;
	}
	if (k->n == RUNS)
		return false;
	k->run[k->n++] = (struct run){ number, number };
	return true;
}

/*
 * Sockets that listen, the one to the log and standard error are those of all workers, of the
 * monitor, of the service manager and of all that it started: who shuts one down has shut it down
 * for everybody, and for good. So nobody may that with what was open before it had a client.
 */
static bool
find_kept(enum sandbox_role role, int monitor, struct kept *k)
{
	bool fits = keep(k, STDERR_FILENO);
	if (role != SANDBOX_WORKER)
		return fits && keep(k, log_descriptor()) && keep(k, monitor);
	for (int fd = STDERR_FILENO + 1; fd < HIGHEST && fits; fd++)
		fits = !is_socket(fd) || keep(k, fd);
	return fits;
}

/* A row that refuses the call with such a socket; other rows of the call judge the rest. */
static void
append_kept(struct sock_fprog *to, uint32_t call, const struct kept *k)
{
	const struct sock_filter head[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, (uint8_t)(2 * k->n + 4)), ARGUMENT(0)
	};
	const struct sock_filter tail[] = {
		BPF_STMT(BPF_JMP | BPF_JA, 1), REFUSE, LOAD(nr)
	};
	append(to, head, 2, -1);
	for (int i = 0; i < k->n; i++) {
		const struct sock_filter is[] = {
			BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, k->run[i].first, 0, 1),
			BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, k->run[i].last, 0,
				(uint8_t)(2 * (k->n - i) - 1)),
		};
		append(to, is, 2, -1);
	}
	append(to, tail, 3, -1);
}

/* 0 or -errno. */
static int
append_all_kept(struct sock_fprog *to, enum sandbox_role role, int monitor)
{
	struct kept k = { .n = 0 };
	if (!find_kept(role, monitor, &k))
		return -EMFILE;
	append_kept(to, SYS_shutdown, &k);
	bool copies = role == SANDBOX_SESSION || role == SANDBOX_WORKER;
#ifdef SYS_dup2
	if (copies)
		append_kept(to, SYS_dup2, &k);
#endif
	if (copies)
		append_kept(to, SYS_dup3, &k);
	return 0;
}

int
seccomp_enter(enum sandbox_role role, int monitor)
{
	const struct syscalls calls = syscalls_of(role);
	struct sock_filter code[SYSCALLS_MAX + KEPT_CALLS * KEPT_ROW + SIEVE_MORE];
	struct sock_fprog program = { 0, code };
	if (calls.own == NULL)
		return -ENOSYS;
	append(&program, calls.own, SYSCALLS_HEAD, monitor);
	int r = append_all_kept(&program, role, monitor); /* before who allows these calls */
	if (r < 0)
		return r;
	append(&program, calls.own + SYSCALLS_HEAD, calls.n - SYSCALLS_HEAD, monitor);
	append(&program, calls.also, calls.n_also, monitor);
	r = sieve_arrange(&program, SYSCALLS_HEAD, sizeof(code) / sizeof(code[0]));
	if (r < 0)
		return r;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
