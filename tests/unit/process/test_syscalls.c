/*
 * syscalls: which system calls a locked-in process has not (M8, K1), and what it can do with memory,
 * processes and threads, tried by processes that locked themselves in.
 */
#include "tests/unit/process/locked_in.h"

#include <linux/landlock.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

/* A child with namespaces of its own, in which it would be root. */
static long
try_clone_namespaces(void)
{
	return syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNET | SIGCHLD, 0L, 0L, 0L, 0L);
}

static long
try_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? -1 : 0;
}

static long
try_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? -1 : 0;
}

static long
try_exec(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}

static long
try_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid;
}

static int
end_child(void *unused)
{
	(void)unused;
	return 0;
}

/* A process that shares what `flags` say. */
static long
make_child(int flags)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	return clone(end_child, stack + sizeof(stack), flags, NULL, NULL, NULL, NULL);
}

static long
try_clone_memory(void)
{
	return make_child(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | SIGCHLD);
}

static long
try_clone_vfork(void)
{
	return make_child(CLONE_VM | CLONE_VFORK | SIGCHLD);
}

/* Said to be missing, it is refused as well. */
static long
try_clone3(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	long r = syscall(SYS_clone3, &args, sizeof(args));
	if (r == 0)
		_exit(0);
	if (r < 0 && errno == ENOSYS)
		errno = EPERM;
	return r;
}

static void *
do_nothing(void *ran)
{
	*(volatile bool *)ran = true;
	return NULL;
}

/* As the C library makes one, which is content with clone(2) where there is no clone3(2). */
static long
try_thread(void)
{
	pthread_t thread;
	volatile bool ran = false;
	int err = pthread_create(&thread, NULL, do_nothing, (void *)(uintptr_t)&ran);
	if (err == 0)
		err = pthread_join(thread, NULL);
	errno = err;
	return err == 0 && ran ? 0 : -1;
}

/* How threads tell each other something. */
static long
try_event(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static long
try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, victim, NULL, NULL);
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

/* By which a relay knows whether its bell was full. */
static long
try_pipe_size(void)
{
	return fcntl(bell_pipe[0], F_GETPIPE_SZ);
}

static long
try_tell(void)
{
	return lseek(datagram, 0, SEEK_CUR);
}

static long
try_seek(void)
{
	return lseek(datagram, 1, SEEK_CUR);
}

static long
try_seek_far(void)
{
	return lseek(datagram, INT64_C(1) << 32, SEEK_CUR);
}

static const struct row rows[] = {
	{ "the size of a pipe", try_pipe_size, 0 },
	{ "an event", try_event, SESSION | HELPER },
	{ "where a file stands", try_tell, 0 },
	{ "to stand elsewhere", try_seek, SESSION | HELPER },
	{ "to stand far away", try_seek_far, SESSION | HELPER },
	{ "a child in namespaces of its own", try_clone_namespaces, SESSION | RELAY | HELPER },
	{ "code of its own", try_code, SESSION | RELAY | HELPER },
	{ "memory", try_memory, 0 },
	{ "exec", try_exec, SESSION | RELAY | HELPER },
	{ "a thread", try_thread, SESSION | HELPER },
	{ "fork", try_fork, SESSION | RELAY | HELPER },
	{ "a child with all that threads have", try_clone_memory, SESSION | RELAY | HELPER },
	{ "a child that is waited for", try_clone_vfork, SESSION | RELAY | HELPER },
	{ "clone3", try_clone3, SESSION | RELAY | HELPER },
	{ "tracing", try_ptrace, SESSION | RELAY | HELPER },
	{ "namespaces", try_unshare, SESSION | RELAY | HELPER },
	{ "keys", try_keyctl, SESSION | RELAY | HELPER },
	{ "calls of x32", try_x32, SESSION | RELAY | HELPER },
};

/*
 * What follows is refused to a relay by its filter alone (M8), so the arguments are such that the
 * kernel itself has another reason to refuse the call, or none: EPERM comes from the filter then,
 * whoever runs this.
 */

static long
try_add_key(void)
{
	return syscall(SYS_add_key, "user", "x", "x", 1L, -2); /* of the process */
}

static long
try_request_key(void)
{
	return syscall(SYS_request_key, "user", NULL, NULL, 0L);
}

/* Half a thread: without CLONE_VM, which it needs. Nobody can make one so. */
static long
try_clone_thread(void)
{
	return syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0L, 0L, 0L, 0L);
}

static long
try_execve_of_nothing(void)
{
	return syscall(SYS_execve, NULL, NULL, NULL);
}

static long
try_execveat(void)
{
	return syscall(SYS_execveat, -1, NULL, NULL, NULL, 0);
}

static long
try_ptrace_of_nobody(void)
{
	return syscall(SYS_ptrace, 0x7fff, 0, NULL, NULL);
}

