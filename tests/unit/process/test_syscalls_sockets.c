/*
 * syscalls: what a locked-in process can do with sockets and descriptors (K-rows; the session's
 * promise in docs/ARCHITECTURE.md), tried by processes that locked themselves in.
 */
#include "tests/unit/process/locked_in.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>

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

/* Without a bind the kernel takes a port that is free. */
static long
try_listen(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? fd : listen(fd, 1);
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
try_packets(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0);
}

/* Any of these: each is a protocol of an allowed family. */
static long
try_protocols(void)
{
	static const int rows[][3] = {
		{ AF_INET, SOCK_STREAM, 262 }, /* MPTCP, whose bind Landlock does not see */
		{ AF_INET6, SOCK_STREAM, 262 },
		{ AF_INET, SOCK_STREAM, IPPROTO_SCTP },
		{ AF_INET, SOCK_SEQPACKET, 0 }, /* SCTP, too */
		{ AF_INET, SOCK_DCCP, 0 },
		{ AF_INET, SOCK_RAW, IPPROTO_TCP },
		{ AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE },
		{ AF_INET, SOCK_DGRAM, IPPROTO_ICMP },
		{ AF_NETLINK, SOCK_RAW, 4 }, /* NETLINK_SOCK_DIAG */
		{ AF_NETLINK, SOCK_RAW, 6 }, /* NETLINK_XFRM, the number of TCP */
		{ AF_NETLINK, SOCK_RAW, 9 }, /* NETLINK_AUDIT */
		{ AF_NETLINK, SOCK_RAW, 12 }, /* NETLINK_NETFILTER */
		{ AF_UNIX, SOCK_STREAM, 1 },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		if (!refused(socket(rows[i][0], rows[i][1], rows[i][2])))
			return (long)i;
	errno = EPERM;
	return -1;
}

/* What resolvers, C libraries and ours ask for. */
static long
try_usual_protocols(void)
{
	static const int rows[][3] = {
		{ AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0 },
		{ AF_INET6, SOCK_STREAM, IPPROTO_TCP },
		{ AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP },
		{ AF_INET6, SOCK_DGRAM, 0 },
		{ AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0 },
		{ AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0 },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		if (refused(socket(rows[i][0], rows[i][1], rows[i][2])))
			return -1;
	return 0;
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

/* A stream of the service manager's, in which all of a service speak (S22). */
static long
try_shut_errors(void)
{
	return shutdown(STDERR_FILENO, NO_WAY);
}

/* It would have a number then that may be shut down. */
static long
try_copy_listener(void)
{
	return dup2(listener, STDIN_FILENO);
}

static long
try_copy_listener_3(void)
{
	return dup3(listener, STDIN_FILENO, O_CLOEXEC);
}

static long
try_copy_requests(void)
{
	return dup2(requests[1], STDOUT_FILENO);
}

/* Of a client, or of nobody. */
static long
try_copy_new(void)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return -1;
	return dup2(pair[0], STDIN_FILENO) < 0 || dup2(bell_pipe[0], STDOUT_FILENO) < 0 ? -1 : 0;
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

static const struct row rows[] = {
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
	{ "the same with requests", try_shut_requests, SESSION | WAITING },
	{ "the same with what all write to", try_shut_errors, SESSION | RELAY | HELPER },
	{ "a copy of a listener", try_copy_listener, WORKER | RELAY | HELPER },
	{ "the same by dup3", try_copy_listener_3, WORKER | RELAY | HELPER },
	{ "a copy of requests", try_copy_requests, SESSION | RELAY | HELPER },
	{ "a copy of a new socket, and of none", try_copy_new, RELAY | HELPER },
	{ "the end of a question", try_shut_pair, 0 },
	{ "blocking all who accept", try_flags, WORKER },
	{ "a TCP socket", try_socket, SESSION | HELPER },
	{ "a Unix socket", try_unix_socket, SESSION | HELPER },
	{ "serving TCP", try_listen, SESSION | RELAY | HELPER },
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
	{ "a socket of another family", try_packets, SESSION | RELAY | HELPER },
	{ "a socket of another protocol", try_protocols, SESSION | RELAY | HELPER },
	{ "sockets of the usual protocols", try_usual_protocols, SESSION | HELPER },
};

static void
test_rows(void **state)
{
	(void)state;
	check_roles(rows, ROWS(rows));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
	};
	return cmocka_run_group_tests_name("syscalls_sockets", tests, set_up, tear_down);
}
