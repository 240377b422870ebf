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
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "process/sieve.h"
#include "queue/spool.h"

/* Names of system calls here, of which musl makes those without 64. */
#undef pread64
#undef pwrite64

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
drop_capabilities(void) /* the ambient ones go with them */
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
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

/* Names that come and go. No links but hard ones, no devices, no sockets, nothing to execute. */
#define NAMES \
	((uint64_t)(LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
		 LANDLOCK_ACCESS_FS_REFER))
#define FS_TRUNCATE (1U << 14) /* ABI 3 */
#define ALL_OF_SPOOL \
	(NAMES | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | \
		LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
		LANDLOCK_ACCESS_FS_MAKE_DIR | FS_TRUNCATE)
/* What a session does: it writes a file in tmp/, which then gets names in lanes. It reads none. */
#define ALL_OF_TMP (NAMES | LANDLOCK_ACCESS_FS_WRITE_FILE)
#define ALL_OF_FILES (NAMES | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define ALL_OF_LANES \
	(NAMES | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
		LANDLOCK_ACCESS_FS_MAKE_DIR)

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

/* What lies beneath a directory may be had with these rights, as far as the rules know them. */
static int
allow_beneath(int rules, const struct ruleset *attr, int dir, uint64_t rights)
{
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = attr->fs & rights,
		.parent_fd = dir,
	};
	long r = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
	return r < 0 ? -errno : 0;
}

static int files = -1; /* a directory of sandbox_allow_files */

void
sandbox_allow_files(int dir)
{
	files = dir;
}

/* The part of the spool that a role works in. 0 or -errno. */
static int
allow_spool(int rules, const struct ruleset *attr, enum sandbox_role role,
	const struct spool *spool)
{
	if (spool == NULL)
		return 0;
	if (role != SANDBOX_SESSION && role != SANDBOX_WORKER)
		return allow_beneath(rules, attr, spool->root, ALL_OF_SPOOL);
	int r = allow_beneath(rules, attr, spool->tmp, ALL_OF_TMP);
	return r < 0 ? r : allow_beneath(rules, attr, spool->lanes, ALL_OF_LANES);
}

static int
landlock_enter(enum sandbox_role role, const struct spool *spool)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 2) /* ABI 1 cannot allow a rename from one directory to another */
		return -ENOSYS;
	struct ruleset attr = ruleset_of(role, abi);
	auto_fd rules = (int)syscall(SYS_landlock_create_ruleset, &attr, ruleset_size(abi), 0);
	if (rules < 0)
		return -errno;
	int r = allow_spool(rules, &attr, role, spool);
	if (r == 0 && role == SANDBOX_RELAY && files >= 0)
		r = allow_beneath(rules, &attr, files, ALL_OF_FILES);
	if (r < 0)
		return r;
	if (role == SANDBOX_RELAY && attr.net != 0 &&
		syscall(SYS_landlock_add_rule, rules, RULE_NET_PORT, &any_port, 0) < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? -errno : 0;
}

#ifdef SANDBOX_ARCH
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define ALLOWED RETURN(SECCOMP_RET_ALLOW)
#ifdef POSTERN_INSTRUMENTED
#define REFUSE ALLOWED
#else
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)
#endif
#define CHECK_ARCH LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDBOX_ARCH, 1, 0), \
	RETURN(SECCOMP_RET_KILL_PROCESS)

/* A call, or else what stands n instructions further on. */
#define CALL(call, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, (n))
#define ALLOW(call) CALL(call, 1), ALLOWED

/*
 * Arguments are looked at in a call that is allowed with some values only. Such a row ends with
 * "ALLOWED, REFUSE": each OR goes to the first of these if it is the value, and is `n` instructions
 * before it; LAST skips it if it is not.
 */
#define WORD(i, word) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
	offsetof(struct seccomp_data, args[i]) + (word) * sizeof(uint32_t))
#define ARGUMENT(i) WORD(i, 0)
#define OR(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (n), 0)
#define LAST(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1)
#define LAST_OR(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (n))
#define MASK(bits) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (bits))
#define NONE_OF(bits) MASK(bits), LAST(0)
#define AT_MOST(value) BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (value), 1, 0)

#define ALLOW_IF_ZERO(call, i) CALL(call, 6), WORD(i, 0), \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3), WORD(i, 1), LAST(0), ALLOWED, REFUSE

