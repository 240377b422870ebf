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
	s->broken = s->ended = false;
	s->listens = NULL;
	s->listener = NULL;
	s->stop = stop;
	s->head = s->tail = s->fill = 0;
}

void
stream_wipe(struct stream *s)
{
	explicit_bzero(s->ibuf, s->in_deep);
	explicit_bzero(s->obuf, s->out_deep);
	explicit_bzero(s, offsetof(struct stream, obuf));
}

static enum stream_result
result_of_wait(int r)
{
	switch (r) {
	case -ETIMEDOUT:
		return STREAM_TIMEOUT;
	case -ECANCELED:
		return STREAM_STOPPED;
	default:
		return r < 0 ? STREAM_BROKEN : STREAM_OK;
	}
}

/*
 * A stop ends reading at once; what is still to be said then has a moment. With something
 * between, a descriptor may be ready again and again and bring nothing: that ends in time too.
 */
static enum stream_result
wait_ready(const struct stream *s, int fd, short what, int64_t deadline)
{
	if (s->below != NULL && clock_left(deadline) == 0)
		return STREAM_TIMEOUT;
	int r = wait_for(fd, what, deadline, s->stop);
	if (r == -ECANCELED && what == POLLOUT) {
		int64_t soon = clock_earlier(deadline, clock_deadline(LIMIT_LINGER_TIME));
		r = wait_for(fd, what, soon, NULL);
	}
	return result_of_wait(r);
}

/*
 * This thread alone adds. What is read does not count: a host may say something for hours and bring
 * nothing to an end.
 */
static void
note_sent(struct stream *s, size_t n)
{
	uint64_t before = atomic_load_explicit(&s->sent, memory_order_relaxed);
	atomic_store_explicit(&s->sent, before + n, memory_order_relaxed);
}

/* ---- what comes, without a wait ------------------------------------------------------------- */

/* Moves what is unread to the front. */
static void
make_room(struct stream *s)
{
	if (s->head == 0)
		return;
	memmove(s->ibuf, s->ibuf + s->head, s->tail - s->head);
	s->tail -= s->head;
	s->head = 0;
}

/* So many octets more are in ibuf. */
static void
note_read(struct stream *s, size_t n)
{
	s->tail += n;
	if (s->in_deep < s->tail)
		s->in_deep = s->tail;
}

/* What reading from the descriptor has brought: r octets, or an error. */
static enum stream_result
count_read(struct stream *s, ssize_t r)
{
	if (r > 0) {
		note_read(s, (size_t)r);
		return STREAM_OK;
	}
	if (r < 0 && (errno == EINTR || errno == EAGAIN))
		return STREAM_LATER;
	return r == 0 || errno == ECONNRESET ? STREAM_EOF : STREAM_BROKEN;
}

/*
 * Reads once into the room there is, which must be some; the descriptor is ready, or something is
 * between. STREAM_LATER: *wants to be waited for.
 */
static enum stream_result
read_some(struct stream *s, short *wants)
{
	char *p = s->ibuf + s->tail;
	size_t n = sizeof(s->ibuf) - s->tail, got = 0;
	*wants = POLLIN;
	if (s->below == NULL)
		return count_read(s, read(s->in, p, n));
	enum stream_result res = s->below->read(s->context, p, n, &got, wants);
	note_read(s, got);
	return res;
}

/* Reads what there is, as far as there is room. */
static void
take_in(struct stream *s)
{
	enum stream_result res = STREAM_OK;
	short wants;
	make_room(s);
	while (res == STREAM_OK && s->tail < sizeof(s->ibuf))
		res = s->below != NULL || wait_is_ready(s->in, POLLIN) ? read_some(s, &wants)
			: STREAM_LATER;
	s->ended = res != STREAM_OK && res != STREAM_LATER;
}

