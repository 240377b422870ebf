/* claim: what the file of users has of a name that a client gives (R70). */
#include "tests/unit/helpers/claimed.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/cleanup.h"

static void
test_find_user(void **state)
{
	static const struct {
		const char *name;
		enum conf_bool exact;
		bool known;
		const char *written;
	} rows[] = {
		{ "joe", CONF_NO, true, "joe" },
		{ "JOE", CONF_NO, true, "joe" }, /* as in the file from then on */
		{ "JOE", CONF_YES, false, "JOE" },
		{ "joe", CONF_YES, true, "joe" },
		{ "jo", CONF_NO, false, "jo" },
		{ "", CONF_NO, false, "" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		begin_claim("PLAIN");
		claim_find_user(&c, "joe"); /* of whom nothing is left */
		c.conf.auth.case_sensitive = rows[i].exact;
		claim_find_user(&c, rows[i].name);
		assert_int_equal(c.known, rows[i].known);
		assert_string_equal(c.name, rows[i].written);
		assert_true(span_eq(c.user.senders, span_of(rows[i].known ? SENDERS : "")));
	}
}

/* A name is cut where no name of a user can go on. */
static void
test_long_name(void **state)
{
	static char name[2 * LIMIT_ADDRESS];
	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	begin_claim("PLAIN");
	claim_find_user(&c, name);
	assert_false(c.known);
	assert_int_equal(strlen(c.name), LIMIT_ADDRESS);
}

static void
test_read_users(void **state)
{
	static char absent[] = "/nonexistent/users", none[] = "/dev/null";
	char file[] = "/tmp/postern-claim-XXXXXX";
	(void)state;
	begin_claim("PLAIN");
	c.conf.auth.users = absent;
	assert_false(claim_read_users(&c));
	assert_int_equal(errno, ENOENT);
	c = (struct claim){ 0 };
	assert_true(claim_read_users(&c)); /* there is none: another program knows them */
	assert_int_equal(claim_users(&c).n, 0);
	c.conf.auth.users = none;
	assert_true(claim_read_users(&c));
	assert_int_equal(claim_users(&c).n, 0);
	free(c.users);
	/* the mark that some editors put first is not of the first name */
	auto_fd fd = mkstemp(file);
	assert_int_equal(write(fd, "\xef\xbb\xbfjoe:x\n", 9), 9);
	c = (struct claim){ .conf.auth.users = file };
	assert_true(claim_read_users(&c));
	claim_find_user(&c, "joe");
	assert_true(c.known);
	free(c.users);
	unlink(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find_user),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_read_users),
	};
	return cmocka_run_group_tests_name("claim", tests, write_users, NULL);
}
