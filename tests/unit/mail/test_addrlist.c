/* addrlist: lists of addresses as they stand in headers and on command lines. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>

#include "lib/buf.h"
#include "mail/addrlist.h"

/* What is wanted: addresses with blanks between them, "+" behind those that lack a domain, and "!"
 * where the list ends in what is none. */
static const struct {
	const char *list, *want;
} rows[] = {
	{ "", "" },
	{ " \t", "" },
	{ ", ,;", "" },
	{ "a@b.example", "a@b.example" },
	{ "a@b.example, c@d.example", "a@b.example c@d.example" },
	{ "a@b.example;c@d.example", "a@b.example c@d.example" },
	{ "root", "root+" },
	{ "root, joe", "root+ joe+" },
	{ "j.doe", "j.doe+" },
	{ "<root>", "root+" },
	{ "Joe Doe <joe>", "joe+" },
	{ "Joe <a@b.example>", "a@b.example" },
	{ "<a@b.example>", "a@b.example" },
	{ "\"Doe, Joe\" <a@b.example>, c@d.example", "a@b.example c@d.example" },
	{ "J. R. Doe <a@b.example>", "a@b.example" },
	{ "\"a\\\"b\" <a@b.example>", "a@b.example" },
	{ "=?utf-8?q?J=C3=B6rg?= <j@b.example>", "j@b.example" },
	{ "J\xc3\xb6rg <j@b.example>", "j@b.example" },
	{ "a@b.example (Joe, the first)", "a@b.example" },
	{ "(c (nested \\) ,) d) a@b.example (x)", "a@b.example" },
	{ "root (Cron Daemon)", "root+" },
	{ "a (x) @ (y) b (z) . example", "a@b.example" },
	{ "a . b @ c . example", "a.b@c.example" },
	{ "\"a b\"@c.example", "\"a b\"@c.example" },
	{ "a@b.example.", "a@b.example" }, /* absolute, as the DNS writes names */
	{ "Joe <a@b.example.>, c@d.example. (x)", "a@b.example c@d.example" },
	{ "\"a,b\"", "\"a,b\"+" },
	{ "\"a\".b@c.example", "\"a\".b@c.example" },
	{ "a@[192.0.2.1]", "a@[192.0.2.1]" },
	{ "a@[IPv6:2001:db8::1], b@c.example", "a@[IPv6:2001:db8::1] b@c.example" },
	{ "undisclosed-recipients:;", "" },
	{ "The team: a@b.example, root; c@d.example", "a@b.example root+ c@d.example" },
	{ "team: Joe <a@b.example>;", "a@b.example" },
	{ "team: a@b.example", "a@b.example" }, /* cut off */
	{ "<@x.example,@y.example:a@b.example>", "a@b.example" },
	{ "<>", "" },
	{ "a@b.example,\r\n\tc@d.example", "a@b.example c@d.example" },
	{ "Joe\r\n <a@b.example>\r\n", "a@b.example" },
	{ "\"Joe\r\n Doe\" <a@b.example>", "a@b.example" },
	{ "a@b.example\n", "a@b.example" },
	{ "j\xc3\xb6rg@b\xc3\xbc.example", "j\xc3\xb6rg@b\xc3\xbc.example" },
	/* a name that is an address, which nobody quoted */
	{ "a@b.example <a@b.example>", "a@b.example" },
	{ "x@y.example <a@b.example>, c@d.example <c>", "a@b.example c+" },
	{ "a@b.example (c)\r\n <a@b.example> (d)", "a@b.example" },
	{ "Joe a@b.example <joe>", "joe+" },
	{ "team: a@b.example <a@b.example>;", "a@b.example" },
	/* no addresses */
	{ "a@b.example <c@d.example> e@f.example", "!" },
	{ "a@b.example, <c@d.example", "a@b.example !" },
	{ "a@b.example <", "!" },
	{ "a@b.example: <c@d.example>;", "!" },
	{ "a@b.example ; x y <c@d.example", "a@b.example !" },
	{ "joe doe", "!" },
	{ "joe doe@b.example", "!" },
	{ "a@b.example c@d.example", "!" },
	{ "a@b@c", "!" },
	{ "@b.example", "!" },
	{ "a@", "!" },
	{ "a..b@c.example", "!" },
	{ ".a@c.example", "!" },
	{ "a.@c.example", "!" },
	{ "a@.example", "!" },
	{ "a@b..", "!" },
	{ "a@.", "!" },
	{ "a@b..c", "!" },
	{ "<a@b.example", "!" },
	{ "a@b.example>", "!" },
	{ "<a@b.example> c", "!" },
	{ "<a@b.example> <c@d.example>", "!" },
	{ "<a b@c.example>", "!" },
	{ "<a@b.example, c@d.example>", "!" },
	{ "\"a", "!" },
	{ "(a", "!" },
	{ "a@[192.0.2.1", "!" },
	{ "a@\"b\"", "!" },
	{ "a\\b@c.example", "!" },
	{ "a)", "!" },
	{ "a\x01@b.example", "!" },
	{ "x, joe doe, y", "x+ !" },
	{ "<@x.example a@b.example>", "!" },
	{ "a@b.example: c@d.example;", "!" },
};