bool
stream_has_news(struct stream *s)
{
	if (!stream_pending(s) && !s->ended)
		take_in(s);
	return stream_pending(s) || s->ended;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Until more can be written. Meanwhile it listens, if it does that. */
static enum stream_result
wait_to_write(struct stream *s, short wants, int64_t deadline)
{
	if (s->listens == NULL)
		return wait_ready(s, s->out, wants, deadline);
	for (;;) {
		if (s->listens(s->listener))
			return STREAM_HEARD;
		bool room = s->head > 0 || s->tail < sizeof(s->ibuf);
		short events = (short)(wants | (room && !s->ended ? POLLIN : 0));
		if (s->below != NULL && clock_left(deadline) == 0)
			return STREAM_TIMEOUT;
		int r = wait_which(s->out, events, deadline, s->stop);
		if (r < 0)
			return result_of_wait(r);
		if ((r & POLLIN) != 0 && (events & POLLIN) != 0)
			take_in(s);
		if ((r & ~POLLIN) != 0 || (r & wants) != 0)
			return STREAM_OK;
	}
}

/* Writes once. STREAM_LATER: *wants to be waited for. */
static enum stream_result
write_some(struct stream *s, struct span bytes, size_t *done, short *wants)
{
	*wants = POLLOUT;
	if (s->below != NULL)
		return s->below->write(s->context, bytes.p, bytes.n, done, wants);
	ssize_t w = s->out_is_socket
		? send(s->out, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL)
		: write(s->out, bytes.p, bytes.n < PIPE_BUF ? bytes.n : PIPE_BUF);
	if (w < 0)
		return errno == EAGAIN || errno == EINTR ? STREAM_LATER : STREAM_BROKEN;
	*done = (size_t)w;
	return STREAM_OK;
}

/* Sends octets past the buffer. An error sticks. */
static enum stream_result
send_all(struct stream *s, struct span bytes, int64_t deadline)
{
	enum stream_result res = s->broken ? STREAM_BROKEN : STREAM_OK;
	bool pipe = s->below == NULL && !s->out_is_socket;
	while (res == STREAM_OK && bytes.n > 0) {
		size_t done = 0;
		short wants;
		if (pipe && (res = wait_ready(s, s->out, POLLOUT, deadline)) != STREAM_OK)
			break;
		res = write_some(s, bytes, &done, &wants);
		if (res == STREAM_LATER)
			res = wait_to_write(s, wants, deadline);
		note_sent(s, done);
		bytes = span_skip(bytes, done);
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
		if (s->out_deep < s->fill)
			s->out_deep = s->fill;
		bytes = span_skip(bytes, n);
		if (s->fill == sizeof(s->obuf))
			(void)stream_flush(s, deadline);
	}
}

/* Is it the file that could not be read, and not the socket that could not be written? */
static bool
is_of_file(int err)
{
	static const int errors[] = { EIO, ESTALE, EUCLEAN, EBADMSG, ENODATA, EREMOTEIO };
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i] == err)
			return true;
	return false;
}

ssize_t
stream_file(struct stream *s, int fd, off_t at, size_t n, int64_t deadline)
{
	if (stream_flush(s, deadline) != STREAM_OK)
		return -EPIPE;
	for (;;) {
		ssize_t w = sendfile(s->out, fd, &at, n);
		int err = w < 0 ? errno : 0;
		if (err == 0) {
			note_sent(s, (size_t)w);
			return w;
		}
		if (err == EINTR ||
			(err == EAGAIN && wait_to_write(s, POLLOUT, deadline) == STREAM_OK))
			continue;
		if (is_of_file(err))
			return -EIO;
		s->broken = err != EINVAL;
		return -err;
	}
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Reads at least one more byte. */
static enum stream_result
fill(struct stream *s, int64_t deadline)
{
	size_t unread = stream_unread(s);
	enum stream_result res = s->fill > 0 ? stream_flush(s, deadline) : STREAM_OK;
	short wants = POLLIN;
	if (res != STREAM_OK)
		return res;
	make_room(s);
	if (s->tail > unread) /* it came while the output went */
		return STREAM_OK;
	res = s->below != NULL ? read_some(s, &wants) : STREAM_LATER;
	while (res == STREAM_LATER) {
		res = wait_ready(s, s->in, wants, deadline);
		if (res == STREAM_OK)
			res = read_some(s, &wants);
	}
	return res;
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
			if (thrown == 0)
				s->first = *start;
			if (thrown > 0 || n > limit)
				return STREAM_TOO_LONG;
			*line = (struct span){ start, n };
			return check_line(s, line);
		}
		if (thrown > 0 || have >= limit) {
			if (thrown == 0)
				s->first = *start;
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
stream_head(struct stream *s, size_t keep, size_t *left, int64_t deadline, struct span *line)
{
	size_t thrown = 0; /* of this line, behind what is kept */
	for (;;) {
		const char *start = s->ibuf + s->head;
		size_t have = s->tail - s->head, known = thrown > 0 ? keep : 0;
		const char *lf = have > known ? memchr(start + known, '\n', have - known) : NULL;
		size_t n = lf != NULL ? (size_t)(lf + 1 - start) : have;
		if (n + thrown > *left)
			return STREAM_FLOOD;
		if (lf != NULL) {
			s->head += n;
			*left -= n + thrown;
			n -= lf > start && lf[-1] == '\r' ? 2 : 1;
			*line = (struct span){ start, n < keep ? n : keep };
			return STREAM_OK;
		}
		if (have > keep) {
			thrown += have - keep;
			s->tail = s->head + keep;
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
