/*
 * authority: what saslauthd and Dovecot say of a password, and what the file has of whom they mean
 * (R70).
 */
#include "tests/unit/helpers/claimed.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "helpers/authority.h"

#define GREETING "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t7\nCUID\t8\nCOOKIE\tab\nDONE\n"

static struct sockaddr_un at = { .sun_family = AF_UNIX };
static int listener;

static int
listen_there(void **state)
{
	snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/postern-authority-%ld", (long)getpid());
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (write_users(state) < 0 || bind(listener, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -1;
	return listen(listener, 1);
}

static int
leave(void **state)
{
	(void)state;
	close(listener);
	return unlink(at.sun_path);
}

/* Asks one that has answered before it was asked, and says no more. */
static bool
ask(bool dovecot, struct span answer, const char *name, const char *password)
{
	begin_claim("PLAIN");
	*(dovecot ? &c.conf.auth.dovecot : &c.conf.auth.saslauthd) = at.sun_path;
	authority_open(&c.conf);
	assert_true(authority_is_named());
	int fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	assert_int_equal(send(fd, answer.p, answer.n, 0), answer.n);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	claim_find_user(&c, name);
	bool yes = authority_ask(&c, name, password);
	close(fd);
	return yes;
}

#define SPAN(literal) { literal, sizeof(literal) - 1 }

static const struct {
	bool dovecot;
	struct span answer;
	const char *name;
	bool yes, trouble;
	const char *is, *senders; /* who it is then, and what that one may send */
} rows[] = {
	{ false, SPAN("\0\2OK"), "joe", true, false, "joe", SENDERS },
	{ false, SPAN("\0\2OK"), "eve", true, false, "eve", "" },
	{ false, SPAN("\0\2NO"), "joe", false, false, "joe", SENDERS },
	{ false, SPAN("\0\1"), "joe", false, true, "joe", SENDERS },
	/* it may have looked at no realm: whoever is written so may send no more than joe */
	{ false, SPAN("\0\2OK"), "joe@realm.example", true, false, "joe@realm.example", SENDERS },
	{ true, SPAN(GREETING "OK\t1\tuser=joe\n"), "joe", true, false, "joe", SENDERS },
	/* Dovecot says who that is */
	{ true, SPAN(GREETING "OK\t1\tuser=joe\n"), "joe.alias", true, false, "joe", SENDERS },
	{ true, SPAN(GREETING "OK\t1\tuser=eve\n"), "joe", true, false, "eve", "" },
	{ true, SPAN(GREETING "FAIL\t1\n"), "joe", false, false, "joe", SENDERS },
	{ true, SPAN(GREETING "FAIL\t1\ttemp\n"), "joe", false, true, "joe", SENDERS },
	{ true, SPAN(GREETING), "joe", false, true, "joe", SENDERS },
};

static void
test_ask(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		bool yes = ask(rows[i].dovecot, rows[i].answer, rows[i].name, "pencil");
		if (yes != rows[i].yes || c.trouble != rows[i].trouble)
			fail_msg("row %zu: %d, %d", i, yes, c.trouble);
		assert_string_equal(c.name, rows[i].is);
		assert_true(span_eq(c.user.senders, span_of(rows[i].senders)));
	}
}

/* What no name or password can be is not asked, and no trouble. */
static void
test_too_long(void **state)
{
	static const struct span yes = SPAN("\0\2OK");
	static char name[LIMIT_ADDRESS + 2], password[SECRET_PASSWORD + 1];
	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	memset(password, 'x', sizeof(password) - 1);
	assert_false(ask(false, yes, name, "pencil"));
	assert_false(c.trouble);
	assert_false(ask(false, yes, "joe", password));
	assert_false(c.trouble);
	name[LIMIT_ADDRESS] = '\0';
	password[SECRET_PASSWORD - 1] = '\0';
	assert_true(ask(false, yes, name, password));
}

/* One that cannot be connected to is trouble for whoever depends on it, and said at once. */
static void
test_not_there(void **state)
{
	static char nowhere[] = "/nonexistent/mux";
	(void)state;
	begin_claim("PLAIN");
	c.conf.auth.saslauthd = nowhere;
	authority_open(&c.conf);
	assert_true(authority_is_named());
	assert_false(authority_ask(&c, "joe", "pencil"));
	assert_true(c.trouble);
}

static void
test_none(void **state)
{
	(void)state;
	begin_claim("PLAIN");
	authority_open(&c.conf);
	assert_false(authority_is_named());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_not_there),
		cmocka_unit_test(test_none),
	};
	return cmocka_run_group_tests_name("authority", tests, listen_there, leave);
}
