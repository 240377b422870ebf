/*
 * What a locked-in process cannot do (K-rows; the session's promise in docs/ARCHITECTURE.md), tried
 * by processes that locked themselves in.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/sandbox.h"
#include "queue/bell.h"
#include "queue/lane.h"

static char spool[] = "/tmp/postern-sandbox-XXXXXX";
static struct spool sp; /* with a lane that has somebody's mail, MAIL */
#define LANE "d.example"
#define MAIL LANE "/mail"
#define LOGIN "relay/h.example/none"
static char beside[] = "/tmp/postern-files-XXXXXX";
static int files; /* that directory, in which a relay may make files */
static int bell_pipe[2];
static int datagram; /* a socket of that kind, not connected */
static int listener; /* a TCP socket on loopback that takes connections */
static int nameless; /* an abstract UNIX socket that takes connections */
static int requests[2]; /* from a session to its monitor, as request.c makes them */
static pid_t victim; /* a process that is not locked in, of the same user */

static bool
refused(long r)
{
	return r < 0 && (errno == EPERM || errno == EACCES);
}

static long
try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long
try_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

/* Landlock, where the filter lets sockets be. */
static long
try_bind(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(2525) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? fd : bind(fd, (struct sockaddr *)&a, sizeof(a));
}

/* From an address of our choice: a relay connects so. */
static long
try_source(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? fd : bind(fd, (struct sockaddr *)&a, sizeof(a));
}

/* Without a bind the kernel takes a port that is free. */
static long
try_listen(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? fd : listen(fd, 1);
}

static long
try_connect(void)
{
	struct sockaddr_in a;
	socklen_t n = sizeof(a);
	if (getsockname(listener, (struct sockaddr *)&a, &n) < 0)
		return -1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? fd : connect(fd, (struct sockaddr *)&a, n);
}

/* From a socket that was open before, to an address of our choice. */
static long
try_sendto(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
	return sendto(datagram, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&a, sizeof(a));
}

/* S20: no filter sees whether there is an address in it, or a descriptor. */
static long
send_message(int fd, struct sockaddr_un *to)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
			      .cmsg_len = CMSG_LEN(sizeof(int)) } };
	char octet = 'x';
	struct iovec iov = { &octet, 1 };
	struct msghdr msg = { .msg_name = to, .msg_namelen = to != NULL ? sizeof(*to) : 0,
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen =
			sizeof(control.room) };
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static long
try_sendmsg(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
	return send_message(datagram, &a);
}

static long
try_descriptor(void)
{
	return send_message(STDIN_FILENO, NULL);
}

static long
try_request(void)
{
	return send_message(requests[1], NULL);
}

/* What could take the number of the monitor's socket. */
static long
try_copy_there(void)
{
	return dup2(datagram, requests[1]);
}

static long
try_copy_there_3(void)
{
	return dup3(datagram, requests[1], O_CLOEXEC);
}

static long
try_copy(void)
{
	return fcntl(datagram, F_DUPFD, 0);
}

static long
try_pair_of_datagrams(void)
{
	int pair[2];
	return socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
}

static long
try_pair(void)
{
	int pair[2];
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
			socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0
		? -1 : 0;
}

static long
try_own(void)
{
	return fcntl(datagram, F_SETOWN, getppid());
}

static long
try_own_ex(void)
{
	const struct f_owner_ex owner = { F_OWNER_PID, getppid() };
	return fcntl(datagram, F_SETOWN_EX, &owner);
}

static long
try_own_by_ioctl(void)
{
	int pid = getppid();
	return ioctl(datagram, 0x8901, &pid);
}

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

/* A child with namespaces of its own, in which it would be root. */
static long
try_clone_namespaces(void)
{
	return syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNET | SIGCHLD, 0L, 0L, 0L, 0L);
}

/* Half a thread: without CLONE_VM, which it needs. Nobody can make one so. */
static long
try_clone_thread(void)
{
	return syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0L, 0L, 0L, 0L);
}

