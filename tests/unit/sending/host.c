#include "tests/unit/sending/host.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

enum { LINE = 4096 };

static const char *const verbs[HOST_VERBS] = { "GREETING", "HELLO", "STARTTLS", "AUTH", "MAIL",
	"RCPT", "DATA", "TEXT", "END", "RSET", "QUIT", "OTHER" };

/* What the script says of this verb, which came `times` times; NULL: nothing. */
static const char *
exception(const struct host *h, const char *verb, int times, size_t *n)
{
	char name[32];
	snprintf(name, sizeof(name), "%s%d=", verb, times);
	for (const char *p = h->script.exceptions; p != NULL && *p != '\0'; p += *p == '|') {
		size_t length = strcspn(p, "|");
		if (strncmp(p, name, strlen(name)) == 0) {
			*n = length - strlen(name);
			return p + strlen(name);
		}
		p += length;
	}
	return NULL;
}

static void
hang_up(struct host *h)
{
	h->closed = true;
	shutdown(h->fd, SHUT_RDWR);
}

/* Reads nothing more, and does not close: the other side has to. */
static void
turn_away(struct host *h)
{
	struct pollfd p = { .fd = h->fd, .events = POLLRDHUP };
	while (poll(&p, 1, -1) < 0)
		;
	h->closed = true;
}

static void
flush(struct host *h)
{
	if (h->held_n > 0)
		(void)send(h->fd, h->held, h->held_n, MSG_NOSIGNAL);
	h->held_n = 0;
}

/* At once, but for words about one text, which go together. */
static void
say(struct host *h, const char *p, size_t n)
{
	if (h->held_n + n > sizeof(h->held))
		flush(h);
	memcpy(h->held + h->held_n, p, n);
	h->held_n += n;
	if (!h->holds)
		flush(h);
}

/* Does what the script says, or says what is usual. The first digit of the reply. */
static char
reply(struct host *h, const char *verb, const char *usual)
{
	char out[LINE];
	int v = 0;
	while (strcmp(verbs[v], verb) != 0)
		v++;
	size_t n = strlen(usual), at = 0;
	const char *r = exception(h, verb, ++h->times[v], &n);
	if (r == NULL)
		r = usual;
	bool silent = n == strlen("close") && strncmp(r, "close", n) == 0;
	bool last = n > 0 && r[n - 1] == '!', deaf = n > 0 && r[n - 1] == '~';
	for (size_t i = 0; i < n - (last || deaf) && !silent; i++) {
		if (r[i] == '/')
			out[at++] = '\r';
		out[at++] = r[i] == '/' ? '\n' : r[i];
	}
	if (at > 0)
		at += (size_t)snprintf(out + at, sizeof(out) - at, "\r\n");
	if (at > 0)
		say(h, out, at);
	if (silent || last || deaf)
		flush(h);
	if (deaf)
		turn_away(h);
	if (silent || last)
		hang_up(h);
	return silent ? '0' : r[0];
}

/* The reply to a text, which LMTP gives for each recipient. */
static void
reply_to_text(struct host *h)
{
	h->holds = true;
	for (int i = 0; i < (h->script.lmtp ? h->accepted : 1) && !h->closed; i++)
		(void)reply(h, "END", "250 taken");
	h->holds = false;
	if (!h->closed)
		flush(h);
	h->open = false;
	h->accepted = 0;
}

/* Waits for it; an exception may come when it has begun. */
static void
begin_text(struct host *h)
{
	size_t n;
	int c = fgetc(h->in);
	if (c != EOF)
		ungetc(c, h->in);
	h->text_n = 0;
	if (exception(h, "TEXT", h->times[HOST_TEXTS] + 1, &n) != NULL)
		(void)reply(h, "TEXT", "");
	else
		h->times[HOST_TEXTS]++;
}

static void
keep(struct host *h, const char *p, size_t n)
{
	if (h->text_n + n <= sizeof(h->text))
		memcpy(h->text + h->text_n, p, n);
	h->text_n += n;
}

