/* way: how mail of a lane is delivered, and which relay has the password for it (S1, K2). */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/way.h"
#include "lib/cleanup.h"

static char path[] = "/tmp/postern-way-XXXXXX";

static void
load(struct conf *c, const char *text)
{
	struct conf_origins from;
	auto_buf why = buf_new(1000);
	const char *options[] = { "hostname=h.example", "relay_path=/r" };
	struct conf_args args = { .file = path, .options = options, .n = ROWS(options) };
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	*c = (struct conf){ 0 };
	if (conf_load(c, &args, &from, &why) < 0)
		fail_msg("%.*s", (int)why.n, why.p);
}

static const char text[] =
	"timeout_connect = 7s\n"
	"[route plain]\ndomains = p.example\nhosts = p.example:25\ntimeout_connect = 3s\n"
	"[route first]\ndomains = f.example\nhosts = f.example:587\n"
	"delivery_user = us\ndelivery_password_file = /a\n"
	"[route other.host]\ndomains = o.example\nhosts = o.example:587\n"
	"delivery_user = us\ndelivery_password_file = /a\n"
	"[route other-password]\ndomains = q.example\nhosts = f.example:587\n"
	"delivery_user = us\ndelivery_password_file = /b\n"
	"[route other-user]\ndomains = u.example\nhosts = f.example:587\n"
	"delivery_user = them\ndelivery_password_file = /a\n"
	"[route token]\ndomains = t.example\nhosts = f.example:587\n"
	"delivery_user = us\ndelivery_token_command = /t\n"
	"[route other-token]\ndomains = v.example\nhosts = f.example:587\n"
	"delivery_user = us\ndelivery_token_command = /v\n"
	"[route same-token]\ndomains = w.example\nhosts = w.example:587\n"
	"delivery_user = us\ndelivery_token_command = /t\n";

static const struct {
	const char *lane, *login, *hosts;
	int64_t timeout;
} rows[] = {
	{ "d.example", "none", "", 7 },
	{ "[192.0.2.1]", "none", "", 7 },
	{ "first", "none", "", 7 },        /* a domain, and no route */
	{ "route:plain", "none", "p.example:25", 3 },
	{ "route:gone", "none", "", 7 },   /* its section was taken out of the file */
	{ "route:", "none", "", 7 },
	{ "route:firs", "none", "", 7 },
	{ "route:first", "route:first", "f.example:587", 7 },
	{ "route:other.host", "route:first", "o.example:587", 7 },
	{ "route:other-password", "route:other-password", "f.example:587", 7 },
	{ "route:other-user", "route:other-user", "f.example:587", 7 },
	{ "route:token", "route:token", "f.example:587", 7 },
	{ "route:other-token", "route:other-token", "f.example:587", 7 },
	{ "route:same-token", "route:token", "w.example:587", 7 },
};

static void
test_rows(void **state)
{
	(void)state;
	struct conf c;
	struct conf_delivery d;
	load(&c, text);
	for (size_t i = 0; i < ROWS(rows); i++) {
		char login[LOGIN_NAME_SIZE];
		way_login(&c, rows[i].lane, login);
		assert_string_equal(login, rows[i].login);
		way_of(&c, rows[i].lane, &d);
		assert_string_equal(d.hosts, rows[i].hosts);
		assert_int_equal(d.timeout_connect, rows[i].timeout);
		/* A login's name is a lane's of that login, or nobody's: relay begins with it. */
		char again[LOGIN_NAME_SIZE];
		way_login(&c, login, again);
		assert_string_equal(again, login);
	}
	conf_free(&c);
}

static void
test_route(void **state)
{
	(void)state;
	struct conf c;
	load(&c, text);
	assert_string_equal(way_route(&c, span_of("plain"))->name, "plain");
	assert_string_equal(way_route(&c, guarded(span_of("same-token")))->name, "same-token");
	assert_null(way_route(&c, span_of("gone")));
	assert_null(way_route(&c, span_of("")));
	assert_null(way_route(&c, (struct span){ NULL, 0 }));
	conf_free(&c);
}

/* A name of the greatest length that a route may have fits, and is found again. */
static void
test_longest(void **state)
{
	(void)state;
	char name[ROUTE_NAME + 1], long_text[512], login[LOGIN_NAME_SIZE], lane[LANE_NAME_SIZE];
	struct conf c;
	memset(name, 'a', ROUTE_NAME);
	name[ROUTE_NAME] = '\0';
	snprintf(long_text, sizeof(long_text), "[route %s]\ndomains = *\nhosts = f.example:587\n"
		"delivery_user = us\ndelivery_password_file = /a\n", name);
	load(&c, long_text);
	snprintf(lane, sizeof(lane), "route:%s", name);
	way_login(&c, lane, login);
	assert_string_equal(login, lane);
	conf_free(&c);
}

static int
start(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int
stop(void **state)
{
	(void)state;
	return unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_route),
		cmocka_unit_test(test_longest),
	};
	return cmocka_run_group_tests_name("way", tests, start, stop);
}
