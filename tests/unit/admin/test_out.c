/* What a stranger wrote reaches a terminal as text, and JSON as JSON. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/out.h"

static char text[64 * 1024];

static struct out
begin(bool json, bool utf8)
{
	struct out o;
	memset(text, 0, sizeof(text));
	FILE *f = fmemopen(text, sizeof(text), "w");
	assert_non_null(f);
	/* A stream in memory is no terminal. */
	o = (struct out){ .to = f, .json = json, .utf8 = utf8 };
	return o;
}

static const char *
end(struct out *o)
{
	assert_int_equal(out_end(o), 0);
	fclose(o->to);
	return text;
}

static void
test_safe(void **state)
{
	static const struct { const char *in, *utf8, *ascii; } rows[] = {
		{ "plain \\ text", "plain \\ text", "plain \\ text" },
		{ "\x1b[2J", "\\x1b[2J", "\\x1b[2J" },
		{ "a\rb\nc\td\x7f", "a\\x0db\\x0ac\\x09d\\x7f", "a\\x0db\\x0ac\\x09d\\x7f" },
		{ "\x9b", "\\x9b", "\\x9b" },
		{ "\xc2\x9b", "\\u009b", "\\u009b" }, /* C1, as UTF-8 */
		{ "\xc3\xa4\xe4\xbd\xa0\xf0\x9f\x98\x80", "\xc3\xa4\xe4\xbd\xa0\xf0\x9f\x98\x80",
			"\\u00e4\\u4f60\\U0001f600" },
		{ "\xe2\x80\xae" "gnp", "\\u202egnp", "\\u202egnp" },
		{ "\xe2\x81\xa6\xe2\x80\x8b\xe2\x80\xa8\xef\xbb\xbf", "\\u2066\\u200b\\u2028\\ufeff",
			"\\u2066\\u200b\\u2028\\ufeff" },
		{ "\xf3\xa0\x81\x81\xee\x80\x80", "\\U000e0041\\ue000", "\\U000e0041\\ue000" },
		{ "\xc2\xad\xd8\x9c", "\\u00ad\\u061c", "\\u00ad\\u061c" },
		/* no UTF-8: too long a form, a surrogate, beyond the last one, cut, alone */
		{ "\xc0\x80", "\\xc0\\x80", "\\xc0\\x80" },
		{ "\xe0\x80\x9b", "\\xe0\\x80\\x9b", "\\xe0\\x80\\x9b" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80" },
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80" },
		{ "\xe2\x80", "\\xe2\\x80", "\\xe2\\x80" },
		{ "\xbf" "a", "\\xbfa", "\\xbfa" },
		{ "\xf4\x8f\xbf\xbd", "\\U0010fffd", "\\U0010fffd" },
		{ "", "", "" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (int utf8 = 0; utf8 < 2; utf8++) {
			struct buf b = buf_new(1000);
			const char *want = utf8 ? rows[i].utf8 : rows[i].ascii;
			out_safe(&b, guarded(span_of(rows[i].in)), utf8 != 0);
			if (!span_eq(buf_span(&b), span_of(want)))
				fail_msg("row %zu: %.*s, not %s", i, (int)b.n, b.p, want);
			buf_free(&b);
		}
}

/* Whatever the octets are: nothing below a blank, no DEL, and no C1 in either form. */
static void
test_any_octets(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++)
		for (unsigned second = 0; second < 256; second++) {
			char in[3] = { (char)first, (char)second, 'x' };
			struct buf b = buf_new(100);
			out_safe(&b, guarded((struct span){ in, 3 }), true);
			for (size_t i = 0; i < b.n; i++) {
				unsigned char c = (unsigned char)b.p[i];
				bool c1 = c == 0xc2 && (unsigned char)b.p[i + 1] < 0xa0;
				if (c < 0x20 || c == 0x7f || c1)
					fail_msg("%02x %02x", first, second);
			}
			assert_true(b.p[b.n - 1] == 'x');
			buf_free(&b);
		}
}

static void
test_table(void **state)
{
	static const struct out_column columns[] = {
		{ "name", 6, false }, { "n", 4, true }, { "last", 3, false },
	};
	(void)state;
	struct out o = begin(false, true);
	out_table(&o, columns, 3);
	out_cell(&o, span_of("\xc3\xa4" "b"));
	out_cellf(&o, "%d", 12);
	out_cell(&o, span_of("x"));
	out_cell(&o, span_of("far too long"));
	out_cell(&o, span_of("12345"));
	out_cell(&o, span_of("a\nb"));
	assert_string_equal(end(&o), "name       n  last\n"
		"\xc3\xa4" "b        12  x\n"
		"far too long  12345  a\\x0ab\n");
}

static void
test_json(void **state)
{
	(void)state;
	struct out o = begin(true, true);
	static const char odd[] = "\x1b\xff\xc2\x9b\xe2\x80\xae\x7f\"\\\0z";
	out_json(&o, json_pack("{s:o, s:o, s:o}", "t", out_string((struct span){ odd, sizeof(odd) - 1 }),
		"at", out_time(0), "then", out_time(7)));
	assert_string_equal(end(&o), "{\"t\":\"\\u001B\\\\xff\\u009B\\u202E\\u007f\\\"\\\\\\u0000z\","
		"\"at\":null,\"then\":7}\n");
	json_t *back = json_loads(text, JSON_ALLOW_NUL, NULL);
	assert_non_null(back);
	json_decref(back);
}

static void
test_words(void **state)
{
	static const struct { int64_t s; const char *want; } times[] = {
		{ -5, "0 s" }, { 0, "0 s" }, { 59, "59 s" }, { 60, "1 min" }, { 61, "1 min 1 s" },
		{ 3599, "59 min 59 s" }, { 3600, "1 h" }, { 3660, "1 h 1 min" }, { 86400, "1 d" },
		{ 86400 * 3 + 3600 * 4 + 59, "3 d 4 h" },
	};
	static const struct { uint64_t n; const char *want; } sizes[] = {
		{ 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1.0 KiB" }, { 1536 * 1024, "1.5 MiB" },
		{ UINT64_MAX, "16777216.0 TiB" },
	};
	char out[32];
	(void)state;
	for (size_t i = 0; i < ROWS(times); i++) {
		out_duration(out, sizeof(out), times[i].s);
		assert_string_equal(out, times[i].want);
	}
	for (size_t i = 0; i < ROWS(sizes); i++) {
		out_size(out, sizeof(out), sizes[i].n);
		assert_string_equal(out, sizes[i].want);
	}
}

/* A disk that is full, a pipe that nobody reads: it is told. */
static void
test_cannot_write(void **state)
{
	(void)state;
	struct out o = { .to = fopen("/dev/full", "w") };
	assert_non_null(o.to);
	out_text(&o, span_of("x"));
	assert_int_equal(out_end(&o), -ENOSPC);
	fclose(o.to);
}

/* Colours are for a terminal that can show them, and for somebody who wants them. */
static void
test_colours(void **state)
{
	static const struct { const char *term, *without; bool json, want; } rows[] = {
		{ "xterm", NULL, false, true }, { "xterm", "", false, true },
		{ "xterm", "1", false, false }, { "dumb", NULL, false, false },
		{ NULL, NULL, false, false }, { "xterm", NULL, true, false },
	};
	(void)state;
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	/* Not as ours: its end would be the end of a process that leads a session. */
	FILE *f = fdopen(open(ptsname(master), O_RDWR | O_NOCTTY), "r+");
	assert_non_null(f);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct out o;
		unsetenv("TERM");
		unsetenv("NO_COLOR");
		if (rows[i].term != NULL)
			setenv("TERM", rows[i].term, 1);
		if (rows[i].without != NULL)
			setenv("NO_COLOR", rows[i].without, 1);
		out_begin(&o, f, rows[i].json);
		assert_int_equal(o.colours, rows[i].want);
		assert_true(o.terminal);
	}
	fclose(f);
	close(master);
	struct out o = begin(false, true);
	struct out other;
	setenv("TERM", "xterm", 1);
	out_begin(&other, tmpfile(), false);
	assert_false(other.colours || other.terminal);
	fclose(other.to);
	out_colour(&o, OUT_BAD);
	assert_string_equal(end(&o), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_safe),
		cmocka_unit_test(test_any_octets),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_cannot_write),
		cmocka_unit_test(test_colours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
