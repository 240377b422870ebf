/* What is closed when a program starts, whatever the kernel can do (K1, L66). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/stdfds.h"

enum { FIRST = 5, FAR = 300, FINE = 10, OPEN, CLOSED, NO_FILTER };

/* Makes two calls fail from now on (0: the second does not). */
static int
forbid(long call, int error, long other)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, other != 0 ? (uint32_t)other : UINT32_MAX, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOENT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -1
		: prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static const struct {
	const char *name;
	long call;
	int error;
	long other;
} rows[] = {
	{ "close_range", 0, 0, 0 },
	{ "an old kernel", SYS_close_range, ENOSYS, 0 },
	{ "a container", SYS_close_range, EPERM, 0 },
	{ "an old kernel without /proc", SYS_close_range, ENOSYS, SYS_openat },
};

static int
child(size_t i)
{
	int null = open("/dev/null", O_RDONLY);
	for (int fd = STDERR_FILENO + 1; fd < FAR; fd++)
		if (fd != null && dup2(null, fd) < 0)
			return NO_FILTER;
	if (rows[i].call != 0 && forbid(rows[i].call, rows[i].error, rows[i].other) < 0)
		return NO_FILTER;
	stdfds_close_from(FIRST);
	for (int fd = 0; fd < FIRST; fd++)
		if (!is_open(fd))
			return CLOSED;
	for (int fd = FIRST; fd < FAR + 2; fd++)
		if (is_open(fd))
			return OPEN;
	return FINE;
}

static void
test_close(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(child(i));
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != FINE)
			fail_msg("%s: %d", rows[i].name, WEXITSTATUS(status));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_close) };
	return cmocka_run_group_tests_name("stdfds", tests, NULL, NULL);
}
