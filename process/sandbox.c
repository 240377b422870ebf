/*
 * In the process instead of in unit options: it costs 0.03 ms here and 10 to 50 ms there, and it
 * holds under inetd and in a pipe too. Refused system calls fail with EPERM rather than kill, so
 * that a C library that tries something new is an error in a log and not a lost connection.
 */
#include "process/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

#ifdef POSTERN_INSTRUMENTED
/*
 * For builds that are run under a checker (make asan, make instrumented) and are not locked in: a
 * checker opens files and traces its own process. All calls are made nevertheless, so that tests
 * which strike at one of them find it. Leaks are looked for where ASAN_OPTIONS says so, as nothing
 * may trace a process then.
 */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

#if defined(__x86_64__)
#define SANDBOX_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SANDBOX_ARCH AUDIT_ARCH_AARCH64
#endif

/* fgetpwent reads the file itself: a static program has no name service switch. */
int
sandbox_find_user(const char *user, uid_t *uid, gid_t *gid)
{
	auto_file f = fopen("/etc/passwd", "re");
	if (f == NULL)
		return -errno;
	for (struct passwd *p; (p = fgetpwent(f)) != NULL;) {
		if (strcmp(p->pw_name, user) == 0) {
			*uid = p->pw_uid;
			*gid = p->pw_gid;
			return 0;
		}
	}
	return -ENOENT;
}

int
sandbox_drop_root(const char *user)
{
	uid_t uid = 0;
	gid_t gid = 0;
	if (geteuid() != 0)
		return 0;
	int r = sandbox_find_user(user, &uid, &gid);
	if (r < 0)
		return r;
	if (uid == 0)
		return -EPERM;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

static int
drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;
	return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

/*
 * The kernel's struct landlock_ruleset_attr, which grows with its ABI levels; headers may be older.
 */
struct ruleset {
	uint64_t fs;     /* rights that are denied where no rule gives them back */
	uint64_t net;    /* ABI 4: TCP */
	uint64_t scoped; /* ABI 6: what lies outside of the sandbox */
};

enum {
	NET_BIND_TCP = 1,
	NET_CONNECT_TCP = 2,
	SCOPE_ABSTRACT_UNIX_SOCKET = 1,
	SCOPE_SIGNAL = 2,
};

/* What is done in the spool. No links but hard ones, no devices, no sockets, nothing to execute. */
#define SPOOL_RIGHTS \
	((uint64_t)(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | \
		 LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
		 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
		 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE))
#define FS_TRUNCATE (1U << 14) /* ABI 3 */

/* All that a kernel of this ABI level can deny to the role. */
static struct ruleset
ruleset_of(enum sandbox_role role, long abi)
{
#ifdef POSTERN_INSTRUMENTED
	(void)role;
	(void)abi;
	/* denied even if it is not named */
	return (struct ruleset){ .fs = LANDLOCK_ACCESS_FS_REFER };
#else
	enum { ABI_2 = 14, ABI_3 = 15, ABI_5 = 16 }; /* number of rights */
	int bits = abi >= 5 ? ABI_5 : abi >= 3 ? ABI_3 : ABI_2;
	struct ruleset r = { .fs = (UINT64_C(1) << bits) - 1 };
	if (abi >= 4)
		r.net = role == SANDBOX_RELAY ? NET_BIND_TCP : NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= 6)
		r.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	return r;
#endif
}

/* Octets of struct ruleset that a kernel of this ABI level knows. */
static size_t
ruleset_size(long abi)
{
	return abi >= 6 ? sizeof(struct ruleset)
		: abi >= 4 ? offsetof(struct ruleset, scoped)
			   : offsetof(struct ruleset, net);
}

/* The kernel's struct landlock_net_port_attr (ABI 4). Port 0: any that is free, to connect from. */
static const struct port_rule {
	uint64_t rights, port;
} any_port = { NET_BIND_TCP, 0 };

enum { RULE_NET_PORT = 2 };

static int
landlock_enter(enum sandbox_role role, int spool)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 2) /* ABI 1 cannot allow a rename from one directory to another */
		return -ENOSYS;
	struct ruleset attr = ruleset_of(role, abi);
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = attr.fs & SPOOL_RIGHTS,
		.parent_fd = spool,
	};
	auto_fd rules = (int)syscall(SYS_landlock_create_ruleset, &attr, ruleset_size(abi), 0);
	if (rules < 0)
		return -errno;
	if (spool >= 0 &&
		syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
		return -errno;
	if (role == SANDBOX_RELAY && attr.net != 0 &&
		syscall(SYS_landlock_add_rule, rules, RULE_NET_PORT, &any_port, 0) < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? -errno : 0;
}

#ifdef SANDBOX_ARCH
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), RETURN(SECCOMP_RET_ALLOW)
#ifdef SYS_poll
#define SYS_poll_call SYS_poll
#else
#define SYS_poll_call SYS_ppoll
#endif
#ifdef SYS_dup2 /* newer architectures have dup3 alone */
#define ALLOW_DUP2 ALLOW(dup2)
#else
#define ALLOW_DUP2 ALLOW(dup3)
#endif
#define DENY(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), REFUSE
#define CHECK_ARCH LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDBOX_ARCH, 1, 0), \
	RETURN(SECCOMP_RET_KILL_PROCESS)

/* sendto without an address: to the peer of a socket that is connected, and to nobody else. */
#define LOAD_ADDRESS(word) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
	offsetof(struct seccomp_data, args[4]) + (word) * sizeof(uint32_t))
