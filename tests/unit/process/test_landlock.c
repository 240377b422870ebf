/*
 * landlock: what a locked-in process reaches of files, ports and other processes (K-rows; the
 * session's promise in docs/ARCHITECTURE.md), tried by processes that locked themselves in.
 */
#include "tests/unit/process/locked_in.h"

#include "queue/lane.h"

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

static long
try_device(void)
{
	return mknodat(sp.tmp, "device", S_IFCHR | 0600, 0);
}

static const struct row rows[] = {
	{ "queueing mail", try_queue, HELPER },
	{ "reading others' mail", try_read_mail, SESSION | HELPER },
	{ "changing others' mail", try_write_mail, SESSION | HELPER },
	{ "another name for others' mail", try_link_mail, SESSION | HELPER },
	{ "the lock of a relay", try_login_lock, SESSION | HELPER },
	{ "the bell of a relay", try_bell, SESSION | HELPER },
	{ "a device", try_device, SESSION | RELAY | HELPER },
	{ "a port of our choice", try_bind, SESSION | RELAY | HELPER },
	{ "an address of our choice", try_source, SESSION | HELPER },
	{ "connecting", try_connect, SESSION | HELPER },
	{ "reading outside", try_read_outside, SESSION | RELAY | HELPER },
	{ "listing outside", try_list_outside, SESSION | RELAY | HELPER },
	{ "writing outside", try_write_outside, SESSION | RELAY | HELPER },
	{ "files in a directory that is allowed", try_files, SESSION | HELPER },
	{ "reading what is there", try_read_files, SESSION | RELAY | HELPER },
	{ "a directory beneath it", try_directory_of_files, SESSION | RELAY | HELPER },
	{ "a signal to another process", try_kill, SESSION | RELAY | HELPER },
	{ "a signal to the monitor", try_kill_parent, SESSION | RELAY | HELPER },
	{ "chmod", try_chmod, SESSION | RELAY | HELPER },
	{ "a symbolic link", try_symlink, SESSION | RELAY | HELPER },
	{ "a fifo", try_fifo, SESSION | RELAY | HELPER },
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
	return cmocka_run_group_tests_name("landlock", tests, set_up, tear_down);
}
