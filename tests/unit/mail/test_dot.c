/* dot: every input also split at each byte (A1 to A9, A22, R11, R12). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "mail/dot.h"

struct row {
	const char *name, *in, *want; /* want: the body, when it is accepted */
	enum dot_result result;
	bool bare;
	const char *rest; /* what is not read */
};

#define BROKEN(name, in, rest) { name, in, NULL, DOT_BROKEN, true, rest }

static const struct row strict[] = {
	{ "empty", ".\r\nX", "", DOT_END, false, "X" },
	{ "one line", "a\r\n.\r\nX", "a\r\n", DOT_END, false, "X" },
	{ "stuffed dots A9", "..\r\n..a\r\n....\r\n.\r\n", ".\r\n.a\r\n...\r\n", DOT_END, false, "" },
	{ "dot then text", ".a\r\n.\r\n", "a\r\n", DOT_END, false, "" },
	{ "no end", "a\r\n", "a\r\n", DOT_MORE, false, "" },
	{ "dot in a line", "a.\r\n.\r\n", "a.\r\n", DOT_END, false, "" },
	BROKEN("A1 LF . LF", "a\n.\nX", "X"),
	BROKEN("A2 LF . CRLF", "a\n.\r\nX", "\nX"),
	BROKEN("A3 CRLF . LF", "a\r\n.\nX", "X"),
	BROKEN("A4 CR . CR", "a\r.\rX", "X"),
	BROKEN("A4 CR . LF", "a\r.\nX", "X"),
	BROKEN("A4 LF . CR", "a\n.\rX", "X"),
	BROKEN("A4 CRLF . CR", "a\r\n.\rX", ""),
	BROKEN("A4 CR . CRLF", "a\r.\r\nX", "\nX"),
	BROKEN("A5 CRLF . CR CRLF", "a\r\n.\r\r\nX", "\nX"),
	BROKEN("A5 CR CRLF . CR CRLF", "a\r\r\n.\r\r\nX", "\nX"),
	{ "A7 bare LF", "a\nb\r\n.\r\nX", NULL, DOT_END, true, "X" },
	{ "A7 bare CR", "a\rb\r\n.\r\nX", NULL, DOT_END, true, "X" },
};

static const struct row lenient[] = {
	{ "LF lines", "a\nb\n.\nX", "a\r\nb\r\n", DOT_END, false, "X" },
	{ "CRLF too", "a\r\n..b\n.\r\nX", "a\r\n.b\r\n", DOT_END, false, "X" },
	{ "bare CR", "a\rb\n.\nX", NULL, DOT_END, true, "X" },
};

static void
collect(void *ctx, struct span piece)
{
	buf_add(ctx, piece);
}

static void
run(const struct row *row, bool is_lenient, size_t split)
{
	struct span in = span_of(row->in);
	struct dot d = dot_new(is_lenient);
	struct buf body = buf_new(1000);
	size_t used = 0, at = 0;
	enum dot_result r = dot_read(&d, (struct span){ in.p, split }, &used, collect, &body);
	at += used;
	if (r == DOT_MORE) {
		assert_int_equal(used, split);
		r = dot_read(&d, span_skip(in, split), &used, collect, &body);
		at += used;
	}
	assert_int_equal(r, row->result);
	assert_int_equal(d.bare, row->bare);
	assert_string_equal(in.p + at, row->rest);
	if (row->want != NULL)
		assert_true(span_eq(buf_span(&body), span_of(row->want)));
	buf_free(&body);
}

static void
run_table(const struct row *t, size_t n, bool is_lenient)
{
	for (size_t i = 0; i < n; i++)
		for (size_t split = 0; split <= strlen(t[i].in); split++)
			run(&t[i], is_lenient, split);
}

static void
test_strict(void **state)
{
	(void)state;
	run_table(strict, sizeof(strict) / sizeof(strict[0]), false);
}

static void
test_lenient(void **state)
{
	(void)state;
	run_table(lenient, sizeof(lenient) / sizeof(lenient[0]), true);
}

static void
test_nul(void **state)
{
	(void)state;
	struct dot d = dot_new(false);
	struct buf body = buf_new(100);
	size_t used;
	struct span in = { "\r\n\0.\r\n.\0\r\n.\r\n", 13 };
	assert_int_equal(dot_read(&d, in, &used, collect, &body), DOT_END); /* A6: only the last */
	assert_int_equal(used, in.n);
	assert_true(d.nul);
	buf_free(&body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_lenient),
		cmocka_unit_test(test_nul),
	};
	return cmocka_run_group_tests_name("dot", tests, NULL, NULL);
}
