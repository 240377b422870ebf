/*
 * Events go to one place, chosen once. The journal gets fields and text, the others the text alone.
 * Nothing is buffered; a line that nobody takes goes to standard error, where perhaps somebody is.
 *
 * The journal is spoken to without libsystemd, for to load it takes longer than a session: an entry
 * is one datagram of lines, as journald documents it. A process that has loaded the library all the
 * same has that take the entry (log_journal_by); if it cannot, the datagram goes.
 */
#include "process/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
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
#include "process/json.h"
#include "process/postfix.h"

enum {
	LOG_LINE = 4096,
	LOG_FIELDS = 26, /* of the table, and those that every entry has */
	LOG_PREFIX = 160, /* a date, a host, a program */
	LOG_HOST = 64,
	LOG_VALUES = 10 * LIMIT_LOG_TEXT, /* octets of all fields; what has no room is left out */
};

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
	enum conf_log_format format;
	const char *program;
	int socket;       /* connected; -1: none is needed */
	int (*send)(const struct iovec *, int); /* by the library, or NULL */
	bool stream;      /* some syslogds have one of that kind: NUL ends a line */
	int64_t patience; /* when to connect anew at the earliest (clock.h) */
	int (*reconnect)(int);
	int argument;
	pthread_rwlock_t lock; /* of the number of the socket, where there are threads */
	unsigned streams; /* that have come to the place of others */
} logger = { .where = LOG_TO_NONE, .socket = -1, .lock = PTHREAD_RWLOCK_INITIALIZER };

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
	static const struct timeval patience = { .tv_sec = 1 }; /* for a connection, too */
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	int r = connect_to(fd, where);
	if (r == 0)
		return fd;
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
log_open(enum conf_log where, const char *program)
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
	logger.socket = fd;
}

/* Of this host, for lines that say whose they are. */
static char own_name[LOG_HOST];

void
log_shape(enum conf_log_format format, const char *host)
{
	logger.format = format;
	if (format != LOG_FORMAT_POSTFIX)
		return;
	snprintf(own_name, sizeof(own_name), "%s", host);
	tzset(); /* as above */
}

bool
log_is_shaped(void)
{
	return logger.format != LOG_FORMAT_POSTERN;
}

bool
log_goes_to_journal(void)
{
	return logger.where == LOG_TO_JOURNAL;
}

void
log_journal_by(int (*send)(const struct iovec *field, int n))
{
	logger.send = send;
}

int
log_descriptor(void)
{
	pthread_rwlock_rdlock(&logger.lock);
	int fd = logger.socket;
	pthread_rwlock_unlock(&logger.lock);
	return fd;
}

/*
 * Puts a socket in the place of the old one. It has the same number, which others know (crew.c);
 * but a relay that is locked in copies no descriptor: its threads know the number from here alone.
 */
static void
replace(int old, int new)
{
	bool copied = dup3(new, old, O_CLOEXEC) == old;
	logger.streams += copied;
	pthread_rwlock_wrlock(&logger.lock);
	bool exchanged = !copied && logger.socket == old; /* or another thread was quicker */
	if (exchanged)
		logger.socket = new;
	pthread_rwlock_unlock(&logger.lock);
	close(exchanged ? old : new); /* nobody writes there any more */
}

/*
 * Was it shut down? No connecting anew mends that. The kernel looks at this before it looks at what
 * is to be sent, which is nowhere, so nothing ever is.
 */
