/* users: who is found in a file, with which secret, and whom it may write as. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "secrets/users.h"

static const char file[] = "# joe:commented out\n"
			   "\n"
			   ":nameless\n"
			   "joe:$6$a {SCRAM-SHA-1}1,b,c,d {SCRAM-SHA-256}2,e,f,g:joe@a.example @b.example\r\n"
			   "bare\n"
			   "empty:\n"
			   "colons:x:y:z\n"
			   "joe:second\n"
			   "no end:$y$h";

static const struct {
	const char *name;
	bool found;
	const char *secrets, *senders;
	unsigned line;
} names[] = {
	{ "joe", true, "$6$a {SCRAM-SHA-1}1,b,c,d {SCRAM-SHA-256}2,e,f,g",
		"joe@a.example @b.example", 4 },
	{ "bare", true, "", "", 5 },
	{ "empty", true, "", "", 6 },
	{ "colons", true, "x", "y:z", 7 },
	{ "no end", true, "$y$h", "", 9 },
	{ "", false, "", "", 0 },
	{ "jo", false, "", "", 0 },
	{ "joe:", false, "", "", 0 },
	{ "Joe", false, "", "", 0 },
	{ "# joe", false, "", "", 0 },
	{ "second", false, "", "", 0 },
	{ "joe\n", false, "", "", 0 },
};

static void
assert_span(struct span got, const char *want)
{
	assert_int_equal(got.n, strlen(want));
	assert_memory_equal(got.n > 0 ? got.p : "", want, got.n);
}

static void
test_find(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(names); i++) {
		struct user u = { 0 };
		struct span text = guarded((struct span){ file, sizeof(file) - 1 });
		assert_int_equal(users_find(text, span_of(names[i].name), true, &u), names[i].found);
		assert_span(u.name, names[i].found ? names[i].name : "");
		assert_span(u.secrets, names[i].secrets);
		assert_span(u.senders, names[i].senders);
		assert_int_equal(u.line, names[i].line);
	}
}

/* L46: people write their address with capitals; the file may want it otherwise. */
static void
test_case(void **state)
{
	(void)state;
	static const char text[] = "joe@example.org:a\nJim:b\njim:c\nJ\xc3\xbcrgen:d\n";
	static const struct {
		const char *name;
		unsigned any, exact; /* line; 0: not found */
	} rows[] = {
		{ "Joe@Example.ORG", 1, 0 },
		{ "joe@example.org", 1, 1 },
		{ "Jim", 2, 2 },
		{ "jim", 3, 3 }, /* not the first that is alike */
		{ "JIM", 2, 0 },
		{ "j\xc3\xbcrgen", 4, 0 },
		{ "J\xc3\x9crgen", 0, 0 }, /* ASCII alone */
		{ "Joe@Example", 0, 0 },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		for (int exact = 0; exact < 2; exact++) {
			struct user u = { 0 };
			unsigned want = exact ? rows[i].exact : rows[i].any;
			bool found = users_find(guarded(span_of(text)), span_of(rows[i].name),
				exact, &u);
			if (found != (want != 0) || u.line != want)
				fail_msg("%s, %d: line %u", rows[i].name, exact, u.line);
		}
}

/* L44: lines of other programs' files, of which nobody hears. */
static void
test_odd(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned line;
	} rows[] = { { "", 0 }, { "joe:", 0 }, { "joe::@a", 0 }, { "joe:$6$salt$hash", 0 },
		{ "joe:{SCRAM-SHA-1}1,a,b,c", 0 }, { "joe: x {SCRAM-SHA-256}1,a,b,c", 0 },
		{ "joe:*", 0 }, { "joe:!$6$locked", 0 }, { "#joe:secret", 0 }, { "joe:secret", 1 },
		{ "jim:$6$a$b\njoe:{SHA512-CRYPT}$6$a$b:", 2 }, { "joe:aaKN6DdkgWXyo", 1 },
		{ "joe:{SCRAM-SHA-2", 1 }, { "joe:secret:@a\njim:other", 1 } };
	for (size_t i = 0; i < ROWS(rows); i++)
		if (users_odd(guarded(span_of(rows[i].text))) != rows[i].line)
			fail_msg("%s", rows[i].text);
}

/* Whom another program may mean by a name that is not there. */
static void
test_namesake(void **state)
{
	(void)state;
	static const char text[] = "joe@a.example:x\nJoe@b.example::@b.example\njoe@c.example::@c\n"
				   "max::@max \neve:: \n";
	static const struct {
		const char *name;
		unsigned line; /* 0: none */
	} rows[] = { { "joe", 2 }, { "JOE@", 2 }, { "joe@d.example@x", 2 }, { "max@", 4 },
		{ "max@max", 4 }, { "eve@x", 0 }, { "jo", 0 }, { "joey", 0 }, { "", 0 }, { "@", 0 } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct user u = { 0 };
		bool found = users_namesake(guarded(span_of(text)), span_of(rows[i].name), &u);
		if (found != (rows[i].line != 0) || u.line != rows[i].line)
			fail_msg("%s: line %u", rows[i].name, u.line);
	}
}

