/*
 * Writing never blocks longer than its deadline: on sockets by MSG_DONTWAIT, on pipes because poll
 * said that one PIPE_BUF fits.
 */
#include "lib/stream.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/limits.h"
#include "lib/wait.h"

void
stream_init(struct stream *s, int in, int out, bool lenient, const volatile int *stop)
{
	struct stat st;
	s->in = in;
	s->out = out;
	s->below = NULL;
	s->context = NULL;
	s->out_is_socket = fstat(out, &st) == 0 && S_ISSOCK(st.st_mode);
	s->lenient = lenient;
	s->broken = false;
	s->stop = stop;
	s->head = s->tail = s->fill = 0;
}

/* A stop ends reading at once; what is still to be said then has a moment. */
static enum stream_result
wait_ready(const struct stream *s, int fd, short what, int64_t deadline)
{
	int r = wait_for(fd, what, deadline, s->stop);
	if (r == -ECANCELED && what == POLLOUT) {
		int64_t soon = clock_earlier(deadline, clock_deadline(LIMIT_LINGER_TIME));
		r = wait_for(fd, what, soon, NULL);
	}
	switch (r) {
	case 0:
		return STREAM_OK;
	case -ETIMEDOUT:
		return STREAM_TIMEOUT;
	case -ECANCELED:
		return STREAM_STOPPED;
	default:
		return STREAM_BROKEN;
	}
}

