/* postmap: what stands in tables of Postfix, and where. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "admin/postmap.h"

static struct translation t;
static struct postmap m;
static char path[] = "/tmp/postmap-XXXXXX";

static int
begin(void **state)
{
	(void)state;
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	translate_begin(&t, false, NULL);
	close(mkstemp(path));
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	unlink(path);
	postmap_free(&m);
	translate_end(&t);
	return 0;
}

static void
read_as(const char *type, const char *text, enum postmap_form form)
{
	char maps[64];
	FILE *f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
	snprintf(maps, sizeof(maps), "%s%s", type, path);
	postmap_read(&m, &t, span_of(maps), form);
}

static void
assert_span(struct span is, const char *want)
{
	assert_int_equal(is.n, strlen(want));
	assert_memory_equal(is.p, want, is.n);
}

static void
assert_row(int i, const char *key, const char *value, int line)
{
	assert_true(i < m.n);
	assert_span(m.v[i].key, key);
	assert_span(m.v[i].value, value);
	assert_int_equal(m.v[i].line, line);
	assert_true(line == 0 ? m.v[i].path == NULL : strcmp(m.v[i].path, path) == 0);
}

static void
test_pairs(void **state)
{
	(void)state;
	read_as("hash:",
		"# a comment\n\n a.example\tsmtp:[x]  \r\nb.example one,\n# between\n\n\t two\n  three\n"
		"\"with blank\" v\nempty\n",
		POSTMAP_PAIRS);
	assert_int_equal(m.n, 4);
	assert_row(0, "a.example", "smtp:[x]", 3);
	assert_row(2, "with blank", "v", 9);
	assert_row(3, "empty", "", 10);
	struct span rest = m.v[1].value;
	assert_span(span_word(&rest, " ,"), "one");
	assert_span(span_word(&rest, " ,"), "two");
	assert_span(span_word(&rest, " ,"), "three");
	assert_int_equal(rest.n, 0);
	assert_int_equal(t.warnings, 0);
}

static void
test_aliases(void **state)
{
	(void)state;
	read_as("", "root: joe@example.org,\n\tann\n\"odd : name\": \"|/bin/x y\"\nnone:\n", POSTMAP_ALIASES);
	assert_int_equal(m.n, 3);
	assert_row(1, "odd : name", "\"|/bin/x y\"", 3);
	assert_row(2, "none", "", 4);
	assert_span(m.v[0].key, "root");
}

static void
test_lists(void **state)
{
	char maps[100];
	(void)state;
	read_as("", "# nets\n192.0.2.1, 192.0.2.2\n  [2001:db8::]/32\n", POSTMAP_LIST);
	assert_int_equal(m.n, 3);
	assert_row(2, "[2001:db8::]/32", "", 2);
	postmap_free(&m);
	snprintf(maps, sizeof(maps), "example.org, hash:%s\n[::1]/128 !x", path);
	postmap_read(&m, &t, span_of(maps), POSTMAP_LIST);
	assert_int_equal(m.n, 4);
	assert_row(0, "example.org", "", 0);
	assert_row(1, "192.0.2.1,", "192.0.2.2   [2001:db8::]/32", 2);
	assert_row(2, "[::1]/128", "", 0);
	assert_row(3, "!x", "", 0);
}

static void
test_patterns(void **state)
{
	(void)state;
	read_as("proxy:pcre:", "/^a\\/b c$/i x y\n!/no/ z\n/.+/ all\n#/x/ y\n/open", POSTMAP_PAIRS);
	assert_int_equal(m.n, 4);
	assert_row(0, "/^a\\/b c$/i", "x y", 1);
	assert_row(1, "!/no/", "z", 2);
	assert_row(3, "/open", "", 5);
	assert_false(postmap_is_any(&m.v[0]) || postmap_is_any(&m.v[1]));
	assert_true(postmap_is_any(&m.v[2]));
	assert_null(postmap_find(&m, span_of("/no/")));
}

static void
test_inline(void **state)
{
	(void)state;
	postmap_read(&m, &t,
		span_of("inline:{ a=b, { key = has = two words } c=d:e }, static:{all of it}"),
		POSTMAP_PAIRS);
	assert_int_equal(m.n, 4);
	assert_row(0, "a", "b", 0);
	assert_row(1, "key", "has = two words", 0);
	assert_row(2, "c", "d:e", 0);
	assert_row(3, "*", "all of it", 0);
	assert_ptr_equal(postmap_find(&m, span_of("KEY")), &m.v[1]);
	assert_ptr_equal(postmap_find(&m, span_of("other")), &m.v[3]);
}

/* A wrong word may be a password with something in front of it. */
static void
test_warnings(void **state)
{
	(void)state;
	postmap_read(&m, &t, span_of("statc:us:secret tcp:127.0.0.1:1 hash:/nowhere/x"), POSTMAP_PAIRS);
	assert_int_equal(m.n, 0);
	assert_int_equal(t.warnings, 3);
	assert_null(memmem(t.common.p, t.common.n, "secret", 6));
	assert_non_null(memmem(t.common.p, t.common.n, "statc is no kind", 16));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pairs, begin, finish),
		cmocka_unit_test_setup_teardown(test_aliases, begin, finish),
		cmocka_unit_test_setup_teardown(test_lists, begin, finish),
		cmocka_unit_test_setup_teardown(test_patterns, begin, finish),
		cmocka_unit_test_setup_teardown(test_inline, begin, finish),
		cmocka_unit_test_setup_teardown(test_warnings, begin, finish),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