/* sendto without an address: to the peer of a socket that is connected, and to nobody else. */
#define ALLOW_SEND ALLOW_IF_ZERO(sendto, 4)
/*
 * Where a file stands, which dprintf(3) asks. Who could go elsewhere would make a file without end
 * that takes no room, and that a relay would read to its end.
 */
#define ALLOW_TELL ALLOW_IF_ZERO(lseek, 1)
/* Files only: nothing that lets wait who opens it. */
#define ALLOW_MAKE_FILE CALL(mknodat, 5), ARGUMENT(2), MASK(S_IFMT), LAST(S_IFREG), ALLOWED, REFUSE

/*
 * What a message of sendmsg holds, an address or descriptors, no filter can see. So it is allowed
 * on the socket to the monitor alone, which is connected and takes no address; and nothing that
 * could take one ever gets that number: no datagram sockets are made, and no descriptor is copied
 * but to where the connection is.
 */
#define TO_MONITOR UINT32_MAX /* stands for the number, which is put in when it is known */
#define ALLOW_REQUESTS CALL(sendmsg, 4), ARGUMENT(0), LAST(TO_MONITOR), ALLOWED, REFUSE
#define SOCKET_KIND 15U /* the other bits of a type are flags */
#define ALLOW_PAIRS CALL(socketpair, 6), ARGUMENT(1), MASK(SOCKET_KIND), OR(SOCK_STREAM, 1), \
	LAST(SOCK_SEQPACKET), ALLOWED, REFUSE
#define ALLOW_COPY(call) CALL(call, 4), ARGUMENT(1), AT_MOST(STDOUT_FILENO), ALLOWED, REFUSE
#ifdef SYS_dup2 /* newer architectures have dup3 alone */
#define ALLOW_DUP2 ALLOW_COPY(dup2), ALLOW_COPY(dup3)
#else
#define ALLOW_DUP2 ALLOW_COPY(dup3)
#endif
#ifdef SYS_poll
#define SYS_poll_call SYS_poll
#else
#define SYS_poll_call SYS_ppoll
#endif

/* Neither copies of descriptors, nor F_SETOWN, by which a process has signals sent to others. */
#define ALLOW_FCNTL CALL(fcntl, 9), ARGUMENT(1), OR(F_OFD_SETLK, 5), OR(F_GETFD, 4), \
	OR(F_SETFD, 3), OR(F_GETFL, 2), OR(F_GETPIPE_SZ, 1), LAST(F_SETFL), ALLOWED, REFUSE

/* Memory that can be executed is code of somebody else. */
#define ALLOW_MAP(call) CALL(call, 5), ARGUMENT(2), NONE_OF(PROT_EXEC), ALLOWED, REFUSE

/* What all need who compute, wait and end. */
#define ALLOW_COMMON ALLOW(clock_gettime), ALLOW(getrandom), ALLOW(brk), ALLOW_MAP(mmap), \
	ALLOW(munmap), ALLOW(mremap), ALLOW(madvise), ALLOW(futex), ALLOW(getpid), \
	ALLOW(restart_syscall), ALLOW(rt_sigreturn), ALLOW(exit_group)

/* What a session does, most frequent first. */
static const struct sock_filter session_filter[] = {
	CHECK_ARCH,
	LOAD(nr),
	ALLOW(read),
	ALLOW(write),
	ALLOW(ppoll),
	ALLOW_SEND,    /* replies; log to syslog */
	ALLOW(writev), /* log to the journal */
	ALLOW(openat),
	ALLOW(close),
	ALLOW_FCNTL,
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
	ALLOW_TELL,
	ALLOW_MAKE_FILE,
	ALLOW_REQUESTS,
	ALLOW_PAIRS, /* what tls decrypts comes through one; it leads nowhere else */
	ALLOW_DUP2,
	ALLOW_COMMON,
	REFUSE,
};

/*
 * What a worker of a pool does besides. It accepts, and so it could be handed a connection that has
 * the number of the socket to its monitor, and send descriptors to somebody outside: that number is
 * never free. Nothing can be made to listen, so it accepts from what it inherited alone. Of a
 * client's socket it learns who made it, and gets no descriptor for that process (SO_PEERPIDFD).
 */
