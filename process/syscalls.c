#include "process/syscalls.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/filter.h"

#ifdef FILTER_ARCH
/* Names of system calls here, of which musl makes those without 64. */
#undef pread64
#undef pwrite64

/* ---- calls that are allowed with some arguments only --------------------------------------- */

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

/* What a session does. */
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
/*
 * Of the Internet TCP and UDP alone: what else a kernel has, MPTCP or SCTP, Landlock does not hold,
 * and it is code that nobody needs here. Of netlink what tells our own addresses (NETLINK_ROUTE).
 */
#define ALLOW_SOCKETS CALL(socket, 16), ARGUMENT(0), OR(AF_UNIX, 10), OR(AF_NETLINK, 9), \
	OR(AF_INET, 1), LAST_OR(AF_INET6, 10), \
	ARGUMENT(1), MASK(SOCKET_KIND), OR(SOCK_STREAM, 1), LAST_OR(SOCK_DGRAM, 6), \
	ARGUMENT(2), OR(IPPROTO_TCP, 3), OR(IPPROTO_UDP, 2), \
	ARGUMENT(2), LAST(0), ALLOWED, REFUSE
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

/* ---- whose they are ------------------------------------------------------------------------ */

_Static_assert(sizeof((struct sock_filter[]){ CHECK_ARCH, LOAD(nr) }) ==
	SYSCALLS_HEAD * sizeof(struct sock_filter), "a filter begins otherwise");

#define LENGTH(f) (sizeof(f) / sizeof((f)[0]))
#define ALL_OF(f) (f), LENGTH(f)
#define ROWS_OF(f) (f) + SYSCALLS_HEAD, LENGTH(f) - SYSCALLS_HEAD
_Static_assert(LENGTH(relay_filter) <= SYSCALLS_MAX, "it has no room");
_Static_assert(LENGTH(worker_filter) + LENGTH(session_filter) <= SYSCALLS_MAX, "it has no room");

/* A table of these would be addresses that are written before main: a page more for each smtpd. */
struct syscalls
syscalls_of(enum sandbox_role role)
{
	switch (role) {
	case SANDBOX_SESSION:
		return (struct syscalls){ ALL_OF(session_filter), NULL, 0 };
	case SANDBOX_WORKER:
		return (struct syscalls){ ALL_OF(worker_filter), ROWS_OF(session_filter) };
	case SANDBOX_RELAY:
		return (struct syscalls){ ALL_OF(relay_filter), NULL, 0 };
	case SANDBOX_FETCH:
		return (struct syscalls){ ALL_OF(fetch_filter), ROWS_OF(helper_filter) };
	case SANDBOX_WAITING:
		return (struct syscalls){ ALL_OF(waiting_filter), ROWS_OF(helper_filter) };
	default:
		return (struct syscalls){ ALL_OF(helper_filter), NULL, 0 };
	}
}
#else
struct syscalls
syscalls_of(enum sandbox_role role)
{
	(void)role;
	return (struct syscalls){ NULL, 0, NULL, 0 };
}
#endif