static void
test_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span list = guarded(span_of(rows[i].list)), whole = list;
		struct buf got = buf_new(1000);
		struct listed a;
		int r;
		while ((r = addrlist_next(&list, &a)) > 0) {
			assert_true(a.n == strlen(a.text));
			assert_true(a.end >= whole.p && a.end <= whole.p + whole.n);
			if (a.n > 0)
				buf_printf(&got, "%s%s%s", got.n > 0 ? " " : "", a.text,
					a.bare ? "+" : "");
		}
		if (r < 0)
			buf_puts(&got, got.n > 0 ? " !" : "!");
		if (!span_eq(buf_span(&got), span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].list, (int)got.n, got.p);
		buf_free(&got);
	}
}

/* Where a domain belongs. */
static void
test_ends(void **state)
{
	(void)state;
	static const struct {
		const char *list, *completed;
	} ends[] = {
		{ "root (Cron)", "root@x (Cron)" },
		{ "Joe <joe> (a)", "Joe <joe@x> (a)" },
		{ "j . d , c", "j . d@x , c" },
		{ "< joe >", "< joe@x >" },
		{ "\"a b\"", "\"a b\"@x" },
		{ "g: a;", "g: a@x;" },
	};
	for (size_t i = 0; i < ROWS(ends); i++) {
		struct span list = guarded(span_of(ends[i].list)), whole = list;
		struct listed a;
		char got[100];
		assert_int_equal(addrlist_next(&list, &a), 1);
		assert_true(a.bare);
		snprintf(got, sizeof(got), "%.*s@x%.*s", (int)(a.end - whole.p), whole.p,
			(int)(whole.p + whole.n - a.end), a.end);
		assert_string_equal(got, ends[i].completed);
	}
}

/* An address is no longer than a path may be; a name before it may be. */
static void
test_long(void **state)
{
	(void)state;
	char text[2000];
	struct listed a;
	memset(text, 'a', sizeof(text));
	struct span list = { text, LIMIT_PATH - 1 };
	assert_int_equal(addrlist_next(&list, &a), 1);
	list = (struct span){ text, LIMIT_PATH };
	assert_int_equal(addrlist_next(&list, &a), -EINVAL);
	snprintf(text + 1000, 1000, " <a@b.example>");
	list = span_of(text);
	assert_int_equal(addrlist_next(&list, &a), 1);
	assert_string_equal(a.text, "a@b.example");
	memset(text, '(', sizeof(text)); /* comments have an end */
	list = (struct span){ text, sizeof(text) };
	assert_int_equal(addrlist_next(&list, &a), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_long),
	};
	return cmocka_run_group_tests_name("addrlist", tests, NULL, NULL);
}