/* L63: a file whose lines end with CR would be one comment. */
static void
test_stray_cr(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned line;
	} rows[] = { { "", 0 }, { "a:b\r\nc:d\r\n", 0 }, { "a:b\r\nc:d\r", 0 }, { "\r\n\r\n", 0 },
		{ "# users\ra:b\r", 1 }, { "a:b\nc:\rd\n", 2 }, { "a:b\r\r\n", 1 } };
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(users_stray_cr(guarded(span_of(rows[i].text))), rows[i].line);
}

static void
test_first_secrets(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "", "" },
		{ "# x:y\n:z\n\n", "" },
		{ "carol:\nbare\nalice::a@b.example\n", "" },
		{ "# x:y\n:z\ncarol:\njoe:$6$a {X}b:@c.example\nmax:d", "$6$a {X}b" },
		{ "joe:a\r\n", "a" },
		{ "joe:a", "a" },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_span(users_first_secrets(guarded(span_of(rows[i][0]))), rows[i][1]);
}

/* A file may end anywhere. */
static void
test_cut(void **state)
{
	(void)state;
	struct user u;
	for (size_t n = 0; n < sizeof(file); n++) {
		struct span text = guarded((struct span){ file, n });
		bool found = users_find(text, span_of("joe"), true, &u);
		assert_int_equal(found, strstr(file, "\njoe") + strlen("\njoe") <= file + n);
	}
}

static const struct {
	const char *secrets, *kind, *want; /* NULL: none */
} secrets[] = {
	{ "{SCRAM-SHA-256}1,a,b,c", "{SCRAM-SHA-256}", "1,a,b,c" },
	{ "{SCRAM-SHA-256}1,a,b,c", "{SCRAM-SHA-1}", NULL },
	{ "$6$x  {SCRAM-SHA-1}2,d,e,f", "{SCRAM-SHA-1}", "2,d,e,f" },
	{ "{SCRAM-SHA-1}2,d,e,f $y$z $6$x", "$", "$y$z" },
	{ "{SCRAM-SHA-256}", "{SCRAM-SHA-256}", "" },
	{ "{SCRAM-SHA-25", "{SCRAM-SHA-256}", NULL },
	{ "x$6$", "$", NULL },
	{ "", "$", NULL },
	{ "  ", "$", NULL },
};

static void
test_secret(void **state)
{
	(void)state;
	char out[USERS_SECRET];
	for (size_t i = 0; i < ROWS(secrets); i++) {
		struct user u = { .secrets = guarded(span_of(secrets[i].secrets)) };
		bool found = users_secret(&u, secrets[i].kind, out);
		assert_int_equal(found, secrets[i].want != NULL);
		if (found)
			assert_string_equal(out, secrets[i].want);
	}
}

/* One that does not fit is none. */
static void
test_long_secret(void **state)
{
	(void)state;
	char text[USERS_SECRET + 1], out[USERS_SECRET];
	memset(text, '$', sizeof(text));
	struct user u = { .secrets = { text, USERS_SECRET - 1 } };
	assert_true(users_secret(&u, "$", out));
	assert_int_equal(strlen(out), USERS_SECRET - 1);
	u.secrets.n = USERS_SECRET;
	assert_false(users_secret(&u, "$", out));
}

/* What stands in the file, up to as much as there may be. */
static void
test_read(void **state)
{
	char path[] = "/tmp/postern-users-XXXXXX", *got = NULL;
	int fd = mkstemp(path);
	size_t n = 7;
	(void)state;
	assert_int_equal(write(fd, "a:b\n", 4), 4);
	assert_int_equal(users_read(path, &got, &n), 0);
	assert_int_equal(n, 4);
	assert_string_equal(got, "a:b\n");
	free(got);
	got = NULL;
	assert_int_equal(ftruncate(fd, USERS_MAX), 0);
	assert_int_equal(users_read(path, &got, &n), 0);
	assert_int_equal(n, USERS_MAX);
	free(got);
	got = NULL;
	assert_int_equal(ftruncate(fd, USERS_MAX + 1), 0);
	assert_int_equal(users_read(path, &got, &n), -EFBIG);
	assert_null(got);
	close(fd);
	unlink(path);
	assert_int_equal(users_read(path, &got, &n), -ENOENT);
	assert_int_equal(users_read("/", &got, &n), -EISDIR);
	assert_null(got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_case),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_namesake),
		cmocka_unit_test(test_stray_cr),
		cmocka_unit_test(test_first_secrets),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_long_secret),
	};
	return cmocka_run_group_tests_name("users", tests, NULL, NULL);
}