/* Sends octets past the buffer. An error sticks. */
static enum stream_result
send_all(struct stream *s, struct span bytes, int64_t deadline)
{
	enum stream_result res = s->broken ? STREAM_BROKEN : STREAM_OK;
	if (res == STREAM_OK && s->below != NULL && bytes.n > 0) {
		res = s->below->write(s->context, bytes.p, bytes.n, deadline);
		bytes.n = 0;
	}
	while (res == STREAM_OK && bytes.n > 0) {
		ssize_t w;
		if (s->out_is_socket) {
			w = send(s->out, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		} else {
			res = wait_ready(s, s->out, POLLOUT, deadline);
			if (res != STREAM_OK)
				break;
			w = write(s->out, bytes.p, bytes.n < PIPE_BUF ? bytes.n : PIPE_BUF);
		}
		if (w >= 0)
			bytes = span_skip(bytes, (size_t)w);
		else if (errno == EAGAIN)
			res = wait_ready(s, s->out, POLLOUT, deadline);
		else if (errno != EINTR)
			res = STREAM_BROKEN;
	}
	if (res != STREAM_OK)
		s->broken = true;
	return res;
}

enum stream_result
stream_flush(struct stream *s, int64_t deadline)
{
	struct span waiting = { s->obuf, s->fill };
	s->fill = 0;
	return send_all(s, waiting, deadline);
}

void
stream_put(struct stream *s, struct span bytes, int64_t deadline)
{
	while (bytes.n > 0 && !s->broken) {
		size_t room = sizeof(s->obuf) - s->fill;
		size_t n = bytes.n < room ? bytes.n : room;
		if (s->fill == 0 && bytes.n >= sizeof(s->obuf)) {
			(void)send_all(s, bytes, deadline);
			return;
		}
		memcpy(s->obuf + s->fill, bytes.p, n);
		s->fill += n;
		bytes = span_skip(bytes, n);
		if (s->fill == sizeof(s->obuf))
			(void)stream_flush(s, deadline);
	}
}

ssize_t
stream_file(struct stream *s, int fd, off_t at, size_t n, int64_t deadline)
{
	if (stream_flush(s, deadline) != STREAM_OK)
		return -EPIPE;
	for (;;) {
		ssize_t w = sendfile(s->out, fd, &at, n);
		int err = w < 0 ? errno : 0;
		if (err == 0)
			return w;
		if (err == EINTR ||
			(err == EAGAIN && wait_ready(s, s->out, POLLOUT, deadline) == STREAM_OK))
			continue;
		s->broken = err != EIO && err != EINVAL; /* those are the file's */
		return -err;
	}
}

/* Reads at least one more byte. Room is made by moving what is unread to the front. */
static enum stream_result
fill(struct stream *s, int64_t deadline)
{
	enum stream_result res = s->fill > 0 ? stream_flush(s, deadline) : STREAM_OK;
	if (res != STREAM_OK)
		return res;
	if (s->head > 0) {
		memmove(s->ibuf, s->ibuf + s->head, s->tail - s->head);
		s->tail -= s->head;
		s->head = 0;
	}
	if (s->below != NULL) {
		size_t got = 0;
		res = s->below->read(s->context, s->ibuf + s->tail, sizeof(s->ibuf) - s->tail,
			deadline, &got);
		s->tail += got;
		return res;
	}
	for (;;) {
		res = wait_ready(s, s->in, POLLIN, deadline);
		if (res != STREAM_OK)
			return res;
		ssize_t r = read(s->in, s->ibuf + s->tail, sizeof(s->ibuf) - s->tail);
		if (r > 0) {
			s->tail += (size_t)r;
			return STREAM_OK;
		}
		if (r == 0)
			return STREAM_EOF;
		if (errno != EINTR && errno != EAGAIN)
			return errno == ECONNRESET ? STREAM_EOF : STREAM_BROKEN;
	}
}

/* Checks a whole line, CRLF or LF still on it, and takes the end off. */
static enum stream_result
check_line(const struct stream *s, struct span *line)
{
	line->n--;
	bool cr = line->n > 0 && line->p[line->n - 1] == '\r';
	if (cr)
		line->n--;
	else if (!s->lenient)
		return STREAM_BAD;
	if (line->n > 0 && (memchr(line->p, '\r', line->n) || memchr(line->p, '\0', line->n)))
		return STREAM_BAD;
	return STREAM_OK;
}

enum stream_result
stream_line(struct stream *s, size_t limit, size_t junk, int64_t deadline, struct span *line)
{
	size_t thrown = 0; /* of an overlong line */
	for (;;) {
		const char *start = s->ibuf + s->head;
		size_t have = s->tail - s->head;
		const char *lf = have > 0 ? memchr(start, '\n', have) : NULL;
		if (lf != NULL) {
			size_t n = (size_t)(lf + 1 - start);
			s->head += n;
			if (thrown > 0 || n > limit)
				return STREAM_TOO_LONG;
			*line = (struct span){ start, n };
			return check_line(s, line);
		}
		if (thrown > 0 || have >= limit) {
			thrown += have;
			s->head = s->tail;
			if (thrown > junk)
				return STREAM_FLOOD;
		}
		enum stream_result res = fill(s, deadline);
		if (res != STREAM_OK)
			return res;
	}
}

enum stream_result
stream_bytes(struct stream *s, int64_t deadline, struct span *bytes)
{
	if (s->head == s->tail) {
		enum stream_result res = fill(s, deadline);
		if (res != STREAM_OK)
			return res;
	}
	*bytes = (struct span){ s->ibuf + s->head, s->tail - s->head };
	return STREAM_OK;
}

enum stream_result
stream_octet(struct stream *s, int64_t deadline, char *out)
{
	for (;;) {
		enum stream_result res = wait_ready(s, s->in, POLLIN, deadline);
		if (res != STREAM_OK)
			return res;
		ssize_t r = read(s->in, out, 1);
		if (r >= 0)
			return r > 0 ? STREAM_OK : STREAM_EOF;
		if (errno != EINTR && errno != EAGAIN)
			return STREAM_BROKEN;
	}
}

void
stream_used(struct stream *s, size_t n)
{
	s->head += n;
}

void
stream_linger(struct stream *s, size_t octets, int64_t deadline)
{
	size_t dropped = 0;
	if (s->broken || !s->out_is_socket || shutdown(s->out, SHUT_WR) < 0)
		return;
	s->head = s->tail;
	while (dropped < octets && fill(s, deadline) == STREAM_OK) {
		dropped += s->tail;
		s->head = s->tail;
	}
}
