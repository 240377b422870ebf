/*
 * landlock: kernels that know less than we do, or more. Nothing is locked in here: what is
 * asked of the kernel is looked at, and answered as one of each level would.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/landlock.h"
#include "queue/spool.h"

struct ruleset { /* as the kernel has it */
	uint64_t fs, net, scoped;
};

static struct kernel {
	int level;           /* of the kernel; 0: without Landlock */
	int asked;           /* times that its level was */
	struct ruleset made; /* what may be denied by the rules that were made */
	bool entered;
} kernel;

static uint64_t
rights(int n)
{
	return (UINT64_C(1) << n) - 1;
}

static struct ruleset
known(int level)
{
	return (struct ruleset){
		.fs = rights(level >= 5 ? 16 : level >= 3 ? 15 : level == 2 ? 14 : 13),
		.net = level >= 4 ? rights(2) : 0,
		.scoped = level >= 6 ? rights(2) : 0,
	};
}

/* A struct that is longer than the kernel's must be of zeros there: E2BIG; an unknown right: EINVAL. */
static long
make_ruleset(const void *attr, size_t size)
{
	struct ruleset asked = { 0 }, all = known(kernel.level);
	if (size > sizeof(asked))
		return errno = E2BIG, -1;
	memcpy(&asked, attr, size);
	if ((kernel.level < 4 && asked.net != 0) || (kernel.level < 6 && asked.scoped != 0))
		return errno = E2BIG, -1;
	if ((asked.fs & ~all.fs) != 0 || (asked.net & ~all.net) != 0 || (asked.scoped & ~all.scoped) != 0)
		return errno = EINVAL, -1;
	kernel.made = asked;
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

long __wrap_syscall(long number, ...);

long
__wrap_syscall(long number, ...)
{
	va_list ap;
	va_start(ap, number);
	const void *attr = number == SYS_landlock_create_ruleset ? va_arg(ap, const void *) : NULL;
	size_t size = attr != NULL ? va_arg(ap, size_t) : 0;
	va_end(ap);
	if (kernel.level == 0)
		return errno = EOPNOTSUPP, -1; /* it was not switched on */
	if (attr != NULL)
		return make_ruleset(attr, size);
	kernel.asked += number == SYS_landlock_create_ruleset;
	kernel.entered = kernel.entered || number == SYS_landlock_restrict_self;
	return number == SYS_landlock_create_ruleset ? kernel.level : 0;
}

static void
test_levels(void **state)
{
	(void)state;
	for (int level = 0; level <= 8; level++) {
		struct spool s = SPOOL_CLOSED;
		kernel = (struct kernel){ .level = level };
		int r = landlock_enter(SANDBOX_SESSION, &s, -1);
		assert_int_equal(r, level < 2 ? -ENOSYS : 0);
		assert_int_equal(kernel.entered, level >= 2);
#ifndef POSTERN_INSTRUMENTED
		struct ruleset want = level >= 2 ? known(level) : (struct ruleset){ 0 };
		assert_memory_equal(&kernel.made, &want, sizeof(want));
		assert_int_equal(kernel.asked, level >= 1 && level < 6);
#endif
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
	};
	return cmocka_run_group_tests_name("landlock levels", tests, NULL, NULL);
}