#define ALLOW_SEND BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendto, 0, 6), LOAD_ADDRESS(0), \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3), LOAD_ADDRESS(1), \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), RETURN(SECCOMP_RET_ALLOW), REFUSE

/* What a session does, most frequent first. */
static const struct sock_filter session_filter[] = {
	CHECK_ARCH,
	LOAD(nr),
	ALLOW(read),
	ALLOW(write),
	ALLOW(ppoll),
	ALLOW_SEND, /* replies; log to syslog */
	ALLOW(sendmsg), /* log to the journal */
	ALLOW(clock_gettime),
	ALLOW(openat),
	ALLOW(close),
	ALLOW(fcntl),
	ALLOW(fsync),
	ALLOW(renameat),
	ALLOW(renameat2),
	ALLOW(linkat),
	ALLOW(unlinkat),
	ALLOW(mkdirat),
	ALLOW(faccessat),
	ALLOW(faccessat2), /* what a newer C library makes of it */
	ALLOW(newfstatat),
	ALLOW(fstat),
	ALLOW(fstatfs),
	ALLOW(shutdown),
	ALLOW(getrandom),
	ALLOW(brk),
	ALLOW(mmap),
	ALLOW(munmap),
	ALLOW(mremap),
	ALLOW(madvise),
	ALLOW(futex),
	ALLOW(getpid), /* syslog(3) */
	ALLOW(lseek),
	ALLOW(socketpair), /* what tls decrypts comes through one; it leads nowhere else */
	ALLOW_DUP2,
	ALLOW(dup3),
	ALLOW(restart_syscall),
	ALLOW(rt_sigreturn),
	ALLOW(exit_group),
#ifdef POSTERN_INSTRUMENTED
	RETURN(SECCOMP_RET_ALLOW),
#endif
	REFUSE,
};

/* The same calls have other numbers in the x32 ABI, which the kernel counts to the same
 * architecture: no list of numbers is complete without this. */
#define X32_CALLS 0x40000000
#define DENY_X32 BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1), REFUSE

static const struct sock_filter relay_filter[] = {
	CHECK_ARCH,
	LOAD(nr),
#ifdef POSTERN_INSTRUMENTED
	RETURN(SECCOMP_RET_ALLOW),
#endif
	DENY_X32,
	DENY(execve),
	DENY(execveat),
	DENY(listen),
	DENY(ptrace),
	DENY(process_vm_readv),
	DENY(process_vm_writev),
	DENY(mount),
	DENY(unshare),
	DENY(setns),
	DENY(bpf),
	DENY(keyctl),
	DENY(perf_event_open),
	DENY(userfaultfd),
	DENY(io_uring_setup),
#ifdef SYS_fork
	DENY(fork),
	DENY(vfork),
#endif
	DENY(clone3),
	RETURN(SECCOMP_RET_ALLOW),
};

/* What a library that only computes does between its set-up and its end. */
static const struct sock_filter helper_filter[] = {
	CHECK_ARCH,
	LOAD(nr),
	ALLOW(read),
	ALLOW(write),
	ALLOW(recvfrom),
	ALLOW(sendto),
	ALLOW(poll_call),
	ALLOW(ppoll),
	ALLOW(sendmsg), /* log to the journal */
	ALLOW(lseek),   /* log to standard error: dprintf(3) asks where it stands */
	ALLOW(close),
	ALLOW(shutdown),
	ALLOW(fcntl),
	ALLOW(getrandom),
	ALLOW(clock_gettime),
	ALLOW(brk),
	ALLOW(mmap),
	ALLOW(munmap),
	ALLOW(mremap),
	ALLOW(madvise),
	ALLOW(futex),
	ALLOW(getpid),
	ALLOW(gettid),
	ALLOW(restart_syscall),
	ALLOW(rt_sigreturn),
	ALLOW(exit_group),
#ifdef POSTERN_INSTRUMENTED
	RETURN(SECCOMP_RET_ALLOW),
#endif
	REFUSE,
};

#define FILTER(f) { sizeof(f) / sizeof((f)[0]), (struct sock_filter *)(f) }

static int
seccomp_enter(enum sandbox_role role)
{
	static const struct sock_fprog filters[] = { [SANDBOX_SESSION] = FILTER(session_filter),
		[SANDBOX_RELAY] = FILTER(relay_filter), [SANDBOX_HELPER] = FILTER(helper_filter) };
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filters[role]) < 0 ? -errno : 0;
}
#else
static int
seccomp_enter(enum sandbox_role role)
{
	(void)role;
	return -ENOSYS; /* no filter was written for this architecture */
}
#endif

int
sandbox_enter(enum sandbox_role role, int spool)
{
	static const struct rlimit no_core = { 0, 0 };
#ifdef POSTERN_INSTRUMENTED
	const unsigned long dumpable = 1;
#else
	const unsigned long dumpable = 0;
#endif
	/* Who may not set limits was locked in before; not dumpable means no core anyway (K12). */
	(void)setrlimit(RLIMIT_CORE, &no_core);
	if (prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	int r = drop_capabilities();
	if (r < 0)
		return r;
	int landlock = landlock_enter(role, spool);
	if (landlock < 0 && landlock != -ENOSYS && landlock != -EOPNOTSUPP)
		return landlock;
	r = seccomp_enter(role);
	return r < 0 ? r : landlock < 0 ? -ENOSYS : 0;
}
