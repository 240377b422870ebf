/* mailboxes: where the addresses of a field stand; what is not understood is not understood at all. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>

#include "mail/mailboxes.h"

#define A "\xc3\xa4"

/* `want`: addresses with "|" between them, "-" for an element that has none; NULL: not understood. */
static const struct {
	const char *in, *want;
	bool group;
} rows[] = {
	{ "", "", false },
	{ " \r\n", "", false },
	{ " a@b.example\r\n", "a@b.example", false },
	{ "a@b.example", "a@b.example", false },
	{ " <a@b.example>\r\n", "a@b.example", false },
	{ " Joe <a@b.example>\r\n", "a@b.example", false },
	{ " \"Doe, Joe <x@y>\" <a@b.example>\r\n", "a@b.example", false },
	{ " \"a \\\" , b\" <a@b.example>\r\n", "a@b.example", false },
	{ " =?utf-8?q?J=C3=B6?= =?utf-8?q?,?= <a@b.example>\r\n", "-|a@b.example", false },
	{ " J" A " \xff <a@b.example>\r\n", "a@b.example", false },
	{ " " A "@" A ".example\r\n", A "@" A ".example", false },
	{ " a@b.example, Joe <c@d.example>\r\n", "a@b.example|c@d.example", false },
	{ " a@b.example,\r\n\tJoe\r\n <c@d.example>\r\n", "a@b.example|c@d.example", false },
	{ " ,a@b.example,,\r\n", "a@b.example", false },
	/* comments */
	{ " root (Cron Daemon)\r\n", "root", false },
	{ " a@b.example (x, (y) \\) <z@z>)\r\n", "a@b.example", false },
	{ " (x)a@b.example\r\n", "a@b.example", false },
	{ " Joe (x) <a@b.example> (y)\r\n", "a@b.example", false },
	{ " (only)\r\n", "", false },
	/* words without an address */
	{ " Joe Doe\r\n", "-", false },
	{ " a (x) @b.example\r\n", "-", false },
	{ " a @ b.example\r\n", "-", false },
	{ " Joe Doe, a@b.example\r\n", "-|a@b.example", false },
	/* quoted local parts and literals */
	{ " \"a b\"@b.example\r\n", "\"a b\"@b.example", false },
	{ " <\"a>b\"@b.example>\r\n", "\"a>b\"@b.example", false },
	{ " a@[IPv6:2001:db8::1]\r\n", "a@[IPv6:2001:db8::1]", false },
	{ " Joe <a@[192.0.2.1]>\r\n", "a@[192.0.2.1]", false },
	{ " <>\r\n", "", false },
	{ " < a@b.example\r\n >\r\n", "a@b.example", false },
	{ " <@c.example:a@b.example>\r\n", "@c.example:a@b.example", false },
	/* groups */
	{ " All: a@b.example, <c@d.example>;\r\n", "a@b.example|c@d.example", true },
	{ " undisclosed-recipients:;\r\n", "", true },
	{ " x: a@b.example; y: c@d.example;\r\n", "a@b.example|c@d.example", true },
	/* not understood */
	{ " \"Joe <a@b.example>\r\n", NULL, false },
	{ " Joe \"\\", NULL, false },
	{ " (Joe <a@b.example>\r\n", NULL, false },
	{ " Joe) <a@b.example>\r\n", NULL, false },
	{ " Joe <a@b.example\r\n", NULL, false },
	{ " Joe a@b.example>\r\n", NULL, false },
	{ " <a@b.example> Joe\r\n", NULL, false },
	{ " <a@b.example> <c@d.example>\r\n", NULL, false },
	{ " <a<b@b.example>\r\n", NULL, false },
	{ " <\"a@b.example>\r\n", NULL, false },
	{ " a@[192.0.2.1\r\n", NULL, false },
	{ " a@b.example]\r\n", NULL, false },
	{ " a\\@b.example\r\n", NULL, false },
	{ " :a@b.example;\r\n", NULL, false },
	{ " <a@b.example>: c@d.example;\r\n", NULL, false },
};

static void
put(char *out, size_t size, const struct mailboxes *m)
{
	int n = 0;
	out[0] = '\0';
	for (int i = 0; i < m->n; i++)
		n += snprintf(out + n, size - (size_t)n, "%s%.*s", i > 0 ? "|" : "",
			m->of[i].p != NULL ? (int)m->of[i].n : 1,
			m->of[i].p != NULL ? m->of[i].p : "-");
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mailboxes m;
		char found[512];
		int r = mailboxes_find(guarded(span_of(rows[i].in)), &m);
		if (r != (rows[i].want != NULL ? 0 : -EINVAL))
			fail_msg("\"%s\": %d", rows[i].in, r);
		if (r < 0)
			continue;
		put(found, sizeof(found), &m);
		if (strcmp(found, rows[i].want) != 0 || m.group != rows[i].group)
			fail_msg("\"%s\": %s, not %s", rows[i].in, found, rows[i].want);
	}
}

/* A field that ends anywhere is read no further (K1), and as many as fit are found. */
static void
test_bounds(void **state)
{
	static const char text[] = " \"D\\\" e\" (c (d)) <\"l\"@[192.0.2.1]>, g: x@y.example;\r\n";
	char many[4 * MAILBOXES_MAX + 8] = "";
	struct mailboxes m;
	(void)state;
	for (size_t n = 0; n < sizeof(text); n++)
		(void)mailboxes_find(guarded((struct span){ text, n }), &m);
	for (int i = 0; i < MAILBOXES_MAX; i++)
		memcpy(many + 4 * i, "a@b,", 5);
	assert_int_equal(mailboxes_find(guarded(span_of(many)), &m), 0);
	assert_int_equal(m.n, MAILBOXES_MAX);
	memcpy(many + strlen(many), "a@b", 4);
	assert_int_equal(mailboxes_find(guarded(span_of(many)), &m), -EINVAL);
	/* comments within comments */
	char nested[2 * MAILBOXES_NESTED + 4];
	memset(nested, '(', MAILBOXES_NESTED + 1);
	memset(nested + MAILBOXES_NESTED + 1, ')', MAILBOXES_NESTED + 1);
	size_t all = 2 * MAILBOXES_NESTED + 2;
	assert_int_equal(mailboxes_find(guarded((struct span){ nested, all }), &m), -EINVAL);
	assert_int_equal(mailboxes_find(guarded((struct span){ nested + 1, all - 2 }), &m), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests_name("mailboxes", tests, NULL, NULL);
}
