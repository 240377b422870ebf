/*
 * body: in which form a host can have a text, what it cannot have and why, and what goes out in
 * each form, also where it breaks off (A10, L1, L10, L16, R73 to R77).
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "sending/body.h"
#include "tests/unit/sending/sent.h"

#define A     "\xc3\xa4"
#define PLAIN "Subject: x\r\n\r\nhello\r\n"
#define EIGHT "Subject: x\r\n\r\n" A "\r\n"
/* Nothing makes a line of text of these: the octets stand where no encoding is allowed. */
#define FIXED "Subject: " A "\r\n\r\nhello\r\n"
#define ODD   "Subject: x\r\n\r\nh\0i\n"

#define NONE { .by = 0 } /* nothing was asked for */

#define BINARY (CAN_CHUNKING | CAN_BINARYMIME)

enum { SOON = 100, LARGE = 300 * 1024 };

static struct link l; /* large */
static struct conf_delivery conf;

static struct message
message_of(const char *text, size_t n)
{
	struct message m = { .fd = memfd_create("body", MFD_CLOEXEC), .length = n,
		.env = { .sender = span_of("s@s.example") },
		.eightbit = !span_is_ascii((struct span){ text, n }) };
	assert_true(m.fd >= 0);
	assert_int_equal(write(m.fd, text, n), n);
	return m;
}

/*
 * What is known of a host that can so much, over TLS whose certificate is that of the host. The TLS
 * is none to send by: a link that is connected goes in clear.
 */
static void
know_host(unsigned can)
{
	buf_free(&l.text);
	conf = patient;
	l.terms = patient_terms();
	l.terms.conf = &conf;
	snprintf(l.terms.target, sizeof(l.terms.target), "mx.example");
	l.text = buf_new(LIMIT_REPLY_TEXT);
	l.code = 250;
	l.host = (struct link_host){ .can = can };
	l.flow = (struct link_flow){ .awaited = -1 };
	l.proof = (struct link_proof){ .tls = (struct tls *)&l, .trust = TRUSTED };
}

static void
assert_said(const char *want)
{
	assert_true(l.text.n > 0);
	if (memmem(l.text.p, l.text.n, want, strlen(want)) == NULL)
		fail_msg("\"%.*s\", not \"%s\"", (int)l.text.n, l.text.p, want);
}

/* ---- what fits --------------------------------------------------------------------------- */

enum { NOTHING_SAID, CONVERTED = 1, AS_BINARY = 2, NEEDS_UTF8 = 4 };

#define TEXT(t) { t, sizeof(t) - 1 }

static const struct form_row {
	unsigned can;
	enum body said; /* by the client */
	struct span text;
	bool binary;    /* it holds what is not lines */
	enum outcome want;
	unsigned form;
	const char *why; /* NULL: it fits */
} forms[] = {
	{ 0, BODY_UNSAID, TEXT(PLAIN), false, DONE, 0, NULL },
	{ CAN_8BITMIME, BODY_8BITMIME, TEXT(PLAIN), false, DONE, 0, NULL },
	{ CAN_8BITMIME, BODY_8BITMIME, TEXT(EIGHT), false, DONE, 0, NULL },
	{ CAN_8BITMIME, BODY_UNSAID, TEXT(EIGHT), false, DONE, 0, NULL },
	{ CAN_8BITMIME, BODY_7BIT, TEXT(EIGHT), false, DONE, 0, NULL },
	/* the octets count, and not what the client called them */
	{ 0, BODY_8BITMIME, TEXT(PLAIN), false, DONE, 0, NULL },
	{ 0, BODY_8BITMIME, TEXT(EIGHT), false, DONE, CONVERTED, NULL },
	{ 0, BODY_7BIT, TEXT(EIGHT), false, DONE, CONVERTED, NULL },
	{ CAN_PIPELINING | CAN_CHUNKING, BODY_8BITMIME, TEXT(EIGHT), false, DONE, CONVERTED, NULL },
	{ 0, BODY_8BITMIME, TEXT(FIXED), false, HARD, 0, "554 5.6.3 the host takes 7-bit text" },
	/* binary goes to a host that has both, and as lines where it is lines (L1) */
	{ BINARY, BODY_BINARYMIME, TEXT(ODD), true, DONE, AS_BINARY, NULL },
	{ BINARY, BODY_BINARYMIME, TEXT(PLAIN), false, DONE, AS_BINARY, NULL },
	{ BINARY, BODY_8BITMIME, TEXT(PLAIN), false, DONE, 0, NULL },
	{ BINARY | CAN_8BITMIME, BODY_BINARYMIME, TEXT(EIGHT), false, DONE, AS_BINARY, NULL },
	{ CAN_8BITMIME, BODY_BINARYMIME, TEXT(EIGHT), false, DONE, 0, NULL },
	{ 0, BODY_BINARYMIME, TEXT(PLAIN), false, DONE, 0, NULL },
	{ 0, BODY_BINARYMIME, TEXT(EIGHT), false, DONE, CONVERTED, NULL },
	{ CAN_CHUNKING | CAN_8BITMIME, BODY_BINARYMIME, TEXT(ODD), true, DONE, CONVERTED, NULL },
	{ CAN_BINARYMIME | CAN_8BITMIME, BODY_BINARYMIME, TEXT(ODD), true, DONE, CONVERTED, NULL },
	{ CAN_8BITMIME, BODY_BINARYMIME, TEXT(FIXED "\0"), true, HARD, 0,
		"554 5.6.3 the host takes lines of text only" },
};

