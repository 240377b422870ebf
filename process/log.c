/*
 * Events go to one place, chosen once. The journal gets fields and text, the others the text alone.
 * Nothing is buffered; a line that nobody takes goes to standard error, where perhaps somebody is.
 */
#include "process/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/limits.h"

enum { LOG_LINE = 4096, LOG_FIELDS = 10, PROGRAM_MAX = 16 };

/*
 * Where each kind of log listens. A socket that is there may be left by a program that is gone, so
 * it is connecting that decides.
 */
static const char *const sockets[] = {
	[LOG_TO_JOURNAL] = "/run/systemd/journal/socket",
	[LOG_TO_SYSLOG] = "/dev/log",
};

static struct {
	enum conf_log where;
	const char *program;
	log_journal_fn *journal;
	int socket;       /* connected; -1: none is needed */
	bool stream;      /* some syslogds have one of that kind: NUL ends a line */
	int64_t patience; /* when to connect anew at the earliest (clock.h) */
	int (*reconnect)(int);
	int argument;
} logger = { .where = LOG_TO_NONE, .socket = -1 };

static int
connect_to(int fd, enum conf_log where)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", sockets[where]);
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

/* A connected socket of this type, or -errno. */
static int
open_type(enum conf_log where, int type)
{
	static const struct timeval patience = { .tv_sec = 1 };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : connect_to(fd, where);
	if (r == 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return r;
}

static int
open_socket(enum conf_log where, bool *stream)
{
	int fd = open_type(where, SOCK_DGRAM);
	*stream = fd == -EPROTOTYPE;
	return *stream ? open_type(where, SOCK_STREAM) : fd;
}

int
log_try(enum conf_log where)
{
	bool stream;
	if (where != LOG_TO_JOURNAL && where != LOG_TO_SYSLOG)
		return 0;
	auto_fd fd = open_socket(where, &stream);
	return fd < 0 ? fd : 0;
}

const char *
log_socket(enum conf_log where)
{
	return sockets[where];
}

void
log_open(enum conf_log where, const char *program, log_journal_fn *journal)
{
	bool any = where == LOG_TO_AUTO;
	enum conf_log kind = any ? LOG_TO_JOURNAL : where;
	int fd = -1;
	cleanup_fd(&logger.socket);
	if (kind == LOG_TO_JOURNAL)
		fd = open_socket(kind, &logger.stream);
	if (fd < 0 && (any || kind == LOG_TO_SYSLOG)) {
		kind = LOG_TO_SYSLOG;
		fd = open_socket(kind, &logger.stream);
		tzset(); /* for local time, before its file is out of reach */
	}
	if (fd < 0 && kind != LOG_TO_NONE)
		kind = LOG_TO_STDERR;
	logger.where = kind;
	logger.program = program;
	logger.journal = journal;
	logger.socket = fd;
	if (kind == LOG_TO_JOURNAL && journal != log_journal_send) { /* which has its own */
		close(fd);
		logger.socket = -1;
	}
}

int
log_reconnect(int unused)
{
	(void)unused;
	return logger.socket < 0 || logger.stream ? -ENOTCONN
		: connect_to(logger.socket, logger.where);
}

void
log_reconnect_by(int (*reconnect)(int), int argument)
{
	logger.reconnect = reconnect;
	logger.argument = argument;
}

/* Is it time to connect anew? Once a second at most, in whatever thread. */
static bool
is_patience_over(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	enum { PAUSE = 1 };
	pthread_mutex_lock(&lock);
	bool over = logger.patience == 0 || clock_left(logger.patience) <= 0;
	if (over)
		logger.patience = clock_deadline(PAUSE);
	pthread_mutex_unlock(&lock);
	return over;
}

/* What listened has ended, and may listen again by now. */
static bool
regain(void)
{
	return is_patience_over() &&
		(logger.reconnect != NULL ? logger.reconnect : log_reconnect)(logger.argument) == 0;
}

/*
 * By the descriptor alone, with neither a name nor descriptors in it: a locked-in process may not
 * send any other way.
 */
int
log_journal_send(const struct iovec *iov, int n)
{
	static char newline[] = "\n";
	struct iovec lines[2 * LOG_FIELDS];
	int k = 0;
	for (int i = 0; i < n && k + 2 <= 2 * LOG_FIELDS; i++) {
		lines[k++] = iov[i];
		lines[k++] = (struct iovec){ newline, 1 };
	}
	return writev(logger.socket, lines, k) < 0 ? -errno : 0;
}

static int
add_field(struct iovec *iov, int n, char *room, const char *name, const char *value)
{
	if (value == NULL)
		return n;
	int len = snprintf(room, LIMIT_LOG_TEXT, "%s=%s", name, value);
	if (len >= LIMIT_LOG_TEXT)
		len = LIMIT_LOG_TEXT - 1;
	iov[n] = (struct iovec){ room, (size_t)len };
	return n + 1;
}

static bool
log_journal(int priority, const struct log_fields *f, const char *text)
{
	char room[LOG_FIELDS][LIMIT_LOG_TEXT];
	char message[LOG_LINE + sizeof("MESSAGE=")];
	char level[2] = { (char)('0' + priority), '\0' };
	struct iovec iov[LOG_FIELDS];
	int len = snprintf(message, sizeof(message), "MESSAGE=%s", text);
	int n = 0;
	iov[n++] = (struct iovec){ message, (size_t)len };
	n = add_field(iov, n, room[n], "PRIORITY", level);
	n = add_field(iov, n, room[n], "SYSLOG_IDENTIFIER", logger.program);
	n = add_field(iov, n, room[n], "POSTERN_EVENT", f->event);
	n = add_field(iov, n, room[n], "POSTERN_QUEUE_ID", f->queue_id);
	n = add_field(iov, n, room[n], "POSTERN_SENDER", f->sender);
	n = add_field(iov, n, room[n], "POSTERN_RECIPIENT", f->recipient);
	n = add_field(iov, n, room[n], "POSTERN_LANE", f->lane);
	n = add_field(iov, n, room[n], "POSTERN_RELAY", f->relay);
	n = add_field(iov, n, room[n], "POSTERN_STATUS", f->status);
	return logger.journal(iov, n) >= 0 || (regain() && logger.journal(iov, n) >= 0);
}

/* The format of syslog(3), which would look the time zone up each time, and get no reply. */
static bool
log_syslog(int priority, const char *text)
{
	char line[LOG_LINE + PROGRAM_MAX + 64], date[32] = "";
	struct tm now;
	time_t wall = (time_t)clock_wall();
	if (localtime_r(&wall, &now) != NULL)
		(void)!strftime(date, sizeof(date), "%b %e %H:%M:%S ", &now);
	int n = snprintf(line, sizeof(line), "<%d>%s%s[%ld]: %s", LOG_MAIL | priority, date,
		logger.program, (long)getpid(), text);
	if (n < 0 || (size_t)n >= sizeof(line))
		return false;
	size_t size = (size_t)n + logger.stream;
	return send(logger.socket, line, size, MSG_NOSIGNAL) >= 0 ||
		(regain() && send(logger.socket, line, size, MSG_NOSIGNAL) >= 0);
}

/* One write, and no stdio: it asks the kernel things that a program which is locked in may not. */
static void
log_stderr(const char *text)
{
	char line[LOG_LINE + PROGRAM_MAX];
	int n = snprintf(line, sizeof(line), "%s: %s\n", logger.program, text);
	if (n > 0 && (size_t)n < sizeof(line))
		(void)!write(STDERR_FILENO, line, (size_t)n);
}

void
log_event(int priority, const struct log_fields *f, const char *fmt, ...)
{
	if (logger.where == LOG_TO_NONE)
		return;
	char text[LOG_LINE];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	bool said = logger.where == LOG_TO_JOURNAL  ? log_journal(priority, f, text)
		  : logger.where == LOG_TO_SYSLOG ? log_syslog(priority, text)
						  : false;
	if (!said)
		log_stderr(text);
}
