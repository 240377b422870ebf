/* text: what is made of a message as programs write it; each input also one octet at a time. */
#include "tests/unit/unit.h"

#include "submit/text.h"

static void
collect(void *to, struct span piece)
{
	buf_add(to, piece);
}

#define H "Subject: x\r\n"

static const struct row {
	struct span in;
	const char *header, *body;
	bool dots;
} rows[] = {
#define ROW(in, header, body, dots) { { in, sizeof(in) - 1 }, header, body, dots }
	ROW("", "", "", false),
	ROW("\n", "", "", false),
	ROW("Subject: x\n\nhello\n", H, "hello\r\n", false),
	ROW("Subject: x\r\n\r\nhello\r\n", H, "hello\r\n", false),
	ROW("Subject: x\r\n\nhello", H, "hello\r\n", false),
	ROW("Subject: x\rBcc: y\r\rhello\r", "Subject: x Bcc: y  hello \r\n", "", false),
	ROW("Subject: x\r.\r\n\nhello\r", "Subject: x .\r\n", "hello\r\n", false),
	ROW("Subject: x\n\n10%\r20%\r\n", H, "10%\r\n20%\r\n", false),
	ROW("Subject: x\r\r\nTo: y\r\r\n\r\r\na\r\r\nb", H "To: y\r\n", "a\r\nb\r\n", false),
	ROW("Subject: x\n\na\r\rb\r\r", H, "a\r\n\r\nb\r\n\r\n", false),
	ROW("Subject: x\n\na\r.\rb\r", H, "a\r\n", false),
	ROW("Subject: x\n\na\n.\r\r\nb\r", H, "a\r\n", false),
	ROW("Subject: x\n\na\r\0\nb", H, "a\r\nb\r\n", false),
	ROW("Subject: x", H, "", false),
	ROW("Subject: x\n", H, "", false),
	ROW("Subject: x\n folded\n\thow\n\nhello\n", "Subject: x\r\n folded\r\n\thow\r\n", "hello\r\n",
		false),
	ROW("Subject: x\nNot a field\nhello\n", H, "Not a field\r\nhello\r\n", false),
	ROW("hello\nthere: x\n", "", "hello\r\nthere: x\r\n", false),
	ROW(" folded\nSubject: x\n", "", " folded\r\nSubject: x\r\n", false),
	ROW("\nSubject: x\n", "", "Subject: x\r\n", false),
	ROW("From joe Mon Nov 30 2026\nSubject: x\n\nFrom here\n", H, "From here\r\n", false),
	ROW(">From joe Mon Nov 30 2026\nSubject: x\n\n>From here\n", H, ">From here\r\n", false),
	ROW(">From joe Mon Nov 30 2026\n", "", "", false),
	ROW("Subject: x\n>From joe\n", H, ">From joe\r\n", false),
	ROW(">>From joe\nSubject: x\n", "", ">>From joe\r\nSubject: x\r\n", false),
	ROW("From joe Mon Nov 30 2026\n", "", "", false),
	ROW("Subject: x\nFrom joe\n", H, "From joe\r\n", false),
	ROW("Subject : x\n\n", "Subject : x\r\n", "", false),
	ROW(": x\n", "", ": x\r\n", false),
	ROW("Sub ject: x\n", "", "Sub ject: x\r\n", false),
	ROW("Subject: x\n\na\n.\nb\n", H, "a\r\n", false),
	ROW("Subject: x\n\na\r\n.\r\nb\r\n", H, "a\r\n", false),
	ROW("Subject: x\n\na\n.", H, "a\r\n", false),
	ROW("Subject: x\n.\nb\n", H, "", false),
	ROW(".\nSubject: x\n", "", "", false),
	ROW("Subject: x\n\na\n.\nb\n", H, "a\r\n.\r\nb\r\n", true),
	ROW("Subject: x\n\na\n..\n.b\n. \nb.\n.", H, "a\r\n..\r\n.b\r\n. \r\nb.\r\n", false),
	/* A6: NUL never cuts a message off. */
	ROW("Subject: x\n\na\0b\n\0\n.\0\nc\n", H, "ab\r\n\r\n.\r\nc\r\n", false),
	ROW("Subject: x\n\n\0.\nb\n", H, ".\r\nb\r\n", false),
	ROW("Subject: x\n\n.\0.\n\0.\0.\nb", H, "..\r\n..\r\nb\r\n", false),
	ROW("Subject: x\n\na\r\0.\nb\n", H, "a\r\n.\r\nb\r\n", false),
	ROW("Subject: x\n\n.\r\0\nb\n", H, ".\r\nb\r\n", false),
	ROW("Subject: x\n\n\0\n.\nb\n", H, "\r\n", false),
	ROW("Subject: x\n.\0\nb\n", H, ".\r\nb\r\n", false),
	ROW("Sub\0ject: x\n\n\0", H, "", false),
#undef ROW
};