static long
try_packets(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0);
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
try_read_outside(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static long
try_list_outside(void)
{
	return open("/", O_RDONLY | O_DIRECTORY);
}

static long
try_write_outside(void)
{
	return open("/tmp/postern-sandbox-outside", O_WRONLY | O_CREAT, 0600);
}

/* Each under a name of its own, for the rows are tried one after the other. */
static long
try_files(void)
{
	static const char draft[] = ".draft", name[] = "name";
	int fd = openat(files, draft, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	return fd < 0 ? fd : renameat(files, draft, files, name);
}

static long
try_read_files(void)
{
	return openat(files, "kept", O_RDONLY);
}

static long
try_directory_of_files(void)
{
	return mkdirat(files, "beneath", 0700);
}

static long
try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, victim, NULL, NULL);
}

/*
 * What follows is refused to a relay by its filter alone (M8), so the arguments are such that the
 * kernel itself has another reason to refuse the call, or none: EPERM comes from the filter then,
 * whoever runs this.
 */

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
try_setns(void)
{
	return syscall(SYS_setns, -1, 0);
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

static long
try_kill(void)
{
	return kill(victim, 0);
}

static long
try_kill_parent(void)
{
	return kill(getppid(), SIGTERM);
}

static long
try_chmod(void)
{
	return chmod(spool, 0777);
}

static long
try_symlink(void)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/link", spool);
	return symlink("/etc/passwd", path);
}

static long
try_fifo(void)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/fifo", spool);
	return mkfifo(path, 0600);
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

/* What a draft does: a file in tmp/, a lane, names in it. */
static long
try_queue(void)
{
	int fd = openat(sp.tmp, "file", O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) < 0 || mkdirat(sp.lanes, "new", 0700) < 0)
		return -1;
	int lane = openat(sp.lanes, "new", O_RDONLY | O_DIRECTORY);
	return linkat(sp.tmp, "file", sp.lanes, LANE "/file", 0) < 0 ||
			renameat(sp.tmp, "file", lane, "file") < 0 || fsync(lane) < 0 ||
			lane_prove(lane) < 0 || unlinkat(lane, LANE_LOCK, 0) < 0 ||
			unlinkat(sp.lanes, LANE "/file", 0) < 0 || unlinkat(lane, "file", 0) < 0
		? -1 : unlinkat(sp.lanes, "new", AT_REMOVEDIR);
}

static long
try_read_mail(void)
{
	return openat(sp.lanes, MAIL, O_RDONLY);
}

static long
try_write_mail(void)
{
	return openat(sp.lanes, MAIL, O_WRONLY);
}

/* To where files may be written. */
static long
try_link_mail(void)
{
	long r = linkat(sp.lanes, MAIL, sp.tmp, "mail", 0);
	if (r < 0 && errno == EXDEV)
		errno = EACCES; /* so Landlock says that it would give more rights */
	return r < 0 ? r : unlinkat(sp.tmp, "mail", 0);
}

/* Who holds it keeps all relays away. */
static long
try_login_lock(void)
{
	return openat(sp.root, LOGIN "/lock", O_RDWR);
}