static bool
is_shut(int fd)
{
	return send(fd, NULL, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EPIPE;
}

static int
renew(int old, int type)
{
	int fd = open_type(logger.where, type);
	if (fd >= 0)
		replace(old, fd);
	return fd < 0 ? fd : 0;
}

/*
 * A stream can be connected once, so there is another one when who listened has gone; not when that
 * does not read.
 */
static int
renew_stream(void)
{
	struct pollfd old = { .fd = log_descriptor() };
	bool gone = poll(&old, 1, 0) == 1 && (old.revents & POLLHUP) != 0;
	return gone || is_shut(old.fd) ? renew(old.fd, SOCK_STREAM) : -EISCONN;
}

int
log_reconnect(int unused)
{
	(void)unused;
	if (logger.stream)
		return renew_stream();
	int fd = log_descriptor();
	int r = fd < 0 ? -ENOTCONN : connect_to(fd, logger.where);
	return r == 0 && is_shut(fd) ? renew(fd, SOCK_DGRAM) : r;
}

unsigned
log_streams(void)
{
	return logger.streams;
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
 * What is sent goes by the descriptor alone, with neither a name nor descriptors in it: a locked-in
 * process may not send any other way. Meanwhile its number is nobody else's.
 */
static bool
put(const char *p, size_t n)
{
	pthread_rwlock_rdlock(&logger.lock);
	bool whole = send(logger.socket, p, n, MSG_NOSIGNAL) >= 0;
	pthread_rwlock_unlock(&logger.lock);
	return whole;
}

static bool
transmit(const char *p, size_t n)
{
	return put(p, n) || (regain() && put(p, n));
}

/* ---- the journal: lines of NAME=value ------------------------------------------------------ */

#define TEXT_FIELD "MESSAGE="

/* Adds a field to the n octets of the entry; a value holds no end of a line. How many there are. */
static size_t
add_field(char *entry, size_t n, size_t room, const char *name, const char *value)
{
	size_t most = room - n < LIMIT_LOG_TEXT ? room - n : LIMIT_LOG_TEXT;
	if (value == NULL)
		return n;
	int len = snprintf(entry + n, most, "%s=%s", name, value);
	if (len < 0 || ((size_t)len >= most && most < LIMIT_LOG_TEXT))
		return n;
	char *end = entry + n + ((size_t)len < most ? (size_t)len : most - 1);
	for (char *p = entry + n; (p = memchr(p, '\n', (size_t)(end - p))) != NULL;)
		*p = ' ';
	*end++ = '\n';
	return (size_t)(end - entry);
}

/* The lines of an entry are the fields of it, for a library. */
static bool
send_fields(char *entry, size_t n)
{
	struct iovec field[LOG_FIELDS];
	int k = 0;
	for (char *p = entry, *end; k < LOG_FIELDS && p < entry + n; p = end + 1) {
		end = memchr(p, '\n', (size_t)(entry + n - p));
		field[k++] = (struct iovec){ p, (size_t)(end - p) };
	}
	return logger.send(field, k) >= 0;
}

/* What is logged, and how: `text` stands in line[], behind a prefix, with room for fields. */
struct entry {
	int priority;
	const struct log_fields *f;
	const char *program;
	char *line, *text;
	size_t n;    /* octets of the line, with the prefix */
	size_t room; /* ... that it may have, with fields */
};

/* The text is there already, with its name. */
static bool
log_journal(const struct entry *e)
{
	char level[2] = { (char)('0' + e->priority), '\0' };
	size_t n = e->n;
	for (char *p = e->line; (p = memchr(p, '\n', (size_t)(e->line + n - p))) != NULL;)
		*p = ' ';
	e->line[n++] = '\n';
	n = add_field(e->line, n, e->room, "PRIORITY", level);
	n = add_field(e->line, n, e->room, "SYSLOG_IDENTIFIER", e->program);
	n = add_field(e->line, n, e->room, "SYSLOG_FACILITY", "2"); /* mail */
	n = add_field(e->line, n, e->room, "MESSAGE_ID",
		e->f->event != NULL ? event_id(e->f->event) : NULL);
#define ADD(name, NAME, number, meaning) \
	n = add_field(e->line, n, e->room, "POSTERN_" #NAME, e->f->name);
	LOG_FIELD_TABLE(ADD)
#undef ADD
	return (logger.send != NULL && send_fields(e->line, n)) || transmit(e->line, n);
}

/* ---- syslog and standard error ------------------------------------------------------------- */

/* The format of syslog(3), which would look the time zone up each time, and get no reply. */
static int
begin_dated(const char *level, const char *host, const char *program, char *line, size_t room)
{
	char date[32] = "";
	struct tm now;
	time_t wall = (time_t)clock_wall();
	if (localtime_r(&wall, &now) != NULL)
		(void)!strftime(date, sizeof(date), "%b %e %H:%M:%S ", &now);
	return snprintf(line, room, "%s%s%s%s[%ld]: ", level, date, host, program, (long)getpid());
}

static int
begin_syslog(int priority, const char *program, char *line, size_t room)
{
	char level[16];
	snprintf(level, sizeof(level), "<%d>", LOG_MAIL | priority);
	return begin_dated(level, "", program, line, room);
}

/* What stands before a line on standard error. */
static int
begin_stderr(const char *program, char *line, size_t room)
{
	char host[LOG_HOST + 1];
	if (logger.format == LOG_FORMAT_POSTERN)
		return snprintf(line, room, "%s: ", program);
	if (logger.format == LOG_FORMAT_JSON)
		return 0;
	snprintf(host, sizeof(host), "%s ", own_name);
	return begin_dated("", host, program, line, room);
}

/*
 * Who ought to read standard error may have stopped, and a pipe is full then: mail does not wait
 * for that (J18). Nor does each line have a second once one has had none.
 */
static bool
takes_line(void)
{
	static _Atomic bool stuck;
	const struct timespec patience = { .tv_sec = stuck ? 0 : 1 };
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	stuck = ppoll(&p, 1, &patience, NULL) == 0;
	return !stuck;
}

/* One write, and no stdio: it asks the kernel things that a program which is locked in may not. */
static void
log_stderr(const char *program, const char *text)
{
	char line[LOG_LINE + LOG_PREFIX];
	int prefix = begin_stderr(program, line, LOG_PREFIX);
	if (prefix < 0 || prefix >= LOG_PREFIX || !takes_line())
		return;
	int n = snprintf(line + prefix, sizeof(line) - (size_t)prefix, "%s\n", text);
	if (n > 0 && (size_t)n < sizeof(line) - (size_t)prefix)
		(void)!write(STDERR_FILENO, line, (size_t)(prefix + n));
}

/* What stands before the text, for whoever gets the line. */
static size_t
begin_line(int priority, const char *program, char line[static LOG_PREFIX])
{
	int n = logger.where == LOG_TO_JOURNAL ? snprintf(line, LOG_PREFIX, TEXT_FIELD)
		: logger.where == LOG_TO_SYSLOG
		? begin_syslog(priority, program, line, LOG_PREFIX) : 0;
	return n < 0 || n >= LOG_PREFIX ? 0 : (size_t)n;
}

static void
publish(const struct entry *e)
{
	char end = e->line[e->n];
	bool said = logger.where == LOG_TO_JOURNAL ? log_journal(e)
		: logger.where == LOG_TO_SYSLOG && transmit(e->line, e->n + logger.stream);
	e->line[e->n] = end;
	if (!said)
		log_stderr(e->program, e->text);
}

/* ---- other shapes: a page of the stack more, for those who want them ------------------------- */

static void
publish_as(int priority, const struct log_fields *f, const char *program, const char *text)
{
	char line[LOG_PREFIX + LOG_LINE + LOG_VALUES];
	size_t prefix = begin_line(priority, program, line);
	struct entry e = { priority, f, program, line, line + prefix, prefix, sizeof(line) };
	e.n += (size_t)snprintf(e.text, LOG_LINE - 1, "%s", text);
	publish(&e);
}

static __attribute__((noinline)) void
log_shaped(int priority, const struct log_fields *f, const char *text)
{
	char line[LOG_LINE - 1], program[32];
	const char *name;
	if (logger.format == LOG_FORMAT_JSON) {
		(void)json_line(priority, f, logger.program, text, line, sizeof(line));
		publish_as(priority, f, logger.program, line);
		return;
	}
	for (int part = 0; (name = postfix_line(priority, f, logger.program, text, part, line,
				    sizeof(line))) != NULL; part++) {
		snprintf(program, sizeof(program), "postfix/%s", name);
		publish_as(priority, f, program, line);
	}
}

void
log_event(int priority, const struct log_fields *f, const char *fmt, ...)
{
	/* One for all, so that few pages of the stack are touched: prefix, text, fields. */
	char line[LOG_PREFIX + LOG_LINE + LOG_VALUES];
	if (logger.where == LOG_TO_NONE)
		return;
	size_t prefix = log_is_shaped() ? 0 : begin_line(priority, logger.program, line);
	struct entry e = { priority, f, logger.program, line, line + prefix, prefix, sizeof(line) };
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(e.text, LOG_LINE - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	e.n += n < LOG_LINE - 1 ? (size_t)n : LOG_LINE - 2;
	if (log_is_shaped())
		log_shaped(priority, f, e.text);
	else
		publish(&e);
}