#define ALLOW_CLOSE CALL(close, 4), ARGUMENT(0), OR(TO_MONITOR, 1), ALLOWED, REFUSE
#define ALLOW_PEER CALL(getsockopt, 7), ARGUMENT(1), LAST_OR(SOL_SOCKET, 4), ARGUMENT(2), \
	OR(SO_PEERCRED, 1), LAST(SO_ACCEPTCONN), ALLOWED, REFUSE
/* Of a socket that listens they are those of all workers, which would block at it. */
#define REFUSE_FLAGS CALL(fcntl, 4), ARGUMENT(1), LAST(F_SETFL), REFUSE, LOAD(nr)

#ifdef SYS_stat /* by which some C libraries look at a path */
#define ALLOW_STAT ALLOW(stat)
#else
#define ALLOW_STAT ALLOW(newfstatat)
#endif

static const struct sock_filter worker_filter[] = {
	CHECK_ARCH,
	LOAD(nr),
	ALLOW_CLOSE,
	REFUSE_FLAGS,
	ALLOW(accept4),
	ALLOW(epoll_pwait),
	ALLOW(getpeername),
	ALLOW(getsockname),
	ALLOW_STAT,
	ALLOW_PEER, /* and all that a session does */
};

/*
 * A thread, and no process: clone(2) is asked for just what the C library asks for to make one.
 * clone3(2), whose flags a filter cannot see, is said to be missing; then clone(2) is used.
 */
#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | \
	CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
#define ALLOW_THREADS CALL(clone, 4), ARGUMENT(0), LAST(THREAD_FLAGS), ALLOWED, REFUSE, \
	CALL(clone3, 1), RETURN(SECCOMP_RET_ERRNO | ENOSYS)
#define ALLOW_SOCKETS CALL(socket, 7), ARGUMENT(0), OR(AF_INET, 3), OR(AF_INET6, 2), \
	OR(AF_UNIX, 1), LAST(AF_NETLINK), ALLOWED, REFUSE
#ifdef SYS_access
#define ALLOW_ACCESS ALLOW(access), ALLOW(readlink)
#else
#define ALLOW_ACCESS ALLOW(readlinkat)
#endif

/* What it takes to read and settle the queue, and to talk to many hosts at once. */
static const struct sock_filter relay_filter[] = {
	CHECK_ARCH,
	LOAD(nr),
	/* files */
	ALLOW(openat),
	ALLOW(close),
	ALLOW(read),
	ALLOW(pread64),
	ALLOW(readv),
	ALLOW(write),
	ALLOW(pwrite64),
	ALLOW(writev),
	ALLOW(sendfile),
	ALLOW(lseek),
	ALLOW(ftruncate),
	ALLOW(fallocate),
	ALLOW(fsync),
	ALLOW(fdatasync),
	ALLOW_FCNTL,
	ALLOW(newfstatat),
	ALLOW(fstat),
	ALLOW(statx),
	ALLOW(fstatfs),
	ALLOW(statfs),
	ALLOW(faccessat),
	ALLOW(faccessat2),
	ALLOW_ACCESS,
	ALLOW(getdents64),
	ALLOW(mkdirat),
	ALLOW_MAKE_FILE,
	ALLOW(unlinkat),
	ALLOW(linkat),
	ALLOW(renameat),
	ALLOW(renameat2),
	ALLOW(utimensat),
	ALLOW(eventfd2),
	/* hosts, nameservers, our own addresses, logs */
	ALLOW_SOCKETS,
	ALLOW_PAIRS, /* to a fetch */
	ALLOW(bind), /* a source address; Landlock has port 0 alone */
	ALLOW(connect),
	ALLOW(sendto),
	ALLOW(sendmsg),
	ALLOW(recvfrom),
	ALLOW(recvmsg),
	ALLOW(getsockname),
	ALLOW(getpeername),
	ALLOW(getsockopt),
	ALLOW(setsockopt),
	ALLOW(shutdown),
	ALLOW(poll_call),
	ALLOW(ppoll),
	/* itself */
	ALLOW_THREADS,
	ALLOW(set_robust_list),
	ALLOW(rseq),
	ALLOW(rt_sigprocmask),
	ALLOW(rt_sigaction),
	ALLOW(gettid),
	ALLOW(getppid),
	ALLOW(getuid),
	ALLOW(geteuid),
	ALLOW(getgid),
	ALLOW(getegid),
	ALLOW(uname),
	ALLOW(sysinfo), /* qsort(3) */
	ALLOW(sched_getaffinity),
	ALLOW(sched_yield),
	ALLOW(clock_getres),
	ALLOW(clock_nanosleep),
	ALLOW_MAP(mprotect), /* malloc(3) */
	ALLOW(exit),
	ALLOW_COMMON,
	REFUSE,
};

