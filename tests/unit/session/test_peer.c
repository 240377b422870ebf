/* peer: each kind of descriptor, what a wrapper says beside it, and the rights that follow. */
#include "tests/unit/session/configured.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "session/peer.h"

static struct conf conf;

/* ---- kinds of descriptors ---------------------------------------------------------------- */

static int
a_pipe(void)
{
	int end[2];
	assert_int_equal(pipe(end), 0);
	close(end[1]);
	return end[0];
}

static int
a_file(void)
{
	return open("/dev/null", O_RDWR);
}

static int
a_pair(void)
{
	int end[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
	return end[0]; /* the other end stays open, and says who made it */
}

/* A connection that came in at a listener; `from`: from there, if that is another family. */
static int
accepted(const struct sockaddr *at, socklen_t size, const struct sockaddr *from)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	int listener = socket(at->sa_family, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, at, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&ss, &n), 0);
	int client = socket(from != NULL ? from->sa_family : at->sa_family, SOCK_STREAM, 0);
	if (from != NULL && from->sa_family == AF_INET) {
		struct sockaddr_in to = *(const struct sockaddr_in *)from;
		to.sin_port = ((struct sockaddr_in6 *)&ss)->sin6_port;
		assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	} else {
		assert_int_equal(connect(client, (struct sockaddr *)&ss, n), 0);
	}
	int fd = accept(listener, NULL, NULL);
	close(listener);
	return fd;
}

static int
tcp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	return accepted((struct sockaddr *)&at, sizeof(at), NULL);
}

/* An IPv4 client of a socket for both families. */
static int
tcp_mapped(void)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6 };
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	return accepted((struct sockaddr *)&at, sizeof(at), (struct sockaddr *)&from);
}

static char directory[] = "/tmp/postern-peer-XXXXXX";

static struct sockaddr_un
un_of(const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", directory, name);
	return un;
}

static int
a_named_socket(void)
{
	struct sockaddr_un at = un_of("proxy");
	unlink(at.sun_path);
	return accepted((struct sockaddr *)&at, sizeof(at), NULL);
}

static int
an_abstract_socket(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int n = snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "%s", directory);
	return accepted((struct sockaddr *)&at,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n), NULL);
}

/* A client of a UNIX socket that is neither root nor we; its own end may have a name, too. */
static int
another_user_named(const char *name)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX }, left = un_of(name);
	snprintf(own.sun_path, sizeof(own.sun_path), "%s", name);
	struct sockaddr_un at = un_of("proxy");
	unlink(at.sun_path);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(chmod(at.sun_path, 0777), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int client = socket(AF_UNIX, SOCK_STREAM, 0);
		bool bound = name[0] == '\0' || (chdir(directory) == 0 &&
			bind(client, (struct sockaddr *)&own, sizeof(own)) == 0);
		_exit(!bound || setuid(12345) < 0 ||
			connect(client, (struct sockaddr *)&at, sizeof(at)) < 0);
	}
	int fd = accept(listener, NULL, NULL), status;
	close(listener);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	if (name[0] != '\0')
		unlink(left.sun_path);
	return fd;
}

static int
another_user(void)
{
	return another_user_named("");
}

/* ---- who they are -------------------------------------------------------------------------- */

#define NETS "relay_nets = 203.0.113.0/24 fe80::/64\n"

