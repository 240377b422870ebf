#include "session/helper.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/wait.h"

/* Has a program started with one end of a new pair. The session's end, or -errno. */
static int
ask_for(int monitor, enum request_kind kind, int type, const int *connection)
{
	struct request r = { .kind = kind };
	int pair[2], fds[REQUEST_FDS], n = 0;
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (connection != NULL)
		fds[n++] = *connection;
	fds[n++] = pair[1];
	int err = request_send(monitor, &r, fds, n);
	close(pair[1]);
	if (err == 0)
		return pair[0];
	close(pair[0]);
	return err;
}

int
helper_tls(int monitor, int64_t deadline, const volatile int *stop)
{
	int connection = STDIN_FILENO;
	int fd = ask_for(monitor, REQUEST_TLS, SOCK_STREAM, &connection);
	if (fd < 0)
		return -EPROTO;
	char said = '\0';
	int r = wait_for(fd, POLLIN, deadline, stop);
	if (r == 0 && (read(fd, &said, 1) != 1 || said != TLS_READY))
		r = -EPROTO;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

int
helper_tls_begin(
	int fd, const char *name, struct stream *s, int64_t deadline, struct tlsinfo *info)
{
	struct tlsgo go = { .word = TLS_GO };
	snprintf(go.name, sizeof(go.name), "%s", name);
	int r = send(fd, &go, sizeof(go), MSG_NOSIGNAL) != (ssize_t)sizeof(go) ||
			dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0
		? -EPROTO : 0;
	bool lenient = s->lenient;
	const volatile int *stop = s->stop;
	stream_wipe(s);
	stream_init(s, STDIN_FILENO, STDOUT_FILENO, lenient, stop);
	struct tlsinfo got;
	for (size_t have = 0; r == 0 && have < sizeof(got);) {
		struct span bytes;
		enum stream_result res = stream_bytes(s, deadline, &bytes);
		if (res != STREAM_OK) {
			r = res == STREAM_TIMEOUT ? -ETIMEDOUT : -EPROTO;
			break;
		}
		size_t left = sizeof(got) - have, n = bytes.n < left ? bytes.n : left;
		memcpy((char *)&got + have, bytes.p, n);
		have += n;
		stream_used(s, n);
	}
	if (r < 0)
		return r;
	got.version[sizeof(got.version) - 1] = '\0';
	got.cipher[sizeof(got.cipher) - 1] = '\0';
	got.client[sizeof(got.client) - 1] = '\0';
	*info = got;
	return 0;
}

int
helper_auth(int monitor, const struct auth_hello *hello)
{
	int fd = ask_for(monitor, REQUEST_AUTH, SOCK_SEQPACKET, NULL);
	if (fd < 0)
		return fd;
	if (send(fd, hello, sizeof(*hello), MSG_NOSIGNAL) == (ssize_t)sizeof(*hello))
		return fd;
	close(fd);
	return -EPROTO;
}

int
helper_auth_step(int fd, const struct span *text, int64_t deadline, const volatile int *stop,
	struct auth_text *reply)
{
	static struct auth_text out;
	size_t n = text != NULL ? text->n : 0;
	if (n >= sizeof(out.text))
		return -EPROTO;
	out.given = text != NULL;
	if (n > 0)
		memcpy(out.text, text->p, n);
	out.text[n] = '\0';
	bool sent = send(fd, &out, auth_text_size(n + 1), MSG_NOSIGNAL) >= 0;
	explicit_bzero(out.text, n);
	int r = sent ? wait_for(fd, POLLIN, deadline, stop) : -EPROTO;
	if (r < 0)
		return r;
	ssize_t got = read(fd, reply, sizeof(*reply)); /* a packet */
	if (got < (ssize_t)auth_text_size(2) ||
		reply->text[(size_t)got - auth_text_size(1)] != '\0')
		return -EPROTO;
	return 0;
}

int
helper_log(int monitor)
{
	enum { PATIENCE = 1 };
	int fd = ask_for(monitor, REQUEST_LOG, SOCK_SEQPACKET, NULL);
	if (fd < 0)
		return fd;
	int r = wait_for(fd, POLLIN, clock_deadline(PATIENCE), NULL);
	close(fd);
	return r;
}

/* Reads up to the end of a line, LF or CRLF; its length without it, or -errno. */
static int
read_answer(int fd, int64_t deadline, const volatile int *stop, char line[static CHECK_TEXT])
{
	for (size_t n = 0; n < CHECK_TEXT;) {
		int r = wait_for(fd, POLLIN, deadline, stop);
		ssize_t got = r == 0 ? read(fd, line + n, CHECK_TEXT - n) : 0;
		if (got <= 0)
			return r < 0 ? r : -EPROTO;
		n += (size_t)got;
		if (line[n - 1] == '\n') { /* and nothing behind it */
			bool one = memchr(line, '\n', n - 1) == NULL;
			return one ? (int)span_chomp((struct span){ line, n }).n : -EPROTO;
		}
	}
	return -EPROTO;
}

enum check_result
helper_check(int monitor, enum request_kind kind, struct span question, int64_t deadline,
	const volatile int *stop, char text[static CHECK_TEXT])
{
	static const struct {
		const char *word;
		enum check_result result;
	} answers[] = {
		{ "OK", CHECK_OK },
		{ "REJECT ", CHECK_REJECT },
		{ "DEFER ", CHECK_DEFER },
	};
	char line[CHECK_TEXT];
	text[0] = '\0';
	int fd = ask_for(monitor, kind, SOCK_STREAM, NULL);
	if (fd < 0)
		return CHECK_DEFER;
	/* It may have answered and gone already, without reading what is asked. */
	(void)send(fd, question.p, question.n, MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	int n = read_answer(fd, deadline, stop, line);
	close(fd);
	if (n == -ECANCELED)
		return CHECK_STOPPED;
	for (int i = 0; i < n; i++)
		if (line[i] < ' ' || line[i] > '~')
			return CHECK_DEFER;
	for (size_t i = 0; n >= 0 && i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct span word = span_of(answers[i].word), said = { line, (size_t)n };
		bool whole = answers[i].result == CHECK_OK;
		if (whole ? !span_eq(said, word) : !span_istarts(said, word))
			continue;
		snprintf(text, CHECK_TEXT, "%.*s", n - (int)word.n, line + word.n);
		return answers[i].result;
	}
	return CHECK_DEFER;
}
