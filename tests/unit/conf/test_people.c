/* people: names of users and the domain of their mail, from files as hosts have them. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "conf/people.h"

/* A file with this text; its path is valid until the next call but one. */
static const char *
file_of(const char *text)
{
	static char path[2][32];
	static int fd[2] = { -1, -1 }, at;
	at = 1 - at;
	if (fd[at] >= 0)
		close(fd[at]);
	fd[at] = memfd_create("people", MFD_CLOEXEC);
	assert_int_equal(write(fd[at], text, strlen(text)), strlen(text));
	snprintf(path[at], sizeof(path[at]), "/proc/self/fd/%d", fd[at]);
	return path[at];
}

static const char passwd[] =
	"root:x:0:0:root:/root:/bin/sh\n"
	"\n"
	"# a comment\n"
	":x:7:7::/:\n"
	"bad:x:x:1::/:\n"
	"short:x\n"
	"www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
	"again:x:33:33::/:\n"
	"negative:x:-5:5::/:\n"
	"huge:x:4294967329:33::/:\n"
	"last:x:1000:1000::/:";

static void
test_names(void **state)
{
	(void)state;
	static const struct {
		uint32_t uid;
		const char *name;
	} rows[] = { { 0, "root" }, { 33, "www-data" }, { 1000, "last" }, { 7, "" }, { 1, "" },
		{ 5, "" }, { UINT32_MAX, "" } };
	struct people p;
	people_read(&p, file_of(passwd), "/nonexistent");
	for (size_t i = 0; i < ROWS(rows); i++)
		if (!span_eq(people_name(&p, rows[i].uid), span_of(rows[i].name)))
			fail_msg("%u", rows[i].uid);
	assert_string_equal(p.mailname, "");
	people_free(&p);
	people_read(&p, "/nonexistent", file_of("site.example\n"));
	assert_int_equal(people_name(&p, 0).n, 0);
	assert_string_equal(p.mailname, "site.example");
	people_free(&p);
}

static void
test_mailname(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want; /* NULL: there is none */
	} rows[] = { { "site.example\n", "site.example" }, { "site.example", "site.example" },
		{ " site.example \r\nmore\n", "site.example" }, { "", NULL }, { "\n", NULL },
		{ "\xef\xbb\xbfsite.example\r\n", "site.example" }, /* L63 */
		{ "localhost\n", NULL }, { "localhost.localdomain\n", NULL },
		{ "192.0.2.1\n", NULL }, { "my_host.example\n", "my_host.example" },
		{ "a b\n", NULL }, { "a>@b\n", NULL }, { "a..b\n", NULL } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		char out[HOSTNAME_SIZE] = "as before";
		assert_int_equal(people_mailname(file_of(rows[i].text), out), rows[i].want != NULL);
		assert_string_equal(out, rows[i].want != NULL ? rows[i].want : "as before");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_mailname),
	};
	return cmocka_run_group_tests_name("people", tests, NULL, NULL);
}
