/*
 * One transaction is one group where the host pipelines: MAIL, all RCPT and DATA go out together,
 * and the replies are read in order (RFC 2920 section 3.1). If DATA is then accepted without a
 * recipient, an empty message is sent, as that section wants.
 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"

enum { START_DATA = 354, CODE_DIGITS = 3, SEND_CHUNK = 32 * 1024, REPLY_LINES = 200 };

/* What our side has to say about a connection, in place of a reply. */
static void
set_text(struct client *c, const char *what, const char *why)
{
	c->code = 0;
	buf_reset(&c->text);
	buf_printf(&c->text, "%s: %s", what, why);
}

static const char *
failure(enum stream_result r)
{
	switch (r) {
	case STREAM_TIMEOUT:
		return "timed out";
	case STREAM_EOF:
		return "connection closed by the host";
	case STREAM_TOO_LONG:
	case STREAM_FLOOD:
	case STREAM_BAD:
		return "not a reply";
	default:
		return "connection lost";
	}
}

/* RFC 5321 section 4.2: three digits, then blank, hyphen or nothing. 0 if it is none. */
static int
reply_code(struct span line)
{
	if (line.n < CODE_DIGITS || line.p[0] < '2' || line.p[0] > '5')
		return 0;
	for (int i = 1; i < CODE_DIGITS; i++)
		if (line.p[i] < '0' || line.p[i] > '9')
			return 0;
	if (line.n > CODE_DIGITS && line.p[CODE_DIGITS] != ' ' && line.p[CODE_DIGITS] != '-')
		return 0;
	return (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
}

static enum outcome
outcome_of(int code)
{
	return code >= 200 && code < 300 ? DONE : code >= 500 ? HARD : SOFT;
}

static const struct {
	const char *keyword;
	unsigned can;
} extensions[] = { { "PIPELINING", CAN_PIPELINING }, { "8BITMIME", CAN_8BITMIME },
	{ "SIZE", CAN_SIZE }, { "CHUNKING", CAN_CHUNKING }, { "BINARYMIME", CAN_BINARYMIME },
	{ "SMTPUTF8", CAN_SMTPUTF8 }, { "DSN", CAN_DSN }, { "DELIVERBY", CAN_DELIVERBY },
	{ "MT-PRIORITY", CAN_PRIORITY } };

/* The limit behind SIZE; 0, which is none, for an odd value. */
static int64_t
announced_size(struct span s)
{
	int64_t v = 0;
	for (size_t i = 0; i < s.n && v >= 0; i++) {
		bool digit = s.p[i] >= '0' && s.p[i] <= '9';
		v = digit && v < INT64_MAX / 10 - 10 ? v * 10 + (s.p[i] - '0') : -1;
	}
	return v > 0 ? v : 0;
}

/* Learns from a line of the reply to EHLO; unknown keywords and odd values mean nothing. */
static void
learn(struct client *c, struct span line)
{
	const char *blank = memchr(line.p, ' ', line.n);
	struct span word = blank != NULL ? span_from(line.p, blank) : line;
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		if (!span_ieq(word, span_of(extensions[i].keyword)))
			continue;
		c->can |= extensions[i].can;
		if (extensions[i].can == CAN_SIZE)
			c->max_size = announced_size(span_skip(line,
				word.n + (blank != NULL)));
	}
}

static bool
can(const struct client *c, unsigned what)
{
	return (c->can & what) == what;
}

/* Reads one reply into c->code and c->text. 0, or -EIO: the connection is of no more use. */
static int
read_reply(struct client *c, const char *to_what, int64_t seconds)
{
	int64_t deadline = clock_deadline(seconds);
	struct span line;
	c->code = 0;
	buf_reset(&c->text);
	for (int i = 0; i < REPLY_LINES; i++) {
		enum stream_result r = stream_line(&c->stream, LIMIT_REPLY_LINE, LIMIT_REPLY,
			deadline, &line);
		int code = r == STREAM_OK ? reply_code(line) : 0;
		if (code == 0 || (c->code != 0 && c->code != code)) {
			set_text(c, to_what, failure(r == STREAM_OK ? STREAM_BAD : r));
			return -EIO;
		}
		if (!c->introduced && i > 0 && outcome_of(code) == DONE && line.n > CODE_DIGITS)
			learn(c, span_skip(line, CODE_DIGITS + 1));
		c->code = code;
		if (c->text.n < LIMIT_LOG_TEXT)
			buf_escape(&c->text, i > 0 ? span_skip(line, CODE_DIGITS) : line,
				LIMIT_LOG_TEXT);
		if (line.n == CODE_DIGITS || line.p[CODE_DIGITS] == ' ')
			return 0;
	}
	set_text(c, to_what, "endless reply");
	return -EIO;
}

