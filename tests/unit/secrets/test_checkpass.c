/* checkpass: what saslauthd and Dovecot may answer, and what is made of it (R70). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "secrets/checkpass.h"
#include "lib/clock.h"

enum { SECONDS = 60 };

static int other_end;

/* A stream whose other end says all of this and no more. */
static void
open_pair(struct stream *s, struct span says)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(send(pair[1], says.p, says.n, 0), says.n);
	shutdown(pair[1], SHUT_WR);
	stream_init(s, pair[0], pair[0], true, NULL);
	other_end = pair[1];
}

/* It was asked exactly this. */
static void
assert_asked(struct stream *s, struct span want)
{
	char got[1024];
	close(s->in);
	ssize_t n = recv(other_end, got, sizeof(got), MSG_WAITALL);
	close(other_end);
	assert_int_equal(n, want.n);
	assert_memory_equal(got, want.p, want.n);
}

#define SPAN(literal) ((struct span){ literal, sizeof(literal) - 1 })

static void
test_saslauthd(void **state)
{
	(void)state;
	const struct {
		struct span says;
		int want;
	} rows[] = {
		{ SPAN("\0\2OK"), 1 },
		{ SPAN("\0\7OK sure"), 1 },
		{ SPAN("\0\2NO"), 0 },
		{ SPAN("\0\5NO OK"), 0 },
		{ SPAN("\0\2ok"), 0 },
		{ SPAN("\0\1O"), -EPROTO },
		{ SPAN(""), -EPROTO },
	};
	static struct stream s;
	for (size_t i = 0; i < ROWS(rows); i++) {
		open_pair(&s, rows[i].says);
		assert_int_equal(checkpass_saslauthd(&s, "max@a@b", "x y", clock_deadline(SECONDS)),
			rows[i].want);
		assert_asked(&s, SPAN("\0\3max\0\3x y\0\4smtp\0\3a@b"));
	}
	open_pair(&s, SPAN("\0\2OK"));
	assert_int_equal(checkpass_saslauthd(&s, "max", "", clock_deadline(SECONDS)), 1);
	assert_asked(&s, SPAN("\0\3max\0\0\0\4smtp\0\0"));
}

#define HELLO "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t7\nCUID\t8\nCOOKIE\tab\nDONE\n"
#define NAME_256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
	const char *says;
	int want;
	const char *user;
} answers[] = {
	{ HELLO "OK\t1\tuser=max\n", 1, "max" },
	{ HELLO "OK\t1\toriginal_user=MAX\tuser=max\tnologin\r\n", 1, "max" },
	{ HELLO "OK\t1\tuser=j\303\274rgen smith@a.example\n", 1, "j\303\274rgen smith@a.example" },
	{ "VERSION\t1\nDONE\nOK\t1\tuser=m\n", 1, "m" },
	{ "VERSION\t1\t9\tmore\nNEW\tthing\nDONE\nOK\t1\tuser=m\n", 1, "m" },
	{ HELLO "FAIL\t1\n", 0, "" },
	{ HELLO "FAIL\t1\tuser=max\tuser_disabled\n", 0, "" },
	{ HELLO "FAIL\t1\tuser=temp\treason=temp fail\n", 0, "" },
	{ HELLO "FAIL\t1\tuser=max\ttemp\n", -EAGAIN, "" },
	{ HELLO "FAIL\t1\tcode=temp_fail\tuser=max\n", -EAGAIN, "" },
	{ HELLO "FAIL\t1\ttemp", -EPROTO, "" }, /* no end */
	{ HELLO "OK\t1\tuser=max", -EPROTO, "" },
	{ HELLO "OK\t1\n", -EPROTO, "" },
	{ HELLO "OK\t1\tuser\n", -EPROTO, "" },
	{ HELLO "OK\t1\tuser=\n", -EPROTO, "" },
	{ HELLO "OK\t1\tuser=a\001tb\n", -EPROTO, "" },
	{ HELLO "OK\t1\tuser=a\x7f\n", -EPROTO, "" },
	{ HELLO "OK\t1\tuser=a\rb\n", -EPROTO, "" },
	{ HELLO "OK\t1\tuser=" NAME_256 NAME_256 "\n", -EPROTO, "" },
	{ HELLO "OK\t2\tuser=max\n", -EPROTO, "" },
	{ HELLO "OK\n", -EPROTO, "" },
	{ HELLO "OKAY\t1\tuser=max\n", -EPROTO, "" },
	{ HELLO "FAIL\t2\n", -EPROTO, "" },
	{ HELLO "CONT\t1\tAAAA\n", -EPROTO, "" },
	{ HELLO "\n", -EPROTO, "" },
	{ HELLO "MECH\tPLAIN\nOK\t1\tuser=max\n", -EPROTO, "" },
	{ HELLO, -EPROTO, "" },
	{ "", -EPROTO, "" },
	{ "OK\t1\tuser=max\n", -EPROTO, "" },
	{ "MECH\tPLAIN\nVERSION\t1\t2\nDONE\nOK\t1\tuser=max\n", -EPROTO, "" },
	{ "VERSION\t2\t0\nDONE\nOK\t1\tuser=max\n", -EPROTO, "" },
	{ "VERSION\t11\t0\nDONE\nOK\t1\tuser=max\n", -EPROTO, "" },
	{ "VERSION\nDONE\nOK\t1\tuser=max\n", -EPROTO, "" },
};

static void
test_dovecot(void **state)
{
	(void)state;
	static struct stream s;
	for (size_t i = 0; i < ROWS(answers); i++) {
		char user[LIMIT_ADDRESS + 1] = "";
		open_pair(&s, span_of(answers[i].says));
		assert_int_equal(checkpass_dovecot(&s, "AAAA", true, clock_deadline(SECONDS), user),
			answers[i].want);
		assert_string_equal(user, answers[i].user);
		close(s.in);
		close(other_end);
	}
}

/* What it is told, and that is nothing of the client before it has shown that it is Dovecot. */
static void
test_dovecot_asked(void **state)
{
	(void)state;
	static struct stream s;
	char user[LIMIT_ADDRESS + 1], want[256];
	for (int secure = 0; secure < 2; secure++) {
		open_pair(&s, SPAN(HELLO "FAIL\t1\n"));
		assert_int_equal(checkpass_dovecot(&s, "AAAA", secure, clock_deadline(SECONDS), user), 0);
		snprintf(want, sizeof(want), "VERSION\t1\t2\nCPID\t%ld\n"
			"AUTH\t1\tPLAIN\tservice=smtp\tnologin\tno-penalty\t%sresp=AAAA\n", (long)getpid(),
			secure ? "secured\t" : "");
		assert_asked(&s, span_of(want));
	}
	open_pair(&s, SPAN("VERSION\t2\t0\n"));
	assert_int_equal(checkpass_dovecot(&s, "AAAA", true, clock_deadline(SECONDS), user), -EPROTO);
	snprintf(want, sizeof(want), "VERSION\t1\t2\nCPID\t%ld\n", (long)getpid());
	assert_asked(&s, span_of(want));
}

static void
test_open(void **state)
{
	(void)state;
	static struct stream s;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(checkpass_open(&s, path, SECONDS), -ENAMETOOLONG);
	assert_int_equal(checkpass_open(&s, "/nonexistent/socket", SECONDS), -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_saslauthd),
		cmocka_unit_test(test_dovecot),
		cmocka_unit_test(test_dovecot_asked),
		cmocka_unit_test(test_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