static void
test_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(forms); i++) {
		const struct form_row *row = &forms[i];
		struct message m = message_of(row->text.p, row->text.n);
		struct text t = { .length = 1 };
		m.env.body = row->said;
		m.binary = row->binary;
		know_host(row->can);
		if (body_fit(&l, &m, &t) != row->want)
			fail_msg("row %zu: %.*s", i, (int)l.text.n, l.text.p);
		unsigned form = (t.converted ? CONVERTED : 0U) | (t.binary ? AS_BINARY : 0U);
		if (row->want == DONE && form != row->form)
			fail_msg("row %zu: form %u", i, form);
		if (row->want == DONE && !t.converted)
			assert_int_equal(t.length, m.length);
		if (row->why != NULL)
			assert_said(row->why);
		close(m.fd);
	}
}

/*
 * Of a host that is served without BDAT for a while: what only BDAT can carry waits for the end of
 * that, and what no form carries does not (L10).
 */
static void
test_form_for_now(void **state)
{
	(void)state;
	struct message m = message_of(FIXED, strlen(FIXED));
	struct text t;
	m.env.body = BODY_BINARYMIME;
	know_host(0);
	l.terms.avoided = CAN_CHUNKING | CAN_BINARYMIME;
	assert_int_equal(body_fit(&l, &m, &t), SOFT);
	l.terms.avoided = CAN_PIPELINING;
	assert_int_equal(body_fit(&l, &m, &t), HARD);
	l.terms.avoided = CAN_CHUNKING | CAN_BINARYMIME;
	m.env.body = BODY_8BITMIME;
	assert_int_equal(body_fit(&l, &m, &t), HARD);
	close(m.fd);
}

/* A spool that cannot be read now is no word about the mail. */
static void
test_form_of_what_cannot_be_read(void **state)
{
	(void)state;
	struct message m = message_of(EIGHT, strlen(EIGHT));
	struct text t;
	close(m.fd);
	m.fd = -1;
	know_host(0);
	assert_int_equal(body_fit(&l, &m, &t), SOFT);
	assert_said("spool: ");
	assert_int_equal(l.code, 0);
}

static void
test_size(void **state)
{
	(void)state;
	struct message m = message_of(PLAIN, strlen(PLAIN));
	struct message eight = message_of(EIGHT, strlen(EIGHT));
	const int64_t n = (int64_t)m.length;
	const struct { int64_t limit; enum outcome want; } rows[] = {
		{ 0, DONE }, { n + 1, DONE }, { n, DONE }, { n - 1, HARD }, { 1, HARD } };
	struct text t;
	for (size_t i = 0; i < ROWS(rows); i++) {
		know_host(CAN_SIZE);
		l.host.limit.size = rows[i].limit;
		assert_int_equal(body_fit(&l, &m, &t), rows[i].want);
		if (rows[i].want == HARD)
			assert_said("552 5.3.4 ");
	}
	/* of what is sent, and not of what is queued */
	know_host(CAN_SIZE);
	assert_int_equal(body_fit(&l, &eight, &t), DONE);
	assert_true(t.converted && t.length > eight.length);
	l.host.limit.size = (int64_t)t.length;
	assert_int_equal(body_fit(&l, &eight, &t), DONE);
	l.host.limit.size--;
	assert_int_equal(body_fit(&l, &eight, &t), HARD);
	close(m.fd);
	close(eight.fd);
}

