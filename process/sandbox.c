/*
 * In the process instead of in unit options: it costs 0.1 to 0.2 ms here and 10 to 50 ms there, and
 * it holds under inetd and in a pipe too.
 */
#include "process/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/landlock.h"
#include "process/seccomp.h"

#ifdef POSTERN_INSTRUMENTED
/*
 * For builds that are run under a checker (make asan, make instrumented) and are not locked in: a
 * checker opens files and traces its own process. All calls are made nevertheless, so that tests
 * which strike at one of them find it. Leaks are looked for where ASAN_OPTIONS says so, as nothing
 * may trace a process then. Who dies of a fault dies of its signal, as it does when it is shipped:
 * those that outlive it look at that.
 */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0";
}
#endif

static int files = -1; /* a directory of sandbox_allow_files */

void
sandbox_allow_files(int dir)
{
	files = dir;
}

static int
drop_capabilities(void) /* the ambient ones go with them */
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

/*
 * Does this error say that the kernel, or the container around it, does not have such a thing? An
 * old kernel says ENOSYS, one that was built without it EINVAL or EOPNOTSUPP, a filter of a
 * container EPERM; and what needs another thing that is missing, EPERM or EACCES.
 */
static bool
is_missing(int err)
{
	return err == -ENOSYS || err == -EINVAL || err == -EOPNOTSUPP || err == -EPERM ||
		err == -EACCES;
}

/* 0 or -errno. */
static int
take_step(enum sandbox_step step, enum sandbox_role role, const struct spool *spool,
	int monitor)
{
#ifdef POSTERN_INSTRUMENTED
	const unsigned long dumpable = 1;
#else
	const unsigned long dumpable = 0;
#endif
	switch (step) {
	case SANDBOX_DUMPABLE:
		return prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0) < 0 ? -errno : 0;
	case SANDBOX_PRIVILEGES:
		return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
	case SANDBOX_CAPABILITIES:
		return drop_capabilities();
	case SANDBOX_LANDLOCK:
		return landlock_enter(role, spool, files);
	default:
		return seccomp_enter(role, monitor);
	}
}

int
sandbox_enter(enum sandbox_role role, const struct spool *spool,
	int monitor)
{
	static const struct rlimit no_core = { 0, 0 };
	int missing = 0;
	/* Who may not set limits was locked in before; not dumpable means no core anyway (K12). */
	(void)setrlimit(RLIMIT_CORE, &no_core);
	for (int i = 0; i < SANDBOX_STEPS; i++) {
		int r = take_step((enum sandbox_step)i, role, spool, monitor);
		if (r < 0 && !is_missing(r))
			return r;
		missing |= r < 0 ? 1 << i : 0;
	}
	return missing;
}

const char *
sandbox_step_name(enum sandbox_step step)
{
	static const char *const names[] = { [SANDBOX_DUMPABLE] = "PR_SET_DUMPABLE",
		[SANDBOX_PRIVILEGES] = "PR_SET_NO_NEW_PRIVS", [SANDBOX_CAPABILITIES] = "capset",
		[SANDBOX_LANDLOCK] = "Landlock", [SANDBOX_SECCOMP] = "seccomp filters" };
	return names[step];
}