static void
put(struct client *c, const char *text, int64_t seconds)
{
	stream_put(&c->stream, span_of(text), clock_deadline(seconds));
}

/* A command and its reply, out of any group. */
static int
ask(struct client *c, const char *command, const char *argument, int64_t seconds)
{
	put(c, command, seconds);
	put(c, argument, seconds);
	put(c, "\r\n", seconds);
	return read_reply(c, command, seconds);
}

/* 0, or -errno. */
static int
connect_to(int fd, const struct netaddr *addr, uint16_t port, int64_t seconds)
{
	struct sockaddr_storage ss;
	socklen_t n = netaddr_to(addr, port, &ss);
	int64_t deadline = clock_deadline(seconds);
	if (connect(fd, (struct sockaddr *)&ss, n) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int r;
	do
		r = poll(&p, 1, clock_left(deadline));
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r == 0 ? -ETIMEDOUT : -errno;
	int err = 0;
	socklen_t len = sizeof(err);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

static enum outcome
introduce(struct client *c)
{
	const struct conf *conf = c->conf;
	c->introduced = false;
	if (read_reply(c, "greeting", conf->timeout_greeting) < 0)
		return SOFT;
	if (outcome_of(c->code) != DONE)
		return SOFT; /* a bad greeting is a matter of this host: try the next one (R60) */
	c->can = 0;
	c->max_size = 0;
	int r = ask(c, "EHLO ", conf->hostname, conf->timeout_helo);
	c->introduced = true;
	if (r < 0)
		return SOFT;
	if (outcome_of(c->code) == HARD && ask(c, "HELO ", conf->hostname, conf->timeout_helo) < 0)
		return SOFT;
	return outcome_of(c->code) == DONE ? DONE : SOFT;
}

/* Closes; a host that talks hears QUIT first (section 4.1.1.10). Nobody needs its answer. */
static void
leave(struct client *c)
{
	if (c->code != 0) {
		put(c, "QUIT\r\n", c->conf->timeout_quit);
		(void)stream_flush(&c->stream, clock_deadline(c->conf->timeout_quit));
	}
	client_close(c);
}

enum outcome
client_open(struct client *c, const struct conf *conf, const struct exchanger *to)
{
	char addr[NETADDR_TEXT];
	netaddr_text(&to->addr, addr);
	c->conf = conf;
	c->text.max = LIMIT_REPLY;
	snprintf(c->name, sizeof(c->name), "%s[%s]:%d", to->host, addr, (int)conf->smtp_port);
	c->fd = socket(netaddr_is_v4(&to->addr) ? AF_INET : AF_INET6,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = c->fd < 0 ? -errno
			  : connect_to(c->fd, &to->addr, (uint16_t)conf->smtp_port,
				    conf->timeout_connect);
	if (r < 0) {
		set_text(c, "connect", strerror(-r));
		client_close(c);
		return SOFT;
	}
	int one = 1; /* groups are gathered here; the kernel need not wait for more */
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	stream_init(&c->stream, c->fd, c->fd, true, NULL);
	enum outcome o = introduce(c);
	if (o != DONE)
		leave(c);
	return o;
}

static void
settle(struct client *c, struct rcpt *r, enum outcome o)
{
	r->outcome = o;
	buf_reset(&r->text);
	buf_printf(&r->text, "%s: ", c->name);
	buf_add(&r->text, buf_span(&c->text));
}

static void
put_bytes(struct client *c, struct span bytes, int64_t seconds)
{
	stream_put(&c->stream, bytes, clock_deadline(seconds));
}

/* " KEY=value", if there is a value. */
static void
put_parameter(struct client *c, const char *key, struct span value)
{
	if (value.n == 0)
		return;
	put(c, key, c->conf->timeout_mail);
	put_bytes(c, value, c->conf->timeout_mail);
}

static void
put_number(struct client *c, const char *key, int64_t number, const char *rest)
{
	char text[64];
	snprintf(text, sizeof(text), "%lld%s", (long long)number, rest);
	put_parameter(c, key, span_of(text));
}

/* The truth, whatever the client called its text (RFC 6152 section 3). */
static enum body
body_of(const struct message *m)
{
	return m->eightbit && m->env.body != BODY_BINARYMIME ? BODY_8BITMIME : m->env.body;
}

static void
put_mail(struct client *c, const struct message *m)
{
	const struct envelope *e = &m->env;
	put(c, "MAIL FROM:<", c->conf->timeout_mail);
	put_bytes(c, e->sender, c->conf->timeout_mail);
	put(c, ">", c->conf->timeout_mail);
	if (can(c, CAN_SIZE))
		put_number(c, " SIZE=", (int64_t)m->length, "");
	if (can(c, CAN_8BITMIME) || e->body == BODY_BINARYMIME)
		put_parameter(c, " BODY=", span_of(body_word(body_of(m))));
	if (e->utf8)
		put(c, " SMTPUTF8", c->conf->timeout_mail);
	if (can(c, CAN_DSN)) {
		put_parameter(c, " RET=", span_of(ret_word(e->ret)));
		put_parameter(c, " ENVID=", e->envid);
	}
	if (can(c, CAN_DELIVERBY) && e->by != 0) {
		char mode[] = { ';', e->by_mode, e->by_trace ? 'T' : '\0', '\0' };
		put_number(c, " BY=", e->by - clock_wall(), mode);
	}
	if (can(c, CAN_PRIORITY) && e->priority != 0)
		put_number(c, " MT-PRIORITY=", e->priority, "");
	put(c, "\r\n", c->conf->timeout_mail);
}

static void
put_rcpt(struct client *c, const struct rcpt *r)
{
	put(c, "RCPT TO:<", c->conf->timeout_rcpt);
	put_bytes(c, r->address, c->conf->timeout_rcpt);
	put(c, ">", c->conf->timeout_rcpt);
	if (can(c, CAN_DSN)) {
		auto_buf notify = buf_new(LIMIT_REPLY_LINE);
		notify_words(r->terms.notify, &notify);
		put_parameter(c, " NOTIFY=", buf_span(&notify));
		put_parameter(c, " ORCPT=", r->terms.orcpt);
	}
	put(c, "\r\n", c->conf->timeout_rcpt);
}

/* Why this host cannot have this message at all; NULL if it can. */
static const char *
cannot_take(const struct client *c, const struct message *m)
{
	const struct envelope *e = &m->env;
	if (c->max_size > 0 && m->length > (uint64_t)c->max_size)
		return "552 5.3.4 over the limit the host announced";
	if (e->require_tls)
		return "550 5.7.30 REQUIRETLS was asked for and cannot be had";
	if (e->utf8 && !can(c, CAN_SMTPUTF8))
		return "550 5.6.7 the host does not take SMTPUTF8";
	if (e->body == BODY_BINARYMIME && !can(c, CAN_CHUNKING | CAN_BINARYMIME))
		return "554 5.6.1 the host does not take BINARYMIME";
	if (m->eightbit && e->body != BODY_BINARYMIME && !can(c, CAN_8BITMIME))
		return "554 5.6.3 the host takes 7-bit messages only";
	if (e->by != 0 && e->by_mode == 'R' && !can(c, CAN_DELIVERBY))
		return "554 5.4.7 the host does not promise a time of delivery";
	return NULL;
}

/* The body, dots stuffed, in runs between line starts. `bol`: the run begins a line. */
static bool
put_body(struct client *c, const struct message *m)
{
	static const struct span dot = { ".", 1 };
	char chunk[SEND_CHUNK];
	bool bol = true;
	for (uint64_t at = 0; at < m->length;) {
		ssize_t n = message_read(m, at, chunk, sizeof(chunk));
		if (n <= 0) {
			set_text(c, "spool", n < 0 ? strerror((int)-n) : "file is shorter than it was");
			return false;
		}
		at += (uint64_t)n;
		struct span rest = { chunk, (size_t)n };
		while (rest.n > 0) {
			const char *nl = memchr(rest.p, '\n', rest.n);
			struct span line = nl != NULL ? span_from(rest.p, nl + 1) : rest;
			int64_t deadline = clock_deadline(c->conf->timeout_data_block);
			if (bol && line.p[0] == '.')
				stream_put(&c->stream, dot, deadline);
			stream_put(&c->stream, line, deadline);
			bol = nl != NULL;
			rest = span_skip(rest, line.n);
		}
		if (c->stream.broken) {
			set_text(c, "sending the message", "connection lost or stalled");
			return false;
		}
	}
	if (!bol) /* cannot happen to what smtpd queued, but the end must stand alone (A10) */
		put(c, "\r\n", c->conf->timeout_data_block);
	return true;
}

/* Recipients that the host accepted get this outcome. */
static void
settle_accepted(struct client *c, struct rcpt *const *to, int n, enum outcome o)
{
	for (int i = 0; i < n; i++)
		if (to[i]->outcome == DONE)
			settle(c, to[i], o);
}

/* The body as it is, counted (RFC 3030). */
static bool
put_chunk(struct client *c, const struct message *m)
{
	char chunk[SEND_CHUNK];
	put_number(c, "BDAT ", (int64_t)m->length, " LAST\r\n");
	for (uint64_t at = 0; at < m->length && !c->stream.broken;) {
		ssize_t n = message_read(m, at, chunk, sizeof(chunk));
		if (n <= 0) {
			set_text(c, "spool", n < 0 ? strerror((int)-n) : "file is shorter than it was");
			return false;
		}
		put_bytes(c, (struct span){ chunk, (size_t)n }, c->conf->timeout_data_block);
		at += (uint64_t)n;
	}
	if (c->stream.broken)
		set_text(c, "sending the message", "connection lost or stalled");
	return !c->stream.broken;
}

static bool
send_data(struct client *c, const struct message *m, struct rcpt *const *to, int n)
{
	bool binary = m->env.body == BODY_BINARYMIME;
	/* A body that could not be sent whole must never get its end. */
	bool whole = binary ? put_chunk(c, m) : put_body(c, m);
	if (whole && !binary)
		put(c, ".\r\n", c->conf->timeout_data_block);
	if (!whole || read_reply(c, "end of data", c->conf->timeout_data_end) < 0) {
		settle_accepted(c, to, n, SOFT);
		return false;
	}
	settle_accepted(c, to, n, outcome_of(c->code));
	return c->code != 421;
}

/*
 * MAIL and RCPT, and DATA if all are in one group; then the replies. The number of recipients
 * accepted, or -EIO. c->code is START_DATA if the message may follow.
 */
static int
send_envelope(struct client *c, const struct message *m, struct rcpt *const *to, int n)
{
	const struct conf *conf = c->conf;
	bool group = can(c, CAN_PIPELINING), binary = m->env.body == BODY_BINARYMIME;
	int accepted = 0;
	put_mail(c, m);
	for (int i = 0; i < n && group; i++)
		put_rcpt(c, to[i]);
	if (group && !binary)
		put(c, "DATA\r\n", conf->timeout_data_start);
	if (read_reply(c, "MAIL", conf->timeout_mail) < 0)
		return -EIO;
	enum outcome mail = outcome_of(c->code);
	for (int i = 0; i < n; i++)
		settle(c, to[i], mail);
	if (mail != DONE && !group)
		return 0;
	for (int i = 0; i < n; i++) {
		if (!group)
			put_rcpt(c, to[i]);
		if (read_reply(c, "RCPT", conf->timeout_rcpt) < 0)
			return -EIO;
		/* 552 here means too many recipients (section 4.5.3.1.10) */
		if (mail == DONE)
			settle(c, to[i], c->code == 552 ? SOFT : outcome_of(c->code));
		accepted += mail == DONE && to[i]->outcome == DONE;
	}
	if (binary) /* BDAT needs no leave, and nobody waits for it if nobody is to get it */
		c->code = accepted > 0 ? START_DATA : 0;
	if (binary || (!group && accepted == 0))
		return accepted;
	if (!group)
		put(c, "DATA\r\n", conf->timeout_data_start);
	return read_reply(c, "DATA", conf->timeout_data_start) < 0 ? -EIO : accepted;
}

bool
client_send(struct client *c, const struct message *m, struct rcpt *const *to, int n)
{
	for (int i = 0; i < n; i++)
		to[i]->outcome = DONE; /* until something is said about it */
	const char *why = cannot_take(c, m);
	if (why != NULL) {
		set_text(c, "not sent", why);
		settle_accepted(c, to, n, HARD);
		return true;
	}
	c->code = 0;
	int accepted = send_envelope(c, m, to, n);
	if (accepted < 0) {
		settle_accepted(c, to, n, SOFT);
		return false;
	}
	if (c->code == START_DATA && accepted > 0)
		return send_data(c, m, to, n);
	if (c->code == START_DATA) { /* pipelined DATA was taken though nobody is to get it */
		put(c, ".\r\n", c->conf->timeout_data_block);
		return read_reply(c, "end of data", c->conf->timeout_data_end) == 0;
	}
	if (accepted > 0)
		settle_accepted(c, to, n, outcome_of(c->code) == HARD ? HARD : SOFT);
	if (c->code == 421)
		return false;
	return ask(c, "RSET", "", c->conf->timeout_mail) == 0 && c->code != 421;
}

void
client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void
client_quit(struct client *c)
{
	if (c->fd < 0)
		return;
	(void)ask(c, "QUIT", "", c->conf->timeout_quit);
	client_close(c);
}