/* ---- what the sender asked for ------------------------------------------------------------ */

static enum outcome
fit(unsigned can, struct envelope e, struct text *t)
{
	struct message m = message_of(PLAIN, strlen(PLAIN));
	m.env = e;
	know_host(can);
	l.host.limit.by = SOON;
	enum outcome o = body_fit(&l, &m, t);
	close(m.fd);
	return o;
}

/* DELIVERBY: with mode R the host has to promise it, and so soon (RFC 2852 section 4.1.4). */
static void
test_by(void **state)
{
	(void)state;
	const int64_t now = clock_wall();
	const struct {
		unsigned can;
		int64_t in; /* s from now */
		char mode;
		enum outcome want;
		const char *why;
	} rows[] = {
		{ CAN_DELIVERBY, 10 * SOON, 'R', DONE, NULL },
		{ CAN_DELIVERBY, SOON / 2, 'R', HARD, "no time of delivery as early as that" },
		{ 0, 10 * SOON, 'R', HARD, "does not promise a time of delivery" },
		/* to be told is a wish that we see to ourselves */
		{ CAN_DELIVERBY, SOON / 2, 'N', DONE, NULL },
		{ 0, SOON / 2, 'N', DONE, NULL },
	};
	struct text t;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct envelope e = { .sender = span_of("s@s.example"), .by = now + rows[i].in,
			.by_mode = rows[i].mode };
		assert_int_equal(fit(rows[i].can, e, &t), rows[i].want);
		if (rows[i].why != NULL)
			assert_said(rows[i].why);
	}
	assert_int_equal(fit(0, (struct envelope){ .by_mode = 'R' }, &t), DONE);
	/* what LMTP takes is delivered */
	struct message m = message_of(PLAIN, strlen(PLAIN));
	m.env.by = now + 1;
	m.env.by_mode = 'R';
	know_host(0);
	conf.protocol = PROTOCOL_LMTP;
	assert_int_equal(body_fit(&l, &m, &t), DONE);
	close(m.fd);
}

/* Both the extension and a certificate for the target; a report goes without (R85). */
static void
test_require_tls(void **state)
{
	(void)state;
	static const struct {
		unsigned can;
		bool tls, trusted, target;
		const char *sender;
		enum outcome want;
		const char *why; /* the codes of RFC 8689 section 4.2.1 */
	} rows[] = {
		{ CAN_REQUIRETLS, true, true, true, "s@s.example", DONE, NULL },
		{ CAN_REQUIRETLS, true, false, true, "s@s.example", HARD, "550 5.7.10 " },
		{ CAN_REQUIRETLS, false, true, true, "s@s.example", HARD, "550 5.7.10 " },
		{ CAN_REQUIRETLS, true, true, false, "s@s.example", HARD, "550 5.7.10 " },
		{ 0, true, true, true, "s@s.example", HARD, "550 5.7.30 " },
		{ 0, false, false, true, "s@s.example", HARD, "550 5.7.10 " },
		{ 0, false, false, true, "", DONE, NULL },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m = message_of(PLAIN, strlen(PLAIN));
		struct text t;
		m.env.require_tls = true;
		m.env.sender = span_of(rows[i].sender);
		know_host(rows[i].can);
		if (!rows[i].tls)
			l.proof.tls = NULL;
		if (!rows[i].target)
			l.terms.target[0] = '\0';
		l.proof.trust = rows[i].trusted ? TRUSTED : NOT_TRUSTED;
		if (body_fit(&l, &m, &t) != rows[i].want)
			fail_msg("row %zu", i);
		assert_int_equal(t.unfit, rows[i].want == HARD);
		if (rows[i].why != NULL)
			assert_said(rows[i].why);
		close(m.fd);
	}
}