static const struct row {
	int (*make)(void);
	const char *env; /* "NAME=value NAME=value" */
	const char *conf;
	const char *text;
	bool relay;  /* may it send anywhere? */
	bool direct; /* with LF, and passwords in clear? */
} rows[] = {
	/* smtpd < script stays as it is */
	{ a_pipe, "", "", "local", true, true },
	{ a_file, "", "", "local", true, true },
	{ a_pair, "", "", "local", true, true },
	{ tcp, "", "", "[127.0.0.1]", true, false },
	{ tcp_mapped, "", "", "[127.0.0.1]", true, false },
	{ a_named_socket, "", "", "local", true, true },
	/* L50: a wrapper names the client, whatever the descriptor is */
	{ a_pipe, "NCAT_REMOTE_ADDR=192.0.2.1", NETS, "[192.0.2.1]", false, false },
	{ a_pair, "SOCAT_PEERADDR=192.0.2.1", NETS, "[192.0.2.1]", false, false },
	{ a_pair, "SOCAT_PEERADDR=[2001:0db8:0000:0000:0000:0000:0000:0001]", NETS,
		"[IPv6:2001:db8::1]", false, false },
	{ a_pair, "MINE_PEERADDR=192.0.2.1", NETS, "[192.0.2.1]", false, false },
	{ a_pair, "REMOTE_HOST=192.0.2.1", NETS, "[192.0.2.1]", false, false },
	{ a_file, "REMOTE_ADDR=192.0.2.1", NETS, "[192.0.2.1]", false, false },
	{ tcp, "TCPREMOTEIP=192.0.2.1", NETS, "[192.0.2.1]", false, false },
	{ tcp, "TCPREMOTEIP=::ffff:192.0.2.1", NETS, "[192.0.2.1]", false, false },
	{ a_pipe, "TCPREMOTEIP=203.0.113.9", NETS, "[203.0.113.9]", true, false },
	{ a_pipe, "SSLREMOTEIP=fe80::1%eth0", NETS, "[IPv6:fe80::1]", true, false },
	{ a_pipe, "TCPREMOTEADDR=192.0.2.1:40000", NETS, "[192.0.2.1]", false, false },
	{ a_pair, "TCPREMOTEADDR=[2001:db8::1]:1", NETS, "[IPv6:2001:db8::1]", false, false },
	{ a_pipe, "TCPREMOTEADDR=203.0.113.9:65535", NETS, "[203.0.113.9]", true, false },
	{ a_pipe, "SOCAT_PEERADDR=127.0.0.1", "", "[127.0.0.1]", true, false },
	{ a_pipe, "TCPREMOTEIP=192.0.2.1 SSLREMOTEIP=192.0.2.1 REMOTE_HOST=c.example", "",
		"[192.0.2.1]", false, false },
	/* what is no address gives no rights */
	{ a_pipe, "SOCAT_PEERADDR=", "", "unknown", false, false },
	{ a_pair, "SOCAT_PEERADDR=/run/socket", "", "unknown", false, false },
	{ tcp, "REMOTE_ADDR=127.0.0.1x", "", "unknown", false, false },
	{ a_pipe, "REMOTE_HOST=localhost", "", "unknown", false, false },
	{ a_pipe, "NCAT_REMOTE_ADDR=2130706433", "", "unknown", false, false },
	{ a_pipe, "NCAT_REMOTE_ADDR=127.1", "", "unknown", false, false },
	{ a_pipe, "NCAT_REMOTE_ADDR=127.0.0.1:25", "", "unknown", false, false },
	{ a_pipe, "TCPREMOTEADDR=127.0.0.1:0", "", "unknown", false, false },
	{ a_pipe, "TCPREMOTEADDR=:25", "", "unknown", false, false },
	{ a_pipe, "NCAT_REMOTE_ADDR=%eth0", "", "unknown", false, false },
	{ a_pipe, "NCAT_REMOTE_ADDR=[]", "", "unknown", false, false },
	/* whatever another one says beside it */
	{ a_pipe, "TCPREMOTEIP=c.example REMOTE_ADDR=203.0.113.9", NETS, "unknown", false, false },
	/* nor do two that contradict each other */
	{ a_pipe, "TCPREMOTEIP=127.0.0.1 SOCAT_PEERADDR=192.0.2.1", "", "unknown", false, false },
	{ a_pipe, "SOCAT_PEERADDR=192.0.2.1 TCPREMOTEIP=127.0.0.1", "", "unknown", false, false },
	/* what only looks like one says nothing */
	{ a_pipe, "REMOTE_ADDRESS=192.0.2.1 _PEERADDR=192.0.2.1 XTCPREMOTEIP=192.0.2.1", "", "local",
		true, true },
	/* what a web client may put into its request, and a CGI program then has in its environment */
	{ a_pipe, "HTTP_X_PEERADDR=192.0.2.1", "", "local", true, true },
	{ a_pipe, "HTTP_PEERADDR=127.0.0.1 REMOTE_ADDR=192.0.2.1", "", "[192.0.2.1]", false, false },
	/* L51: nobody on this host has rights */
	{ tcp, "", "relay_local = no\n", "[127.0.0.1]", false, false },
	{ a_pair, "", "relay_local = no\n", "local", false, false },
	{ a_pipe, "", "relay_local = no\n", "local", false, false },
	{ a_pipe, "TCPREMOTEIP=203.0.113.9", "relay_local = no\n" NETS, "[203.0.113.9]", true, false },
	{ tcp, "", "relay_local = no\nrelay_nets = 127.0.0.1\n", "[127.0.0.1]", true, false },
};

