/* user: who is in /etc/passwd, and whom a program of root becomes. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/user.h"

static void
test_find(void **state)
{
	(void)state;
	uid_t uid = 77;
	gid_t gid = 78;
	assert_int_equal(user_find("no-such-user-here", &uid, &gid), -ENOENT);
	assert_true(uid == 77 && gid == 78);
	assert_int_equal(user_find("", &uid, &gid), -ENOENT);
	assert_int_equal(user_find("roo", &uid, &gid), -ENOENT);
	assert_int_equal(user_find("root", &uid, &gid), 0);
	assert_true(uid == 0 && gid == 0);
	const struct passwd *nobody = getpwnam("nobody");
	assert_non_null(nobody);
	assert_int_equal(user_find("nobody", &uid, &gid), 0);
	assert_true(uid == nobody->pw_uid && gid == nobody->pw_gid);
}

/* Exit status of a child that becomes this user: 0, if it has no right of root left then. */
static int
become(const char *user)
{
	pid_t pid = fork();
	if (pid == 0) {
		int r = user_become(user);
		if (r < 0)
			_exit(-r);
		_exit(getuid() != 0 && getgid() != 0 && getgroups(0, NULL) == 0 && setuid(0) < 0 ? 0 : 255);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
test_become(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		assert_int_equal(user_become("no-such-user-here"), 0); /* nothing to do */
		return;
	}
	assert_int_equal(become("nobody"), 0);
	assert_int_equal(become("root"), EPERM);
	assert_int_equal(become("no-such-user-here"), ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_become),
	};
	return cmocka_run_group_tests_name("user", tests, NULL, NULL);
}
