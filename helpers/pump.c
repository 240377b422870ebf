#include "helpers/pump.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "helpers/libssl.h"
#include "lib/clock.h"

enum {
	PUMP_SIZE = 16 * 1024, /* one TLS record */
	PORTION = 4 * PUMP_SIZE,
};

/* The connection, and the end of the pair. */
static struct {
	int client, session;
} at;

/* Octets on their way in one direction. */
struct flow {
	size_t head, tail;
	bool over;   /* nothing more comes */
	short waits; /* for what poll(2) is to say before it is read from again; 0: nothing */
	char octets[PUMP_SIZE];
};

static struct flow in, out;

static bool
flow_empty(const struct flow *f)
{
	return f->head == f->tail;
}

static void
flow_fill(struct flow *f, ssize_t n)
{
	f->head = 0;
	f->tail = (size_t)n;
}

static bool
flow_may_read(const struct flow *f)
{
	return flow_empty(f) && !f->over && f->waits == 0;
}

/* What poll(2) is to be asked for it. */
static short
flow_wants(const struct flow *f)
{
	return flow_empty(f) && !f->over ? f->waits : 0;
}

/* What must be waited for before more can be moved. */
struct wants {
	short peer, session; /* poll events */
	bool more;           /* nothing: go on */
};

/* ---- what a client sends ------------------------------------------------------------------- */

/* Octets that a call of OpenSSL may yet take in. */
static size_t portion;

/*
 * A client may say for ever that it has new keys, or wants another handshake, and OpenSSL reads on
 * while there is that to read: the session would not be heard meanwhile, nor that it has ended. So
 * this is asked before each read, where less than 1 is its result, and hears what it brought: after
 * a portion the rest is as if it had not come yet.
 */
static long
count(BIO *b, int what, const char *argument, size_t size, int number, long more, int r,
	size_t *done)
{
	(void)argument;
	(void)size;
	(void)number;
	(void)more;
	if (what == (BIO_CB_READ | BIO_CB_RETURN) && r > 0)
		portion -= *done < portion ? *done : portion;
	if (what != BIO_CB_READ || portion > 0)
		return r;
	BIO_set_retry_read(b);
	return -1;
}

/* OpenSSL may have read more than it gives at once. */
static void
read_peer(SSL *ssl)
{
	portion = PORTION;
	ERR_clear_error();
	int r = SSL_read(ssl, in.octets, sizeof(in.octets));
	if (r > 0) {
		flow_fill(&in, r);
		in.waits = SSL_has_pending(ssl) == 1 ? 0 : POLLIN;
		return;
	}
	in.waits = libssl_wanted(ssl, r);
	if (in.waits == 0) {
		/* close_notify, or lost: both are the end for the session */
		in.over = true;
		shutdown(at.session, SHUT_WR);
	}
}

/* ---- both directions ----------------------------------------------------------------------- */

/* One step towards the session. When it reads no more, what it said before still goes out. */
static void
pump_in(SSL *ssl, struct wants *w)
{
	if (flow_may_read(&in))
		read_peer(ssl);
	w->peer |= flow_wants(&in);
	if (flow_empty(&in))
		return;
	ssize_t n = send(at.session, in.octets + in.head, in.tail - in.head,
		MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN) {
		w->session |= POLLOUT;
	} else if (n < 0) {
		in.head = in.tail;
		in.over = true;
	} else {
		in.head += (size_t)n;
	}
	w->more = w->more || n > 0;
}

/* What it says at once, as far as there is room. */
static void
read_session(void)
{
	ssize_t n = recv(at.session, out.octets, sizeof(out.octets), MSG_DONTWAIT);
	if (n > 0)
		flow_fill(&out, n);
	else
		out.over = n == 0 || errno != EAGAIN;
	out.waits = POLLIN;
}

/* One step towards the client. False: the connection is gone. */
static bool
pump_out(SSL *ssl, struct wants *w)
{
	if (flow_may_read(&out))
		read_session();
	w->session |= flow_wants(&out);
	if (flow_empty(&out))
		return true;
	ERR_clear_error();
	int r = SSL_write(ssl, out.octets + out.head, (int)(out.tail - out.head));
	if (r > 0)
		out.head += (size_t)r;
	short events = r > 0 ? 0 : libssl_wanted(ssl, r);
	w->peer |= events;
	w->more = w->more || r > 0;
	return r > 0 || events != 0;
}

/*
 * Tells the client that this is the end, and nothing was cut off. False: there is no room for that
 * yet, behind what it has not taken in.
 */
static bool
part(SSL *ssl, struct wants *w)
{
	ERR_clear_error();
	int r = SSL_shutdown(ssl);
	short events = r < 0 ? libssl_wanted(ssl, r) : 0;
	w->peer |= events;
	if (events != 0)
		return false;
	(void)shutdown(at.client, SHUT_WR);
	return true;
}

/*
 * Waits for what was wanted. *left: the session has ended, which is seen whatever was wanted: until
 * then it is the session that waits for nobody too long. False: nothing more can happen.
 */
static bool
wait_for_more(const struct wants *w, bool parting, bool *left, int64_t deadline)
{
	struct pollfd p[] = {
		{ .fd = w->peer != 0 ? at.client : -1, .events = w->peer },
		{ .fd = w->session != 0 || parting || !*left ? at.session : -1,
			.events = w->session },
	};
	int n = poll(p, 2, clock_left(deadline));
	if (p[0].revents != 0)
		in.waits = 0;
	if ((p[1].revents & ~POLLOUT) != 0)
		out.waits = 0;
	*left = *left || (p[1].revents & POLLHUP) != 0;
	return n != 0 && !(parting && (p[1].revents & POLLHUP) != 0);
}

void
pump_run(SSL *ssl, int session, int64_t patience)
{
	int64_t deadline = CLOCK_NEVER;
	bool parting = false, left = false;
	at.client = SSL_get_fd(ssl);
	at.session = session;
	BIO_set_callback_ex(SSL_get_rbio(ssl), count);
	in.head = in.tail = out.head = out.tail = 0;
	in.over = out.over = false;
	in.waits = 0; /* what the client said behind its handshake may have been read with that */
	out.waits = POLLIN;
	do {
		struct wants w = { 0 };
		pump_in(ssl, &w);
		if (!pump_out(ssl, &w))
			return;
		if ((out.over || left) && deadline == CLOCK_NEVER)
			deadline = clock_deadline(patience);
		if (out.over && flow_empty(&out) && !parting)
			parting = part(ssl, &w);
		if (!w.more && !wait_for_more(&w, parting, &left, deadline))
			return;
	} while (!parting || !in.over);
}

void
pump_forget(void)
{
	explicit_bzero(&in, sizeof(in));
	explicit_bzero(&out, sizeof(out));
}