static void
clear_wrappers(void)
{
	static const char *const names[] = { "TCPREMOTEIP", "TCP6REMOTEIP", "SSLREMOTEIP",
		"TCPREMOTEADDR", "NCAT_REMOTE_ADDR", "SOCAT_PEERADDR", "MINE_PEERADDR", "REMOTE_ADDR", "REMOTE_HOST",
		"REMOTE_ADDRESS", "_PEERADDR", "XTCPREMOTEIP", "HTTP_X_PEERADDR",
		"HTTP_PEERADDR" };
	for (size_t i = 0; i < ROWS(names); i++)
		unsetenv(names[i]);
}

static void
set_wrappers(const char *env)
{
	clear_wrappers();
	struct span rest = span_of(env);
	for (struct span word; (word = span_word(&rest, " ")).n > 0;) {
		char value[100], name[100];
		struct span n = span_cut(&word, '=');
		snprintf(name, sizeof(name), "%.*s", (int)n.n, n.p);
		snprintf(value, sizeof(value), "%.*s", (int)word.n, word.p);
		setenv(name, value, 1);
	}
}

/* Who stands at `fd`, which is closed. */
static struct peer
met(int fd, const char *env, const char *text)
{
	struct peer p;
	set_wrappers(env);
	configure(&conf, text);
	assert_true(fd >= 0);
	assert_int_equal(peer_of(fd, fd, &p), 0);
	clear_wrappers();
	close(fd);
	return p;
}

static void
test_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct row *row = &rows[i];
		struct peer p = met(row->make(), row->env, row->conf);
		if (strcmp(p.text, row->text) != 0 ||
			peer_may_relay(&p, &conf.receive) != row->relay ||
			peer_is_direct(&p, &conf.receive) != row->direct)
			fail_msg("row %zu: %s %d %d", i, p.text, peer_may_relay(&p, &conf.receive),
				peer_is_direct(&p, &conf.receive));
		assert_int_equal(p.socket, row->make != a_pipe && row->make != a_file);
		assert_false(peer_is_proxy(&p, &conf.receive));
	}
}

/* L50: a process of another user may be a proxy. */
static void
test_another_user(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct peer p = met(another_user(), "", "");
	assert_string_equal(p.text, "uid=12345");
	assert_false(peer_may_relay(&p, &conf.receive));
	assert_false(peer_is_local(&p, &conf.receive)); /* it is counted */
	assert_false(peer_is_direct(&p, &conf.receive));
	p = met(another_user(), "TCPREMOTEIP=203.0.113.9", NETS);
	assert_true(peer_may_relay(&p, &conf.receive));
}