/* Who listens there is believed to be a relay. */
static long
try_bell(void)
{
	return openat(sp.root, LOGIN "/bell", O_RDONLY | O_NONBLOCK);
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

static long
try_device(void)
{
	return mknodat(sp.tmp, "device", S_IFCHR | 0600, 0);
}

static long
receive_at(int fd)
{
	char octet;
	struct iovec iov = { &octet, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	long r = recvmsg(fd, &msg, MSG_DONTWAIT);
	return r < 0 && errno == EAGAIN ? 0 : r;
}

/* S20: a client's, for who waits for one. */
static long
try_receive(void)
{
	return receive_at(requests[1]);
}

static long
try_receive_elsewhere(void)
{
	return receive_at(requests[0]);
}

/* M8: what a worker of a pool may besides, and what it must not get by that. */

static long
try_accept(void)
{
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

static long
try_option(int level, int option)
{
	int value;
	socklen_t n = sizeof(value);
	long r = getsockopt(requests[0], level, option, &value, &n);
	return r < 0 && errno == ERANGE ? 0 : r;
}

static long
try_peer_user(void)
{
	struct ucred c;
	socklen_t n = sizeof(c);
	return getsockopt(requests[0], SOL_SOCKET, SO_PEERCRED, &c, &n);
}

static long
try_listens(void)
{
	return try_option(SOL_SOCKET, SO_ACCEPTCONN);
}

static long
try_peer_handle(void)
{
	enum { PEER_PIDFD = 77 }; /* SO_PEERPIDFD, which headers may not have */
	return try_option(SOL_SOCKET, PEER_PIDFD);
}

static long
try_other_level(void)
{
	return try_option(IPPROTO_TCP, SO_PEERCRED);
}

static long
try_peer_name(void)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	return getpeername(requests[0], (struct sockaddr *)&ss, &n);
}

static long
try_wait_for_many(void)
{
	struct epoll_event e;
	return epoll_pwait(-1, &e, 1, 0, NULL);
}

/* So that a client's connection could get its number. */
static long
try_close_requests(void)
{
	return close(requests[1]);
}

enum { NO_WAY = 9 }; /* no direction: who may, breaks nothing for those that come after */

/* Nobody could connect any more. */
static long
try_shut_listener(void)
{
	return shutdown(listener, NO_WAY);
}

static long
try_shut_requests(void)
{
	return shutdown(requests[1], NO_WAY);
}

/* As session/helper.c does behind what it asks. */
static long
try_shut_pair(void)
{
	int pair[2];
	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ? 0 : shutdown(pair[0], SHUT_WR);
}

static long
try_flags(void)
{
	return fcntl(listener, F_SETFL, O_NONBLOCK);
}

static long
try_close(void)
{
	return close(requests[0]);
}

enum {
	ALONE = 1 << SANDBOX_SESSION, /* that has one client */
	WORKER = 1 << SANDBOX_WORKER,
	SESSION = ALONE | WORKER,
	RELAY = 1 << SANDBOX_RELAY,
	PLAIN = 1 << SANDBOX_HELPER,    /* started for one client */
	WAITING = 1 << SANDBOX_WAITING, /* ... or for one after the other */
	FETCH = 1 << SANDBOX_FETCH,     /* ... with libcurl */
	HELPER = PLAIN | WAITING | FETCH,
};

static const struct row {
	const char *name;
	long (*try)(void);
	unsigned refused_to; /* the others may */
} rows[] = {
	{ "queueing mail", try_queue, HELPER },
	{ "descriptors from the monitor", try_receive, SESSION | PLAIN | FETCH },
	{ "... from others", try_receive_elsewhere, SESSION | HELPER },
	{ "taking a client", try_accept, ALONE | RELAY | HELPER },
	{ "who made a socket", try_peer_user, ALONE | PLAIN | WAITING },
	{ "whether it listens", try_listens, ALONE | PLAIN | WAITING },
	{ "a handle on who made it", try_peer_handle,
		SESSION | PLAIN | WAITING },
	{ "an option of another level", try_other_level,
		SESSION | PLAIN | WAITING },
	{ "where a client is", try_peer_name, ALONE | PLAIN | WAITING },
	{ "waiting for many", try_wait_for_many, ALONE | RELAY | HELPER },
	{ "making room for the monitor's number", try_close_requests, WORKER },
	{ "closing", try_close, 0 },
	{ "closing a listener for all", try_shut_listener, WORKER },
	{ "the same with requests", try_shut_requests, WORKER },
	{ "the end of a question", try_shut_pair, 0 },
	{ "blocking all who accept", try_flags, WORKER },
	{ "reading others' mail", try_read_mail, SESSION | HELPER },
	{ "changing others' mail", try_write_mail, SESSION | HELPER },
	{ "another name for others' mail", try_link_mail, SESSION | HELPER },
	{ "the lock of a relay", try_login_lock, SESSION | HELPER },
	{ "the bell of a relay", try_bell, SESSION | HELPER },
	{ "the size of a pipe", try_pipe_size, 0 },
	{ "an event", try_event, SESSION | HELPER },
	{ "where a file stands", try_tell, 0 },
	{ "to stand elsewhere", try_seek, SESSION | HELPER },
	{ "to stand far away", try_seek_far, SESSION | HELPER },
	{ "a device", try_device, SESSION | RELAY | HELPER },
	{ "a TCP socket", try_socket, SESSION | HELPER },
	{ "a Unix socket", try_unix_socket, SESSION | HELPER },
	{ "a port of our choice", try_bind, SESSION | RELAY | HELPER },
	{ "an address of our choice", try_source, SESSION | HELPER },
	{ "serving TCP", try_listen, SESSION | RELAY | HELPER },
	{ "connecting", try_connect, SESSION | HELPER },
	{ "sending elsewhere", try_sendto, SESSION | HELPER },
	{ "a message elsewhere", try_sendmsg, SESSION | HELPER },
	{ "a descriptor to the client", try_descriptor, SESSION | HELPER },
	{ "a descriptor to the monitor", try_request, HELPER },
	{ "another socket in place of the monitor's", try_copy_there, SESSION | RELAY | HELPER },
	{ "the same by dup3", try_copy_there_3, SESSION | RELAY | HELPER },
	{ "a copy of a descriptor", try_copy, SESSION | RELAY | HELPER },
	{ "a pair of datagram sockets", try_pair_of_datagrams, SESSION | RELAY | HELPER },
	{ "a pair of other sockets", try_pair, HELPER },
	{ "signals on input", try_own, SESSION | RELAY | HELPER },
	{ "the same by F_SETOWN_EX", try_own_ex, SESSION | RELAY | HELPER },
	{ "the same by ioctl", try_own_by_ioctl, SESSION | RELAY | HELPER },
	{ "a child in namespaces of its own", try_clone_namespaces, SESSION | RELAY | HELPER },
	{ "a socket of another family", try_packets, SESSION | RELAY | HELPER },
	{ "code of its own", try_code, SESSION | RELAY | HELPER },
	{ "memory", try_memory, 0 },
	{ "exec", try_exec, SESSION | RELAY | HELPER },
	{ "a thread", try_thread, SESSION | HELPER },
	{ "fork", try_fork, SESSION | RELAY | HELPER },
	{ "a child with all that threads have", try_clone_memory, SESSION | RELAY | HELPER },
	{ "a child that is waited for", try_clone_vfork, SESSION | RELAY | HELPER },
	{ "clone3", try_clone3, SESSION | RELAY | HELPER },
	{ "reading outside", try_read_outside, SESSION | RELAY | HELPER },
	{ "listing outside", try_list_outside, SESSION | RELAY | HELPER },
	{ "writing outside", try_write_outside, SESSION | RELAY | HELPER },
	{ "files in a directory that is allowed", try_files, SESSION | HELPER },
	{ "reading what is there", try_read_files, SESSION | RELAY | HELPER },
	{ "a directory beneath it", try_directory_of_files, SESSION | RELAY | HELPER },
	{ "tracing", try_ptrace, SESSION | RELAY | HELPER },
	{ "a signal to another process", try_kill, SESSION | RELAY | HELPER },
	{ "a signal to the monitor", try_kill_parent, SESSION | RELAY | HELPER },
	{ "chmod", try_chmod, SESSION | RELAY | HELPER },
	{ "a symbolic link", try_symlink, SESSION | RELAY | HELPER },
	{ "a fifo", try_fifo, SESSION | RELAY | HELPER },
	{ "namespaces", try_unshare, SESSION | RELAY | HELPER },
	{ "keys", try_keyctl, SESSION | RELAY | HELPER },
	{ "calls of x32", try_x32, SESSION | RELAY | HELPER },
};

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

enum { PASSED = 10, REFUSED, FAILED, NOT_ENTERED, NO_LANDLOCK };

/* What becomes of an attempt in a process of this role. */
static int
attempt(enum sandbox_role role, const struct row *row)
{
	pid_t pid = fork();
	if (pid == 0) {
		bool helps = (HELPER >> role & 1) != 0;
		int r = sandbox_enter(role, helps ? NULL : &sp,
			((RELAY | PLAIN | FETCH) >> role & 1) != 0 ? -1 : requests[1]);
		if (r == 1 << SANDBOX_LANDLOCK)
			_exit(NO_LANDLOCK);
		if (r != 0)
			_exit(NOT_ENTERED);
		errno = 0;
		long got = row->try();
		_exit(refused(got) ? REFUSED : got < 0 ? FAILED : PASSED);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

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

/* Tries all rows in a process of this role. */
static void
check(enum sandbox_role role, const struct row *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int got = attempt(role, &row[i]);
		if (got == NO_LANDLOCK)
			skip(); /* this kernel has none, or not enough of it */
		bool want = (row[i].refused_to >> role & 1) != 0;
		if ((got == REFUSED) != want || got == NOT_ENTERED)
			fail_msg("role %d, %s: %d", (int)role, row[i].name, got);
	}
}

static void
test_rows(void **state)
{
	(void)state;
#ifdef POSTERN_INSTRUMENTED
	skip(); /* such a build is not locked in, so that checkers can work (sandbox.c) */
#endif
	for (int role = SANDBOX_SESSION; role <= SANDBOX_WAITING; role++)
		check((enum sandbox_role)role, rows, ROWS(rows));
}

/* M8, K1 */
static void
test_calls(void **state)
{
	(void)state;
#ifdef POSTERN_INSTRUMENTED
	skip();
#endif
	for (int role = SANDBOX_SESSION; role <= SANDBOX_WAITING; role++)
		check((enum sandbox_role)role, calls, ROWS(calls));
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

/* A relay's lock and bell. */
static int
make_login(void)
{
	int dir = bell_open_dir(&sp, "h.example", "none");
	int lock = dir < 0 ? dir : bell_lock(dir);
	if (lock < 0)
		return lock;
	close(lock);
	int r = bell_make(dir);
	close(dir);
	return r;
}

static int
set_up(void **state)
{
	(void)state;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	nameless = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* the kernel takes a name that is free */
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	if (bind(nameless, (const struct sockaddr *)&any, sizeof(sa_family_t)) < 0 || listen(nameless, 8) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, requests) < 0)
		return -1;
	if (mkdtemp(spool) == NULL || spool_open(&sp, spool) < 0 || make_login() < 0 ||
		pipe(bell_pipe) < 0 ||
		mkdirat(sp.lanes, LANE, 0700) < 0 || mknodat(sp.lanes, MAIL, S_IFREG | 0600, 0) < 0 ||
		bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		listen(listener, 8) < 0)
		return -1;
	if (mkdtemp(beside) == NULL || (files = open(beside, O_RDONLY | O_DIRECTORY)) < 0 ||
		mknodat(files, "kept", S_IFREG | 0600, 0) < 0)
		return -1;
	sandbox_allow_files(files);
	victim = fork();
	if (victim == 0) {
		pause();
		_exit(0);
	}
	return victim > 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	unlinkat(files, "kept", 0);
	unlinkat(files, "name", 0);
	unlinkat(files, "beneath", AT_REMOVEDIR); /* the witness that is not locked in made it */
	rmdir(beside);
	unlinkat(sp.lanes, MAIL, 0);
	unlinkat(sp.lanes, LANE, AT_REMOVEDIR);
	unlinkat(sp.root, LOGIN "/lock", 0);
	unlinkat(sp.root, LOGIN "/bell", 0);
	unlinkat(sp.root, LOGIN, AT_REMOVEDIR);
	unlinkat(sp.root, "relay/h.example", AT_REMOVEDIR);
	unlinkat(sp.root, "relay", AT_REMOVEDIR);
	unlinkat(sp.root, "lane", AT_REMOVEDIR);
	unlinkat(sp.root, "tmp", AT_REMOVEDIR);
	unlinkat(sp.root, "aside", AT_REMOVEDIR);
	spool_close(&sp);
	return rmdir(spool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_calls_can_tell),
		cmocka_unit_test(test_troubles),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_no_core),
	};
	return cmocka_run_group_tests_name("sandbox", tests, set_up, tear_down);
}
