/* recipient_map: who gets whose mail, and which files are none. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/recipient_map.h"

#define A "\xc3\xa4"

static const char map[] =
	"# root: wrong@example.org\n"
	"\t root :a@example.org,b@example.org\r\n"
	"\n"
	"joe@mx.example: c@example.org\n"
	"joe: d@example.org\n"
	"@old.example: @new.example\n"
	"x@old.example: e@example.org @odd.example\n" /* not checked here */
	"@mx.example: f@example.org\n"
	A "@" A ".example: g@example.org\n"
	"root: too-late@example.org\n"
	"\"quo\\ted\": q@example.org\n"
	"last: h@example.org";

static const struct {
	const char *to, *want; /* NULL: as it was given */
} rows[] = {
	{ "root@mx.example", "a@example.org\nb@example.org\n" },
	{ "ROOT@Localhost", "a@example.org\nb@example.org\n" },
	{ "root@localhost.example", NULL },
	{ "root@other.example", NULL },
	{ "roo@mx.example", "f@example.org\n" },
	/* an address before a name, a name before a domain */
	{ "Joe@MX.example", "c@example.org\n" },
	{ "joe@localhost", "d@example.org\n" },
	{ "y@old.example", "y@new.example\n" },
	{ "\"y z\"@old.example", "\"y z\"@new.example\n" },
	{ "x@old.example", "e@example.org\nx@odd.example\n" },
	{ "y@sub.old.example", NULL },
	{ A "@" A ".example", "g@example.org\n" },
	{ "last@mx.example", "h@example.org\n" },
	{ "#@mx.example", "f@example.org\n" },
	{ "root@[192.0.2.1]", NULL },
	/* R16: quotes that are not needed make no other recipient; they stay where he does */
	{ "\"Root\"@localhost", "a@example.org\nb@example.org\n" },
	{ "\"j\\oe\"@MX.example", "c@example.org\n" },
	{ "\"x\"@old.example", "e@example.org\n\"x\"@odd.example\n" },
	{ "\"y\"@old.example", "\"y\"@new.example\n" },
	{ "quoted@localhost", "q@example.org\n" },
	{ "\"root \"@localhost", NULL },
	{ "\"@old.example\"@localhost", NULL },
	{ "\"joe@mx.example\"@localhost", NULL },
};

static bool
find_in(struct span text, const char *recipient, struct buf *out)
{
	struct address to;
	assert_int_equal(address_mailbox(span_of(recipient), &to), 0);
	return recipient_map_find(guarded(text), "mx.example", &to, out);
}

static void
test_find(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf out = buf_new(1024);
		bool found = find_in(span_of(map), rows[i].to, &out);
		if (found != (rows[i].want != NULL) ||
			!span_eq(buf_span(&out), span_of(found ? rows[i].want : "")))
			fail_msg("%s: %.*s", rows[i].to, (int)out.n, out.p);
		buf_free(&out);
	}
	struct buf out = buf_new(16);
	assert_false(find_in((struct span){ 0 }, "a@b", &out));
}

/* L63: editors of Windows put a mark before the first recipient, who would be another one. */
static void
test_mark(void **state)
{
	(void)state;
	struct buf out = buf_new(1024);
	assert_true(find_in(span_of("\xef\xbb\xbfroot: a@b.example\r\n"), "root@mx.example", &out));
	assert_true(span_eq(buf_span(&out), span_of("a@b.example\n")));
	buf_free(&out);
}

/* Loads a text from a file that exists for as long. */
static int
load(struct span text, struct buf *out, struct buf *why)
{
	char path[32];
	int fd = memfd_create("map", MFD_CLOEXEC);
	assert_int_equal(write(fd, text.p, text.n), text.n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int r = recipient_map_load(path, out, why);
	close(fd);
	return r;
}

static const struct {
	const char *text, *wrong; /* NULL: nothing is */
} files[] = {
	{ "", NULL },
	{ "\n \r\n# x\n  # y", NULL },
	{ "root: a@b.example", NULL },
	{ "a@b.example:a@b.example\tc@d.example , \n@b.example: @c.example\n", NULL },
	{ "root", ":1: no colon behind the recipient: \"root\"" },
	{ "\nroot = a@b.example\n", ":2: no colon behind the recipient" },
	{ ": a@b.example", ":1: not an address, @domain, or name" },
	{ "a b: a@b.example", ":1: not an address, @domain, or name" },
	{ "a@: a@b.example", ":1: not an address, @domain, or name" },
	{ "@: a@b.example", ":1: not an address, @domain, or name" },
	{ "@a b: a@b.example", ":1: not an address, @domain, or name" },
	{ "root:", ":1: no address behind the colon" },
	{ "root: , ", ":1: no address behind the colon" },
	{ "root: joe", ":1: not an address" },
	{ "root: \"|prog a@b.example\"", ":1: not an address" },
	{ "root: a@b.example # x", ":1: not an address" },
	{ "root: @b.example", ":1: @domain stands behind @domain only" },
	{ "@a.example: @[192.0.2.1]", ":1: not an address" },
	{ "root: " A "@b.example", ":1: an address beyond ASCII, or too long" },
	/* L63 */
	{ "\xef\xbb\xbf# a comment\r\nroot: a@b.example", NULL },
	{ "# a comment\rroot: a@b.example\r", ":1: a CR that ends no line" },
};

static void
test_load(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(files); i++) {
		struct buf out = buf_new(0), why = buf_new(1024);
		int r = load(span_of(files[i].text), &out, &why);
		buf_add(&why, (struct span){ "", 1 });
		if (r != (files[i].wrong != NULL ? -EINVAL : 0))
			fail_msg("\"%s\": %d, %s", files[i].text, r, why.p);
		if (r < 0 && strstr(why.p, files[i].wrong) == NULL)
			fail_msg("\"%s\": %s", files[i].text, why.p);
		assert_true(span_eq(buf_span(&out), span_of(r == 0 ? files[i].text : "")));
		buf_free(&out);
		buf_free(&why);
	}
}

/* As large as it may be, as many addresses as there may be, and one more. */
static void
test_bounds(void **state)
{
	static char text[RECIPIENT_MAP_FILE + 1];
	struct buf out = buf_new(0), why = buf_new(1024);
	(void)state;
	memset(text, '\n', sizeof(text));
	assert_int_equal(load((struct span){ text, sizeof(text) - 1 }, &out, &why), 0);
	assert_int_equal(out.n, RECIPIENT_MAP_FILE);
	assert_int_equal(load((struct span){ text, sizeof(text) }, &out, &why), -E2BIG);
	memcpy(text, "a:", 2);
	for (int i = 0; i < RECIPIENT_MAP_TARGETS + 1; i++)
		memcpy(text + 2 + 4 * i, " a@b", 4);
	size_t n = 2 + 4 * RECIPIENT_MAP_TARGETS;
	assert_int_equal(load((struct span){ text, n }, &out, &why), 0);
	assert_int_equal(load((struct span){ text, n + 4 }, &out, &why), -EINVAL);
	buf_free(&out);
	buf_reset(&why);
	assert_int_equal(recipient_map_load("/nonexistent/map", &out, &why), -ENOENT);
	assert_non_null(memmem(why.p, why.n, "recipient_map /nonexistent/map: No such file", 44));
	assert_null(out.p);
	buf_free(&why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests_name("recipient_map", tests, NULL, NULL);
}
