/*
 * sandbox: what a process that locks itself in has given up, by what the kernel tells of it, and
 * what it does where the kernel does not have all of it.
 */
#include "tests/unit/process/locked_in.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

/* Makes a call fail from now on, as a kernel or a container might. */
static int
forbid(long call, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -1
		: prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* L66: what a kernel does not have is told, and the rest holds; what else goes wrong is an error. */
static const struct {
	long call;
	int error, want;
} troubles[] = {
	{ SYS_seccomp, EPERM, 1 << SANDBOX_SECCOMP },
	{ SYS_seccomp, EINVAL, 1 << SANDBOX_SECCOMP },
	{ SYS_seccomp, ENOSYS, 1 << SANDBOX_SECCOMP },
	{ SYS_seccomp, EACCES, 1 << SANDBOX_SECCOMP },
	{ SYS_seccomp, ENOMEM, -ENOMEM },
	{ SYS_capset, EPERM, 1 << SANDBOX_CAPABILITIES },
	{ SYS_prctl, ENOSYS, 1 << SANDBOX_DUMPABLE | 1 << SANDBOX_PRIVILEGES },
	{ SYS_landlock_restrict_self, EPERM, 1 << SANDBOX_LANDLOCK },
	{ SYS_landlock_restrict_self, ENOMEM, -ENOMEM },
	{ SYS_landlock_add_rule, EBADF, -EBADF },
	{ SYS_landlock_create_ruleset, EPERM, 1 << SANDBOX_LANDLOCK },
	{ SYS_landlock_create_ruleset, EINVAL, 1 << SANDBOX_LANDLOCK },
	{ SYS_landlock_create_ruleset, ENOSYS, 1 << SANDBOX_LANDLOCK },
	{ SYS_landlock_restrict_self, ENOSYS, 1 << SANDBOX_LANDLOCK },
	{ SYS_landlock_restrict_self, EOPNOTSUPP, 1 << SANDBOX_LANDLOCK },
};

/* What is not missing is there. */
static bool
rest_holds(int missing)
{
#ifdef POSTERN_INSTRUMENTED
	(void)missing;
	return true;
#else
	return ((missing & 1 << SANDBOX_SECCOMP) != 0 || refused(try_setns())) &&
		((missing & 1 << SANDBOX_LANDLOCK) != 0 || refused(try_read_outside()));
#endif
}

static void
test_troubles(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(troubles); i++) {
		pid_t pid = fork();
		if (pid == 0) {
			if (forbid(troubles[i].call, troubles[i].error) < 0)
				_exit(NOT_ENTERED);
			int r = sandbox_enter(SANDBOX_RELAY, &sp, -1);
			_exit(r == troubles[i].want && (r < 0 || rest_holds(r)) ? PASSED : FAILED);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		int got = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		if (got == NOT_ENTERED)
			skip();
		if (got != PASSED)
			fail_msg("row %zu: %d", i, got);
	}
}

/* The line of this name in what the kernel tells of a process. */
static void
status_of(pid_t pid, const char *name, char *out, size_t size)
{
	char path[64], line[256];
	size_t n = strlen(name);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	out[0] = '\0';
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, n) == 0)
			snprintf(out, size, "%s", line + n);
	fclose(f);
}

/* What every role has given up: it may not ask for it itself. */
static void
test_given_up(void **state)
{
	(void)state;
	for (int role = SANDBOX_SESSION; role <= SANDBOX_WAITING; role++) {
		int ready[2], never[2];
		char octet, text[256];
		assert_true(pipe(ready) == 0 && pipe(never) == 0);
		pid_t pid = fork();
		if (pid == 0) {
			if (sandbox_enter((enum sandbox_role)role, &sp, -1) < 0)
				_exit(NOT_ENTERED);
			(void)!write(ready[1], "x", 1);
			for (;;)
				(void)!read(never[0], &octet, 1);
		}
		close(ready[1]);
		assert_int_equal(read(ready[0], &octet, 1), 1);
		status_of(pid, "NoNewPrivs:", text, sizeof(text));
		assert_string_equal(text, "\t1\n");
		status_of(pid, "CapPrm:", text, sizeof(text));
		assert_string_equal(text, "\t0000000000000000\n");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(ready[0]);
		close(never[0]);
		close(never[1]);
	}
}

/* K12. Where there is no filter, the process may ask whether it is dumpable. */
static void
test_no_core(void **state)
{
	(void)state;
#ifdef POSTERN_INSTRUMENTED
	skip();
#endif
	pid_t pid = fork();
	if (pid == 0) {
		if (forbid(SYS_seccomp, ENOSYS) < 0 || sandbox_enter(SANDBOX_RELAY, &sp, -1) < 0)
			_exit(NOT_ENTERED);
		_exit(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? PASSED : FAILED);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == PASSED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_troubles),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_no_core),
	};
	return cmocka_run_group_tests_name("sandbox", tests, set_up, tear_down);
}