/* What is known of a host from another message is enough to know whether it can have this one. */
static void
test_would_fit(void **state)
{
	(void)state;
	const struct {
		struct body_taker host;
		struct envelope env;
		const char *text, *to;
		bool want;
	} rows[] = {
		{ { 0 }, NONE, PLAIN, "u@d.example", true },
		{ { .size = 10 }, NONE, PLAIN, "u@d.example", false },
		{ { .size = 1000 }, NONE, PLAIN, "u@d.example", true },
		{ { 0 }, NONE, PLAIN, "\xc3\xa9@d.example", false },
		{ { .can = CAN_SMTPUTF8 }, NONE, PLAIN, "\xc3\xa9@d.example", true },
		{ { 0 }, { .sender = span_of("\xc3\xa9@s.example") }, PLAIN, "u@d.example", false },
		{ { 0 }, NONE, "Subject: \xc3\xa9\r\n\r\nx\r\n", "u@d.example", false },
		{ { .can = CAN_8BITMIME }, NONE, "Subject: \xc3\xa9\r\n\r\nx\r\n", "u@d.example",
			true },
		{ { .can = CAN_REQUIRETLS, .tls = true, .proved = true },
			{ .sender = span_of("s@s.example"), .require_tls = true }, PLAIN,
			"u@d.example", true },
		{ { .can = CAN_REQUIRETLS, .tls = true },
			{ .sender = span_of("s@s.example"), .require_tls = true }, PLAIN,
			"u@d.example", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m = message_of(rows[i].text, strlen(rows[i].text));
		m.env = rows[i].env;
		m.eightbit = !span_is_ascii(span_of(rows[i].text));
		if (body_would_fit(&rows[i].host, &m, span_of(rows[i].to)) != rows[i].want)
			fail_msg("row %zu", i);
		close(m.fd);
	}
	/* and it is known as it is; the certificate is not judged unless it matters */
	know_host(CAN_REQUIRETLS | CAN_SIZE);
	l.host.limit.size = 7;
	l.host.limit.by = 8;
	l.proof.trust = TRUSTED;
	struct body_taker h = body_taker_of(&l, true);
	assert_true(h.can == (CAN_REQUIRETLS | CAN_SIZE) && h.size == 7 && h.by == 8);
	assert_true(h.tls && h.proved && !h.final && !h.broken);
	l.terms.clear = true;
	assert_true(body_taker_of(&l, false).broken);
	assert_false(body_taker_of(&l, false).proved);
	know_host(0);
	l.proof.trust = TRUSTED;
	assert_false(body_taker_of(&l, true).proved);
}

/* SMTPUTF8 where the header or the sender needs it, whatever the client said (L1). */
static void
test_utf8(void **state)
{
	(void)state;
	static const struct {
		bool said, header;
		const char *sender;
		bool needed;
	} rows[] = {
		{ false, false, "s@s.example", false },
		{ true, false, "s@s.example", false },
		{ false, true, "s@s.example", false }, /* 8 bits as of old: 8BITMIME will do */
		{ true, true, "s@s.example", true },
		{ false, false, A "@s.example", true },
		{ false, false, "s@" A ".example", false }, /* has a form in ASCII */
		{ true, false, "", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m = message_of(PLAIN, strlen(PLAIN));
		struct text t;
		m.env.utf8 = rows[i].said;
		m.env.sender = span_of(rows[i].sender);
		m.header_eightbit = rows[i].header;
		know_host(CAN_8BITMIME | CAN_SMTPUTF8);
		assert_int_equal(body_fit(&l, &m, &t), DONE);
		assert_int_equal(t.utf8, rows[i].needed);
		know_host(CAN_8BITMIME);
		assert_int_equal(body_fit(&l, &m, &t), rows[i].needed ? HARD : DONE);
		if (rows[i].needed)
			assert_said("550 5.6.7 ");
		close(m.fd);
	}
	know_host(0);
	assert_true(body_address_fits(&l, span_of("r@r.example")));
	assert_true(body_address_fits(&l, span_of("r@" A ".example")));
	assert_false(body_address_fits(&l, span_of(A "@r.example")));
	assert_said("550 5.6.7 ");
	know_host(CAN_SMTPUTF8);
	assert_true(body_address_fits(&l, span_of(A "@r.example")));
}

/* ---- what goes out ------------------------------------------------------------------------ */

/* The other end of a connection, which keeps all that comes. */
struct taker {
	pthread_t thread;
	int fd;
	size_t n;
	char got[2 * LARGE];
};

static struct taker taker; /* large */

static void *
take(void *context)
{
	struct taker *t = context;
	ssize_t n;
	while ((n = read(t->fd, t->got + t->n, sizeof(t->got) - t->n)) > 0)
		t->n += (size_t)n;
	close(t->fd);
	return NULL;
}

static void
connect_taker(void)
{
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	l.proof.tls = NULL;
	taker.fd = fd[1];
	taker.n = 0;
	l.fd = fd[0];
	stream_init(&l.stream, fd[0], fd[0], true, NULL);
	assert_int_equal(pthread_create(&taker.thread, NULL, take, &taker), 0);
}

/* Sends what is still in the buffer if `whole`, and closes. What the other end got. */
static struct span
part(bool whole)
{
	if (whole)
		assert_int_equal(stream_flush(&l.stream, clock_deadline(60)), STREAM_OK);
	link_close(&l);
	assert_int_equal(pthread_join(taker.thread, NULL), 0);
	return (struct span){ taker.got, taker.n };
}

typedef bool put_fn(struct link *, const struct text *);

static struct span
sent(put_fn *put, const char *text, unsigned can)
{
	struct message m = message_of(text, strlen(text));
	struct text t;
	know_host(can);
	assert_int_equal(body_fit(&l, &m, &t), DONE);
	connect_taker();
	assert_true(put(&l, &t));
	struct span got = part(true);
	close(m.fd);
	return got;
}

static void
test_lines(void **state)
{
	(void)state;
	static const struct { const char *text, *want; } rows[] = {
		{ "a\r\nb\r\n", "a\r\nb\r\n.\r\n" },
		{ ".\r\n", "..\r\n.\r\n" },
		{ "a\r\n.\r\n.b\r\n..\r\n", "a\r\n..\r\n..b\r\n...\r\n.\r\n" },
		{ "a.\r\n.", "a.\r\n..\r\n.\r\n" },
		/* the last dot stands alone whatever is before it (A10) */
		{ "a", "a\r\n.\r\n" },
		{ "", ".\r\n" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span got = sent(body_put_lines, rows[i].text, 0);
		if (!span_eq(got, span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].text, (int)got.n, got.p);
	}
	/* converted on its way, dots too */
	struct span got = sent(body_put_lines, "A: b\r\n\r\n.\r\n" A "\r\n", 0);
	assert_true(span_is_ascii(got));
	assert_true(span_istarts(got, span_of("A: b\r\n")));
	assert_non_null(memmem(got.p, got.n, "=C3=A4", 6));
	assert_true(got.n > 5 && memcmp(got.p + got.n - 5, "\r\n.\r\n", 5) == 0);
}

/* A dot at the start of a line that lies at the edge of two pieces of the file. */
static void
test_dots_at_edges(void **state)
{
	(void)state;
	static char text[LARGE + 1];
	size_t n = 0, dots = 0;
	for (; n + 5 <= LARGE; n += 5, dots++)
		memcpy(text + n, ".ab\r\n", 6);
	struct span got = sent(body_put_lines, text, 0);
	assert_int_equal(got.n, n + dots + 3);
	for (size_t i = 0; i < dots; i++)
		assert_memory_equal(got.p + 6 * i, "..ab\r\n", 6);
}

static void
test_chunk(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "a", ".\r\n", "A: b\r\n\r\n.\r\n.c\r\nd" };
	char want[128];
	for (size_t i = 0; i < ROWS(texts); i++) {
		struct span got = sent(body_put_chunk, texts[i], CAN_CHUNKING);
		snprintf(want, sizeof(want), "BDAT %zu LAST\r\n%s", strlen(texts[i]), texts[i]);
		if (!span_eq(got, span_of(want)))
			fail_msg("%s: %.*s", texts[i], (int)got.n, got.p);
	}
	/* what is counted is what is sent */
	struct span got = sent(body_put_chunk, EIGHT, CAN_CHUNKING);
	struct span rest = got, line = span_cut(&rest, '\n');
	line = span_skip(line, strlen("BDAT "));
	assert_int_equal(span_number(span_digits(line)), rest.n);
	assert_true(rest.n > strlen(EIGHT) && span_is_ascii(rest));
}

/* By the kernel, from where the text begins in its file to where it ends. */
static void
test_large_chunk(void **state)
{
	(void)state;
	static char file[LARGE + 64];
	char command[64];
	for (size_t i = 0; i < sizeof(file); i++)
		file[i] = (char)('a' + i % 26);
	struct message m = message_of(file, sizeof(file));
	struct text t;
	m.body = 33;
	m.length = LARGE;
	know_host(CAN_CHUNKING);
	assert_int_equal(body_fit(&l, &m, &t), DONE);
	connect_taker();
	assert_true(body_put_chunk(&l, &t));
	struct span got = part(true);
	size_t n = (size_t)snprintf(command, sizeof(command), "BDAT %d LAST\r\n", LARGE);
	assert_int_equal(got.n, n + LARGE);
	assert_memory_equal(got.p, command, n);
	assert_memory_equal(got.p + n, file + 33, LARGE);
	close(m.fd);
}

/* Too large to be copied, and yet not sent as it lies there. */
static void
test_large_chunk_converted(void **state)
{
	(void)state;
	static char text[LARGE + 1];
	size_t n = 0;
	while (n < LARGE / 2)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", n == 0 ? EIGHT : A "b\r\n");
	struct span got = sent(body_put_chunk, text, CAN_CHUNKING);
	assert_true(got.n > n && span_is_ascii(got));
}

/* ---- what breaks off ----------------------------------------------------------------------- */

/* The file is shorter than it was, or cannot be read: what went out has no end. */
static void
test_file_that_ends(void **state)
{
	(void)state;
	static char text[LARGE];
	static put_fn *const ways[] = { body_put_lines, body_put_chunk };
	static const size_t lengths[] = { 16, LARGE };
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < ROWS(ways); i++) {
		for (size_t j = 0; j < 2 * ROWS(lengths); j++) {
			struct message m = message_of(text, lengths[j / 2]);
			const bool unreadable = j % 2 == 1;
			m.length += 2; /* a line end that is not there */
			const struct text t = { .m = &m, .length = m.length };
			if (unreadable) {
				close(m.fd);
				m.fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			}
			know_host(CAN_CHUNKING);
			connect_taker();
			assert_false(ways[i](&l, &t));
			assert_said(unreadable ? "spool: " : "spool: file is shorter than it was");
			assert_int_equal(l.code, 0);
			struct span got = part(true);
			assert_true(got.n < m.length + strlen("BDAT 300000 LAST\r\n"));
			assert_null(memmem(got.p, got.n, ".\r\n", 3));
			close(m.fd);
		}
	}
}

/* The host closes in the middle: that is said, and nothing about our spool. */
static void
test_host_that_closes(void **state)
{
	(void)state;
	static put_fn *const ways[] = { body_put_lines, body_put_chunk };
	struct message m = make_message(LARGE);
	for (size_t i = 0; i < ROWS(ways); i++) {
		const struct text t = { .m = &m, .length = m.length };
		int fd[2];
		know_host(CAN_CHUNKING);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		l.proof.tls = NULL;
		close(fd[1]);
		l.fd = fd[0];
		stream_init(&l.stream, fd[0], fd[0], true, NULL);
		assert_false(ways[i](&l, &t));
		assert_said("sending the message: connection lost or stalled");
		link_close(&l);
	}
	close(m.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_form_for_now),
		cmocka_unit_test(test_form_of_what_cannot_be_read),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_by),
		cmocka_unit_test(test_require_tls),
		cmocka_unit_test(test_would_fit),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_dots_at_edges),
		cmocka_unit_test(test_chunk),
		cmocka_unit_test(test_large_chunk),
		cmocka_unit_test(test_large_chunk_converted),
		cmocka_unit_test(test_file_that_ends),
		cmocka_unit_test(test_host_that_closes),
	};
	return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