/* Where users of this host come in, they have its rights; and only there. */
static void
test_local_users(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct peer p = met(another_user(), "", "local_users = yes\n");
	assert_string_equal(p.text, "uid=12345");
	assert_int_equal(p.uid, 12345);
	assert_true(peer_is_user(&p, &conf.receive) && peer_is_bound(&p, &conf.receive));
	assert_true(peer_may_relay(&p, &conf.receive) && peer_is_local(&p, &conf.receive));
	assert_true(peer_is_direct(&p, &conf.receive));
	assert_false(p.nobody);

	/* root and ourselves: the spool is ours anyway */
	p = met(a_pair(), "", "local_users = yes\n");
	assert_true(peer_is_user(&p, &conf.receive) && !peer_is_bound(&p, &conf.receive));

	/* without the key, and for who is no user */
	p = met(another_user(), "", "");
	assert_false(peer_is_user(&p, &conf.receive) || peer_is_bound(&p, &conf.receive));
	p = met(tcp(), "", "local_users = yes\n");
	assert_false(peer_is_user(&p, &conf.receive));
	p = met(another_user(), "", "local_users = yes\nrelay_local = no\n");
	assert_false(peer_may_relay(&p, &conf.receive));

	/* who speaks for somebody else is that one */
	p = met(another_user(), "REMOTE_ADDR=192.0.2.1", "local_users = yes\n");
	assert_string_equal(p.text, "[192.0.2.1]");
	assert_false(peer_is_user(&p, &conf.receive) || peer_may_relay(&p, &conf.receive));
	p = met(another_user(), "REMOTE_ADDR=/run/x", "local_users = yes\n");
	assert_false(peer_is_user(&p, &conf.receive) || peer_may_relay(&p, &conf.receive));
	char named[100];
	snprintf(named, sizeof(named), "local_users = yes\nproxy_nets = unix:%s/proxy\n", directory);
	p = met(another_user(), "", named);
	assert_true(peer_is_proxy(&p, &conf.receive));
	assert_false(peer_is_user(&p, &conf.receive) || peer_may_relay(&p, &conf.receive));

	/* where users come in, not each of them is a proxy whose word counts */
	p = met(another_user(), "", "local_users = yes\nproxy_nets = unix:*\n");
	assert_false(peer_is_proxy(&p, &conf.receive));
	assert_true(peer_is_user(&p, &conf.receive) && peer_is_bound(&p, &conf.receive));
	p = met(a_pair(), "", "local_users = yes\nproxy_nets = unix:*\n");
	assert_false(peer_is_proxy(&p, &conf.receive));
	p = met(another_user(), "", "local_users = yes\n");
	struct netaddr there = { .ip = { 192, 0, 2, 1 } };
	peer_become(&p, &there);
	assert_false(peer_is_user(&p, &conf.receive) || peer_may_relay(&p, &conf.receive));
	p = met(another_user(), "", "local_users = yes\n");
	peer_stay_proxy(&p);
	assert_false(peer_is_user(&p, &conf.receive) || peer_may_relay(&p, &conf.receive));
}

/*
 * L50: who accepts may tell the name of a client's socket as REMOTE_ADDR, and that is what the client
 * calls it: no address, not even one of this host, and no way to be nobody's user.
 */
static void
test_named_user(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	static const char *const confs[] = { "", "local_users = yes\n", NETS };
	static const char *const names[] = { "127.0.0.1", "203.0.113.9", "::1" };
	for (size_t i = 0; i < ROWS(confs); i++)
		for (size_t k = 0; k < ROWS(names); k++) {
			char env[100];
			snprintf(env, sizeof(env), "REMOTE_ADDR=%s", names[k]);
			struct peer p = met(another_user_named(names[k]), env, confs[i]);
			assert_string_equal(p.text, "unknown");
			assert_false(peer_may_relay(&p, &conf.receive));
			assert_false(peer_is_local(&p, &conf.receive));
		}
	/* A name alone changes nothing. */
	struct peer p = met(another_user_named("127.0.0.1"), "", "local_users = yes\n");
	assert_string_equal(p.text, "uid=12345");
	assert_true(peer_is_bound(&p, &conf.receive) && peer_may_relay(&p, &conf.receive));
}

/* L50: a script that passes on what comes from a connection is no client. */
static void
test_output_alone(void **state)
{
	(void)state;
	struct peer p;
	int in = a_pipe(), out = tcp();
	configure(&conf, "");
	assert_int_equal(peer_of(in, out, &p), 0);
	assert_string_equal(p.text, "[127.0.0.1]");
	assert_false(p.socket); /* that can speak TLS */
	close(in);
	close(out);
}

static void
test_gone(void **state)
{
	(void)state;
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct peer p;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(peer_of(fd, fd, &p), -ENOTCONN);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(peer_of(fd, fd, &p), -EOPNOTSUPP);
	close(fd);
}