static void
check(const struct row *row, size_t step)
{
	struct text t = text_new(row->dots);
	struct buf body = buf_new(1000);
	struct span in = guarded(row->in);
	for (size_t i = 0; i < in.n; i += step)
		text_feed(&t, (struct span){ in.p + i, in.n - i < step ? in.n - i : step });
	text_end(&t);
	assert_int_equal(store_read(&t.body, collect, &body), 0);
	if (!span_eq(buf_span(&t.header), span_of(row->header)) ||
		!span_eq(buf_span(&body), span_of(row->body)))
		fail_msg("%s: header \"%.*s\", body \"%.*s\"", row->in.p, (int)t.header.n, t.header.p,
			(int)body.n, body.p);
	assert_int_equal(text_size(&t), t.header.n + body.n);
	buf_free(&body);
	text_free(&t);
}

static void
test_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t step = 1; step < 8; step++)
			check(&rows[i], step);
	for (size_t i = 0; i < ROWS(rows); i++)
		check(&rows[i], 1000);
}

static void
test_eightbit(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		bool is;
	} bits[] = { { "Subject: x\n\nhello\n", false }, { "Subject: \xc3\xbc\n\nx\n", true },
		{ "Subject: x\n\n\xfc\n", true } };
	for (size_t i = 0; i < ROWS(bits); i++) {
		struct text t = text_new(false);
		text_feed(&t, span_of(bits[i].in));
		text_end(&t);
		assert_int_equal(t.eightbit, bits[i].is);
		text_free(&t);
	}
}

/* More than memory is for, and lines without an end: none of it is lost, twice or turned round. */
static void
test_large(void **state)
{
	(void)state;
	enum { LINES = 3 * STORE_MEMORY / 64 };
	static char line[64];
	struct text t = text_new(false);
	struct buf body = buf_new(8 * STORE_MEMORY);
	text_feed(&t, span_of("Subject: x\n\n"));
	for (int i = 0; i < LINES; i++) {
		memset(line, 'a' + i % 26, sizeof(line));
		line[sizeof(line) - 1] = '\n';
		text_feed(&t, (struct span){ line, sizeof(line) });
	}
	text_end(&t);
	assert_true(t.body.fd >= 0);
	assert_int_equal(store_read(&t.body, collect, &body), 0);
	assert_int_equal(body.n, LINES * (sizeof(line) + 1));
	assert_int_equal(t.body.size, body.n);
	for (size_t i = 0; i < LINES; i++)
		assert_true(body.p[i * (sizeof(line) + 1) + 5] == (char)('a' + i % 26));
	buf_free(&body);
	text_free(&t);
}

static void
feed_times(struct text *t, const char *what, size_t n)
{
	for (size_t i = 0; i < n; i++)
		text_feed(t, span_of(what));
}

static void
test_long_lines(void **state)
{
	(void)state;
	struct text t = text_new(false); /* no header: it is text */
	feed_times(&t, "aaaaaaaaaaaaaaaa", TEXT_HEADER / 8);
	text_end(&t);
	assert_false(t.large_header);
	assert_int_equal(t.body.size, 2 * TEXT_HEADER + 2);
	text_free(&t);

	t = text_new(false); /* a field */
	text_feed(&t, span_of("Subject: "));
	feed_times(&t, "aaaaaaaaaaaaaaaa", TEXT_HEADER / 8);
	text_end(&t);
	assert_true(t.large_header);
	text_free(&t);

	t = text_new(false); /* many of them */
	feed_times(&t, "Subject: aaaaaaaaaaaaaaaa\n", TEXT_HEADER / 16);
	text_end(&t);
	assert_true(t.large_header);
	text_free(&t);

	t = text_new(false); /* one that is folded */
	feed_times(&t, "Subject: a\n", 1);
	feed_times(&t, " aaaaaaaaaaaaaaaa", TEXT_HEADER / 16);
	text_end(&t);
	assert_true(t.large_header);
	text_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_eightbit),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_long_lines),
	};
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