static void
read_lines(struct host *h)
{
	char line[LINE];
	begin_text(h);
	while (!h->closed && fgets(line, sizeof(line), h->in) != NULL) {
		if (strcmp(line, ".\r\n") == 0) {
			reply_to_text(h);
			return;
		}
		const char *p = line[0] == '.' ? line + 1 : line;
		keep(h, p, strlen(p));
	}
}

static void
read_chunk(struct host *h, size_t n)
{
	char block[LINE];
	if (h->script.runs_chunks && !(h->open && h->accepted > 0)) {
		(void)reply(h, "END", "503 no recipients");
		return;
	}
	begin_text(h);
	while (n > 0 && !h->closed) {
		size_t r = fread(block, 1, n < sizeof(block) ? n : sizeof(block), h->in);
		if (r == 0)
			return;
		keep(h, block, r);
		n -= r;
	}
	if (h->closed)
		return;
	if (h->open && h->accepted > 0) {
		reply_to_text(h);
		return;
	}
	(void)reply(h, "END", "503 no recipients");
}

static bool
is(const char *line, const char *verb)
{
	return strncmp(line, verb, strlen(verb)) == 0;
}

static void
begin_data(struct host *h)
{
	char r = reply(h, "DATA", h->open && h->accepted > 0 ? "354 go on" : "503 no recipients");
	if (r == '3')
		read_lines(h);
}

static void
answer(struct host *h, const char *line)
{
	if (is(line, "EHLO") || is(line, "LHLO") || is(line, "HELO")) {
		(void)reply(h, "HELLO", is(line, "HELO") ? "250 hello" : h->script.ehlo);
	} else if (is(line, "MAIL")) {
		h->open = reply(h, "MAIL", "250 ok") == '2';
		h->accepted = 0;
	} else if (is(line, "RCPT")) {
		h->accepted += reply(h, "RCPT", h->open ? "250 ok" : "503 no sender") == '2';
	} else if (is(line, "DATA")) {
		begin_data(h);
	} else if (is(line, "BDAT")) {
		read_chunk(h, strtoul(line + strlen("BDAT "), NULL, 10));
	} else if (is(line, "RSET")) {
		(void)reply(h, "RSET", "250 ok");
		h->open = false;
		h->accepted = 0;
	} else if (is(line, "QUIT")) {
		(void)reply(h, "QUIT", "221 bye!");
	} else if (is(line, "AUTH")) {
		(void)reply(h, "AUTH", "235 you are");
	} else if (is(line, "STARTTLS")) {
		(void)reply(h, "STARTTLS", "454 not now");
	} else {
		(void)reply(h, "OTHER", "500 what?");
	}
}

static void *
run(void *context)
{
	struct host *h = context;
	char line[LINE];
	if (h->script.greeting != NULL)
		(void)reply(h, "GREETING", h->script.greeting);
	while (!h->closed && fgets(line, sizeof(line), h->in) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		if (h->n < sizeof(h->log))
			h->n += (size_t)snprintf(h->log + h->n, sizeof(h->log) - h->n, "%s\n",
				line);
		answer(h, line);
	}
	hang_up(h);
	return NULL;
}

static void
attach(struct host *h, const struct host_script *script, int fd)
{
	*h = (struct host){ .script = *script, .fd = fd, .in = fdopen(fd, "r") };
	assert_non_null(h->in);
}

int
host_start(struct host *h, const struct host_script *script)
{
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0); /* as dial_begin makes it */
	attach(h, script, fd[1]);
	assert_int_equal(pthread_create(&h->thread, NULL, run, h), 0);
	return fd[0];
}

void
host_join(struct host *h)
{
	assert_int_equal(pthread_join(h->thread, NULL), 0);
	fclose(h->in);
}

void
host_talk(struct host *h, const struct host_script *script, int fd)
{
	attach(h, script, fd);
	(void)run(h);
	fclose(h->in);
}
