/*
 * Events go to exactly one place, chosen once. The journal gets fields and text, the others the
 * text alone. Nothing is buffered and nothing is retried.
 */
#include "process/log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/limits.h"

enum { LOG_LINE = 4096, LOG_FIELDS = 10, PROGRAM_MAX = 16 };

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static struct {
	enum conf_log where;
	const char *program;
	log_journal_fn *journal;
	int socket; /* of log_journal_send */
} logger = { .where = LOG_TO_NONE, .socket = -1 };

int
log_journal_open(void)
{
	static const struct timeval patience = { .tv_sec = 1 };
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		int err = errno;
		close(fd);
		return -err;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	logger.socket = fd;
	return 0;
}

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
	struct msghdr msg = { .msg_iov = lines, .msg_iovlen = (size_t)k };
	return sendmsg(logger.socket, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void
log_open(enum conf_log where, const char *program, log_journal_fn *journal)
{
	logger.program = program;
	logger.journal = journal;
	if (where == LOG_TO_AUTO && access(JOURNAL_SOCKET, W_OK) == 0)
		where = LOG_TO_JOURNAL;
	if (where == LOG_TO_AUTO && access("/dev/log", W_OK) == 0)
		where = LOG_TO_SYSLOG;
	if (where == LOG_TO_AUTO)
		where = LOG_TO_STDERR;
	if (where == LOG_TO_JOURNAL && journal == log_journal_send && log_journal_open() < 0)
		where = LOG_TO_NONE;
	if (where == LOG_TO_SYSLOG)
		openlog(program, LOG_PID | LOG_NDELAY, LOG_MAIL);
	logger.where = where;
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

static void
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
	(void)logger.journal(iov, n);
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
	if (logger.where == LOG_TO_JOURNAL)
		log_journal(priority, f, text);
	else if (logger.where == LOG_TO_SYSLOG)
		syslog(priority, "%s", text);
	else
		log_stderr(text);
}