/* ---- proxies ------------------------------------------------------------------------------ */

static bool
is_proxy(int (*make)(void), const char *nets)
{
	char text[200];
	snprintf(text, sizeof(text), "proxy_nets = %s\n", nets);
	struct peer p = met(make(), "", text);
	return peer_is_proxy(&p, &conf.receive);
}

/* L50: UNIX sockets that are named as a proxy's. */
static void
test_proxies(void **state)
{
	(void)state;
	char ours[100];
	snprintf(ours, sizeof(ours), "192.0.2.1 unix:%s/proxy", directory);
	assert_string_equal(met(a_pair(), "", "").listener, "*");
	assert_string_equal(met(a_pipe(), "", "").listener, "");
	struct peer p = met(an_abstract_socket(), "", "");
	assert_true(p.listener[0] == '@' && strcmp(p.listener + 1, directory) == 0);
	assert_true(is_proxy(tcp, "127.0.0.1"));
	assert_true(is_proxy(tcp_mapped, "127.0.0.1"));
	assert_false(is_proxy(tcp, "unix:*"));
	assert_false(is_proxy(a_pipe, "0.0.0.0/0 ::/0 unix:*"));
	assert_true(is_proxy(a_named_socket, ours));
	assert_true(is_proxy(a_named_socket, "unix:*"));
	assert_false(is_proxy(a_named_socket, "unix:/elsewhere"));
	assert_true(is_proxy(a_pair, "unix:*"));
	assert_false(is_proxy(a_pair, ours));
	assert_false(is_proxy(a_pair, "0.0.0.0/0 ::/0"));
}

static struct netaddr
address(const char *text)
{
	struct netaddr a;
	assert_int_equal(netaddr_parse(span_of(text), &a), 0);
	return a;
}

static void
test_word_of_a_proxy(void **state)
{
	(void)state;
	struct netaddr here = address("127.0.0.1"), there = address("203.0.113.9");
	struct peer p = met(a_named_socket(), "", NETS);
	peer_become(&p, &there);
	assert_string_equal(p.text, "[203.0.113.9]");
	assert_true(peer_may_relay(&p, &conf.receive) && !peer_is_local(&p, &conf.receive));
	assert_false(peer_is_direct(&p, &conf.receive));

	/* One on another host means that one; before one on this host there may be another one. */
	for (int way = 0; way < 3; way++) {
		p = way == 0 ? met(a_pipe(), "TCPREMOTEIP=192.0.2.80", "")
			: way == 1 ? met(tcp(), "", "") : met(a_named_socket(), "", "");
		peer_become(&p, &here);
		assert_false(peer_may_relay(&p, &conf.receive));
		assert_false(peer_is_local(&p, &conf.receive) || peer_is_direct(&p, &conf.receive));
	}
	/* The operator may say otherwise. */
	p = met(tcp(), "", "relay_nets = 127.0.0.1\n");
	peer_become(&p, &here);
	assert_true(peer_may_relay(&p, &conf.receive) && !peer_is_local(&p, &conf.receive));

	/* Its own connection has no rights, though it comes from here. */
	p = met(tcp(), "", "");
	peer_stay_proxy(&p);
	assert_false(peer_may_relay(&p, &conf.receive));
	p = met(a_pair(), "", "");
	peer_stay_proxy(&p);
	assert_false(peer_may_relay(&p, &conf.receive) || peer_is_direct(&p, &conf.receive));
}

static int
make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) == NULL || chmod(directory, 0755) < 0;
}

static int
remove_directory(void **state)
{
	(void)state;
	struct sockaddr_un un = un_of("proxy");
	unlink(un.sun_path);
	conf_free(&conf);
	return rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_another_user),
		cmocka_unit_test(test_local_users),
		cmocka_unit_test(test_named_user),
		cmocka_unit_test(test_output_alone),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_proxies),
		cmocka_unit_test(test_word_of_a_proxy),
	};
	return cmocka_run_group_tests_name("peer", tests, make_directory, remove_directory);
}