static long
try_read_memory(void)
{
	return syscall(SYS_process_vm_readv, victim, NULL, 0L, NULL, 0L, 1L);
}

static long
try_write_memory(void)
{
	return syscall(SYS_process_vm_writev, victim, NULL, 0L, NULL, 0L, 1L);
}

static long
try_mount(void)
{
	return syscall(SYS_mount, NULL, NULL, (void *)1, 0L, NULL);
}

static long
try_unshare_nothing(void)
{
	return syscall(SYS_unshare, 0L);
}

static long
try_bpf(void)
{
	return syscall(SYS_bpf, -1, NULL, 1U << 20);
}

static long
try_keyctl_of_no_kind(void)
{
	return syscall(SYS_keyctl, -1, 0L, 0L, 0L, 0L);
}

static long
try_perf_event_open(void)
{
	return syscall(SYS_perf_event_open, NULL, 0, -1, -1, ~0UL);
}

static long
try_userfaultfd(void)
{
	/* of user mode only, which anybody may have */
	return syscall(SYS_userfaultfd, 1 | 0x40000000);
}

static long
try_io_uring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL);
}

static long
try_old_fork(void)
{
#ifdef SYS_fork
	long r = syscall(SYS_fork);
	if (r == 0)
		_exit(0);
	return r;
#else
	errno = EPERM;
	return -1;
#endif
}

static long
try_vfork(void)
{
#ifdef SYS_vfork
	long r = vfork();
	if (r == 0)
		_exit(0);
	return r;
#else
	errno = EPERM;
	return -1;
#endif
}

/*
 * A socket of another process, by its abstract name (ABI 6 of Landlock). One with a path is fine:
 * LMTP.
 */
static long
try_abstract(void)
{
	struct sockaddr_un a;
	socklen_t n = sizeof(a);
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 6) {
		errno = EPERM; /* this kernel cannot refuse it */
		return -1;
	}
	if (getsockname(nameless, (struct sockaddr *)&a, &n) < 0)
		return 0;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return fd < 0 ? fd : connect(fd, (struct sockaddr *)&a, n);
}

/* Each call of a relay's filter, and what else is refused by one word of the code. */
static const struct row calls[] = {
	{ "execve", try_execve_of_nothing, SESSION | RELAY | HELPER },
	{ "execveat", try_execveat, SESSION | RELAY | HELPER },
	{ "ptrace", try_ptrace_of_nobody, SESSION | RELAY | HELPER },
	{ "reading another's memory", try_read_memory, SESSION | RELAY | HELPER },
	{ "writing another's memory", try_write_memory, SESSION | RELAY | HELPER },
	{ "mount", try_mount, SESSION | RELAY | HELPER },
	{ "unshare", try_unshare_nothing, SESSION | RELAY | HELPER },
	{ "setns", try_setns, SESSION | RELAY | HELPER },
	{ "bpf", try_bpf, SESSION | RELAY | HELPER },
	{ "keyctl", try_keyctl_of_no_kind, SESSION | RELAY | HELPER },
	{ "add_key", try_add_key, SESSION | RELAY | HELPER },
	{ "request_key", try_request_key, SESSION | RELAY | HELPER },
	{ "half a thread", try_clone_thread, SESSION | RELAY | HELPER },
	{ "perf_event_open", try_perf_event_open, SESSION | RELAY | HELPER },
	{ "userfaultfd", try_userfaultfd, SESSION | RELAY | HELPER },
	{ "io_uring", try_io_uring, SESSION | RELAY | HELPER },
	{ "the old fork", try_old_fork, SESSION | RELAY | HELPER },
	{ "vfork", try_vfork, SESSION | RELAY | HELPER },
	{ "an abstract socket of another", try_abstract, SESSION | RELAY | HELPER },
};

/* In a process that is not locked in: a call that it is refused too can tell nothing here. */
static bool
can_tell(const struct row *row)
{
	pid_t pid = fork();
	if (pid == 0) {
		errno = 0;
		_exit(refused(row->try()) ? REFUSED : PASSED);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return !WIFEXITED(status) || WEXITSTATUS(status) != REFUSED;
}

static void
test_rows(void **state)
{
	(void)state;
	check_roles(rows, ROWS(rows));
}

/* M8, K1 */
static void
test_calls(void **state)
{
	(void)state;
	check_roles(calls, ROWS(calls));
}

/* What is refused to a process that is not locked in, too, says nothing about the filter. */
static void
test_calls_can_tell(void **state)
{
	(void)state;
	size_t tell = 0;
	for (size_t i = 0; i < ROWS(calls); i++) {
		bool can = can_tell(&calls[i]);
		tell += can;
		if (!can)
			print_message("%s: refused to everybody here\n", calls[i].name);
	}
	assert_true(tell > ROWS(calls) / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_calls_can_tell),
	};
	return cmocka_run_group_tests_name("syscalls", tests, set_up, tear_down);
}