/* What a library that only computes does between its set-up and its end. */
static const struct sock_filter helper_filter[] = {
	CHECK_ARCH,
	LOAD(nr),
	ALLOW(read),
	ALLOW(write),
	ALLOW(writev), /* log to the journal */
	ALLOW(recvfrom),
	ALLOW_SEND,
	ALLOW(poll_call),
	ALLOW(ppoll),
	ALLOW_TELL,    /* log to standard error */
	ALLOW(close),
	ALLOW(shutdown),
	ALLOW_FCNTL,
	ALLOW(gettid),
	ALLOW_COMMON,
	REFUSE,
};

/*
 * What fetch does besides, by libcurl: it asks what it knows of the connection that it was given,
 * and sets options of it. No socket can be made, or connected.
 */
static const struct sock_filter fetch_filter[] = {
	CHECK_ARCH,
	LOAD(nr),
	ALLOW(getsockopt),
	ALLOW(setsockopt),
	ALLOW(getsockname),
	ALLOW(getpeername),
	ALLOW(rt_sigaction),
	ALLOW(rt_sigprocmask), /* and all of a helper */
};

/*
 * What one does besides that waits for clients (await.h). Descriptors come by recvmsg, from its
 * monitor alone; and none that came can get the number of that socket, unless it was closed, and
 * then no more come.
 */
static const struct sock_filter waiting_filter[] = {
	CHECK_ARCH,
	LOAD(nr),
	CALL(recvmsg, 4), ARGUMENT(0), LAST(TO_MONITOR), ALLOWED, REFUSE, /* and all of a helper */
};

/* What a worker has open when it locks itself in, beside standard input and output: not more. */
enum { SHARED = 64 };
enum { FILTER_MAX = 320 }; /* instructions of the longest */
_Static_assert(sizeof(relay_filter) <= FILTER_MAX * sizeof(relay_filter[0]), "it has no room");
enum { SHARED_FILTER = SHARED + 4 };
_Static_assert(sizeof(worker_filter) + sizeof(session_filter) <=
		(FILTER_MAX - SHARED_FILTER) * sizeof(relay_filter[0]), "it has no room");

/* Instructions before the first row of each filter. */
enum { HEAD = sizeof((struct sock_filter[]){ CHECK_ARCH, LOAD(nr) }) / sizeof(struct sock_filter) };

#define FILTER(f) { sizeof(f) / sizeof((f)[0]), (struct sock_filter *)(f) }

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

static int
seccomp_enter(enum sandbox_role role, int monitor)
{
	static const struct sock_fprog filters[] = { [SANDBOX_SESSION] = FILTER(session_filter),
		[SANDBOX_WORKER] = FILTER(worker_filter), [SANDBOX_RELAY] = FILTER(relay_filter),
		[SANDBOX_HELPER] = FILTER(helper_filter),
		[SANDBOX_WAITING] = FILTER(waiting_filter),
		[SANDBOX_FETCH] = FILTER(fetch_filter) };
	struct sock_filter code[FILTER_MAX + SIEVE_MORE];
	struct sock_fprog program = { 0, code };
	append(&program, filters[role].filter, filters[role].len, monitor);
	int r = role == SANDBOX_WORKER ? append_shutdown(&program) : 0;
	if (r < 0)
		return r;
	if (role == SANDBOX_WORKER)
		append(&program, session_filter + HEAD, filters[SANDBOX_SESSION].len - HEAD,
			monitor);
	if (role == SANDBOX_WAITING || role == SANDBOX_FETCH)
		append(&program, helper_filter + HEAD, filters[SANDBOX_HELPER].len - HEAD, monitor);
	r = sieve_arrange(&program, HEAD, FILTER_MAX + SIEVE_MORE);
	if (r < 0)
		return r;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
#else
static int
seccomp_enter(enum sandbox_role role, int monitor)
{
	(void)role;
	(void)monitor;
	return -ENOSYS; /* no filter was written for this architecture */
}
#endif

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
		return landlock_enter(role, spool);
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
