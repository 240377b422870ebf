/* bounds: how many reports of a day go to one host that is not the domain's own (R86). */
#include "tests/unit/spooled.h"

#include "tlsreport/bounds.h"

/* "!": it is posted, and not mailed. */
static struct rua_place
place_of(const char *text)
{
	struct rua_place p = { .kind = text[0] == '!' ? RUA_POST : RUA_MAIL };
	snprintf(p.text, sizeof(p.text), "%s", text + (text[0] == '!'));
	return p;
}

static bool
may(const char *domain, const char *text)
{
	const struct rua_place p = place_of(text);
	return bounds_may(sp.root, domain, &p);
}

static void
note(const char *domain, const char *text, int times)
{
	const struct rua_place p = place_of(text);
	for (int i = 0; i < times; i++)
		bounds_note(sp.root, domain, &p);
}

static void
test_own(void **state)
{
	static const struct {
		const char *host, *domain;
		bool own;
	} rows[] = {
		{ "d.example", "d.example", true },
		{ "D.Example", "d.example", true },
		{ "x.d.example", "d.example", true },
		{ "xd.example", "d.example", false },
		{ "example", "d.example", false },
		{ "d.example.x.example", "d.example", false },
		{ "", "d.example", false },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(bounds_is_own(span_of(rows[i].host), span_of(rows[i].domain)),
			rows[i].own);
}

/* Whatever the domain, the mailbox, the path and the way, it is the host that counts. */
static void
test_most(void **state)
{
	(void)state;
	char domain[32];
	assert_true(may("d.example", "a@v.example"));
	for (int i = 0; i < BOUNDS_MOST; i++) {
		snprintf(domain, sizeof(domain), "n%d.d.example", i);
		assert_true(may(domain, "a@v.example"));
		note(domain, i % 2 == 0 ? "b@V.example" : "!https://v.example:8443/x@y", 1);
	}
	assert_false(may("d.example", "a@v.example"));
	assert_false(may("d.example", "\"x@y\"@V.Example"));
	assert_false(may("d.example", "!https://v.example"));
	assert_false(may("d.example", "!https://v.example/a@b"));
	assert_false(may("d.example", "!https://V.example?x"));
	assert_true(may("d.example", "a@w.example") && may("d.example", "a@xv.example"));
	assert_true(may("d.example", "a@example") && may("d.example", "a@x.v.example"));
	/* its own is not for others to use up */
	assert_true(may("v.example", "a@v.example") && may("v.example", "!https://v.example/"));
	note("v.example", "a@x.v.example", BOUNDS_MOST);
	assert_true(may("d.example", "a@x.v.example"));
}

/* What is odd, half a line for one, counts as nothing; what cannot be read is no reason to wait. */
static void
test_odd(void **state)
{
	(void)state;
	note("d.example", "a@v.example", BOUNDS_MOST - 1);
	int fd = openat(sp.root, BOUNDS_FILE, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "\n\0\nv.exampl\n", 12), 12);
	close(fd);
	assert_true(may("d.example", "a@v.example"));
	note("d.example", "a@v.example", 1);
	assert_false(may("d.example", "a@v.example"));
	assert_int_equal(unlinkat(sp.root, BOUNDS_FILE, 0), 0);
	assert_int_equal(symlinkat("/dev/zero", sp.root, BOUNDS_FILE), 0);
	assert_true(may("d.example", "a@v.example"));
	note("d.example", "a@v.example", 1);
	assert_int_equal(unlinkat(sp.root, BOUNDS_FILE, 0), 0);
	fd = openat(sp.root, BOUNDS_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 100 * 1024 * 1024), 0);
	close(fd);
	assert_false(may("d.example", "a@v.example"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_own),
		TEST(test_most),
		TEST(test_odd),
	};
	return cmocka_run_group_tests_name("bounds", tests, NULL, NULL);
}
