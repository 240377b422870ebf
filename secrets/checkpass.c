#include "secrets/checkpass.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	/* "currently expected to fit", says the description of Dovecot's protocol */
	LINE = 16 * 1024,
	HANDSHAKE = 100,  /* lines; a mechanism has one */
};

int
checkpass_open(struct stream *s, const char *path, int64_t seconds)
{
	const struct timeval patience = { .tv_sec = (time_t)seconds };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* to connect, too */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		int err = errno;
		close(fd);
		return -err;
	}
	stream_init(s, fd, fd, true, NULL);
	return 0;
}

static int
error_of(enum stream_result r)
{
	return r == STREAM_OK ? 0 : r == STREAM_TIMEOUT ? -ETIMEDOUT : -EPROTO;
}

static void
put(struct stream *s, const char *text, int64_t deadline)
{
	stream_put(s, span_of(text), deadline);
}

/* ---- saslauthd: texts with their length in two octets before each */

static void
put_counted(struct stream *s, struct span text, int64_t deadline)
{
	const char head[2] = { (char)(text.n >> 8), (char)text.n };
	stream_put(s, (struct span){ head, sizeof(head) }, deadline);
	stream_put(s, text, deadline);
}

int
checkpass_saslauthd(struct stream *s, const char *name, const char *password, int64_t deadline)
{
	struct span realm = span_of(name), user = span_cut(&realm, '@');
	char answer[4]; /* a length, and "OK" or "NO" of what comes */
	put_counted(s, user, deadline);
	put_counted(s, span_of(password), deadline);
	put_counted(s, span_of("smtp"), deadline);
	put_counted(s, realm, deadline);
	for (size_t i = 0; i < sizeof(answer); i++) {
		struct span got;
		int err = error_of(stream_bytes(s, deadline, &got));
		if (err < 0)
			return err;
		answer[i] = got.p[0];
		stream_used(s, 1);
	}
	return memcmp(answer + 2, "OK", 2) == 0;
}

/* ---- Dovecot: lines of words with tabs between them */

static int
get_line(struct stream *s, int64_t deadline, struct span *line)
{
	return error_of(stream_line(s, LINE, LINE, deadline, line));
}

static bool
has_word(struct span words, const char *word)
{
	while (words.n > 0)
		if (span_eq(span_cut(&words, '\t'), span_of(word)))
			return true;
	return false;
}

/* The version comes first; of what follows nothing matters to us but its end. */
static int
read_handshake(struct stream *s, int64_t deadline)
{
	struct span line;
	int err = get_line(s, deadline, &line);
	if (err < 0)
		return err;
	if (!span_eq(span_cut(&line, '\t'), span_of("VERSION")) ||
		!span_eq(span_cut(&line, '\t'), span_of("1")))
		return -EPROTO;
	for (int i = 0; i < HANDSHAKE; i++) {
		err = get_line(s, deadline, &line);
		if (err < 0)
			return err;
		if (span_eq(line, span_of("DONE")))
			return 0;
	}
	return -EPROTO;
}

/* A control character would be the escape of the protocol, and has no place in a name. */
static bool
is_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == '\x7f')
			return false;
	return s.n > 0 && s.n <= LIMIT_ADDRESS;
}

static int
take_user(struct span words, char user[static LIMIT_ADDRESS + 1])
{
	static const char key[] = "user=";
	while (words.n > 0) {
		struct span word = span_cut(&words, '\t');
		if (word.n < sizeof(key) - 1 || memcmp(word.p, key, sizeof(key) - 1) != 0)
			continue;
		word = span_skip(word, sizeof(key) - 1);
		if (!is_name(word))
			return -EPROTO;
		snprintf(user, LIMIT_ADDRESS + 1, "%.*s", (int)word.n, word.p);
		return 1;
	}
	return -EPROTO;
}

int
checkpass_dovecot(struct stream *s, const char *response, bool secure, int64_t deadline,
	char user[static LIMIT_ADDRESS + 1])
{
	struct span line;
	char hello[64];
	snprintf(hello, sizeof(hello), "VERSION\t1\t2\nCPID\t%ld\n", (long)getpid());
	put(s, hello, deadline);
	int err = read_handshake(s, deadline);
	if (err < 0)
		return err;
	/*
	 * No other program will ask Dovecot about this log-in. And it does not know the client's
	 * address: it would let everybody wait for what one of them guessed wrong.
	 */
	put(s, "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tno-penalty\t", deadline);
	put(s, secure ? "secured\t" : "", deadline);
	put(s, "resp=", deadline);
	put(s, response, deadline);
	put(s, "\n", deadline);
	err = error_of(stream_flush(s, deadline));
	if (err == 0)
		err = get_line(s, deadline, &line);
	if (err < 0)
		return err;
	struct span answer = span_cut(&line, '\t');
	if (!span_eq(span_cut(&line, '\t'), span_of("1")))
		return -EPROTO;
	if (span_eq(answer, span_of("OK")))
		return take_user(line, user);
	if (span_eq(answer, span_of("FAIL")))
		return has_word(line, "temp") || has_word(line, "code=temp_fail") ? -EAGAIN : 0;
	return -EPROTO;
}
