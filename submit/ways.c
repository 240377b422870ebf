#include "submit/ways.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/self.h"
#include "lib/wrapper.h"

extern char **environ;

enum {
	SMTP_PORT = 25,
	CONNECT_TIME = 60, /* s, while all places of the queue are taken */
	REAP_TIME = 2000,  /* ms */
};

bool
ways_beside(const char *name, char out[static PATH_MAX])
{
	char *slash = self_path(out) == 0 ? strrchr(out, '/') : NULL;
	if (slash == NULL || (size_t)(slash + 1 - out) + strlen(name) >= PATH_MAX) {
		out[0] = '\0';
		return false;
	}
	memcpy(slash + 1, name, strlen(name) + 1);
	return access(out, X_OK) == 0;
}

void
ways_find(struct way_terms *t, const struct conf *c)
{
	const char *named = !self_is_set_id() ? secure_getenv("POSTERN_SOCKET") : NULL;
	*t = (struct way_terms){ .socket = named != NULL ? named : WAYS_SOCKET,
		.alone = named != NULL, .spool = c->who.spool };
	(void)ways_beside("smtpd", t->smtpd);
}

const char *
ways_name(const struct way_terms *t, enum way way)
{
	static const char *const names[] = { [WAY_PIPE] = "smtpd on a pipe",
		[WAY_LOOPBACK] = "127.0.0.1:25", [WAY_LOOPBACK6] = "[::1]:25" };
	return way == WAY_LOCAL ? t->socket : names[way];
}

static int
connect_to(const struct sockaddr *sa, socklen_t size)
{
	static const struct timeval most = { .tv_sec = CONNECT_TIME };
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
	int r = connect(fd, sa, size) < 0 ? -errno : 0;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static int
connect_local(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	if (snprintf(un.sun_path, sizeof(un.sun_path), "%s", path) >= (int)sizeof(un.sun_path))
		return -ENAMETOOLONG;
	return connect_to((struct sockaddr *)&un, sizeof(un));
}

static int
connect_loopback(bool v6)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(SMTP_PORT),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(SMTP_PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	return v6 ? connect_to((struct sockaddr *)&in6, sizeof(in6))
		  : connect_to((struct sockaddr *)&in, sizeof(in));
}

/* ---- an smtpd of our own --------------------------------------------------------------------- */

bool
ways_may_write(const struct way_terms *t)
{
	struct stat st;
	return geteuid() == 0 ||
		(t->spool != NULL && stat(t->spool, &st) == 0 && st.st_uid == geteuid());
}

/*
 * Leaves in the environment what configures Postern. A web server's variables go, above all: smtpd
 * would take REMOTE_ADDR for the address of its client.
 */
static void
clear_environment(void)
{
	static const char *const kept[] = { "POSTERN_", "CREDENTIALS_DIRECTORY=", "PATH=" };
	char **to = environ;
	for (char **e = environ; *e != NULL; e++) {
		bool keep = false;
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			keep = keep || span_starts(span_of(*e), span_of(kept[i]));
		if (keep && !span_starts(span_of(*e), span_of("POSTERN_SOCKET=")))
			*to++ = *e;
	}
	*to = NULL;
}

static int
run(const char *smtpd)
{
	clear_environment();
	execl(smtpd, "smtpd", "-p", "local", (char *)NULL);
	return -errno;
}

int
ways_become(const struct way_terms *t)
{
	return ways_may_write(t) ? run(t->smtpd) : -EACCES;
}

/*
 * What sort of socket it is, AF_UNSPEC: none. Not by its peer, which may have gone: what it said
 * before that can still be read.
 */
static int
family_of(int fd)
{
	int family = AF_UNSPEC;
	socklen_t n = sizeof(family);
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &n) == 0 ? family : AF_UNSPEC;
}

bool
ways_is_network(void)
{
	int in = family_of(STDIN_FILENO), out = family_of(STDOUT_FILENO);
	if ((in != AF_UNSPEC && in != AF_UNIX) || (out != AF_UNSPEC && out != AF_UNIX))
		return true;
	return wrapper_is_there(in == AF_UNSPEC); /* a server's script has pipes */
}

int
ways_become_public(const struct way_terms *t)
{
	execl(t->smtpd, "smtpd", (char *)NULL);
	return -errno;
}

/* In the child: nothing of the caller is left to it, whose pipes would stay open. */
static _Noreturn void
begin_smtpd(const struct way_terms *t, int fd)
{
	int null = open("/dev/null", O_RDWR);
	(void)setsid(); /* a key that ends us must not end what it has queued */
	(void)dup2(fd, STDIN_FILENO);
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(null, STDERR_FILENO);
	(void)syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
	(void)run(t->smtpd);
	_exit(1);
}

static int
open_pipe(const struct way_terms *t, pid_t *child)
{
	int pair[2];
	if (!ways_may_write(t))
		return -EACCES;
	if (access(t->smtpd, X_OK) < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		begin_smtpd(t, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -EAGAIN;
	}
	*child = pid;
	return pair[0];
}

int
ways_open(const struct way_terms *t, enum way way, pid_t *child)
{
	*child = 0;
	if (t->alone && way != WAY_LOCAL)
		return -EACCES;
	switch (way) {
	case WAY_LOCAL:
		return connect_local(t->socket);
	case WAY_PIPE:
		return open_pipe(t, child);
	default:
		return connect_loopback(way == WAY_LOOPBACK6);
	}
}

void
ways_reap(pid_t child)
{
	if (child <= 0)
		return;
	auto_fd fd = (int)syscall(SYS_pidfd_open, child, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	if (fd >= 0)
		(void)poll(&p, 1, REAP_TIME);
	(void)waitpid(child, NULL, WNOHANG);
}
