/* hostname: what is made of a system's name (L64). */
#include "tests/unit/unit.h"

#include "conf/hostname.h"
#include "mail/address.h"

#define L16 "abcdefghijklmnop"
#define L64 L16 L16 L16 L16

static const struct {
	const char *given, *want; /* NULL: an address has to do */
} rows[] = {
	{ "mail.example.org", "mail.example.org" },
	{ "web", "web" },
	{ "my_app_1", "my-app-1" },
	{ "my_app.example.org", "my-app.example.org" },
	{ "web-", "web" },
	{ "-web", "web" },
	{ "_web_", "web" },
	{ "a.-b-.c", "a.b.c" },
	{ "mail.example.org.", "mail.example.org" },
	{ "web..", "web" },
	{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
	{ "192.0.2.1", "[192.0.2.1]" },
	{ "2001:db8::1", "[IPv6:2001:db8::1]" },
	{ "4f66ad9a0b2e", "4f66ad9a0b2e" },
	{ "localhost.example.org", "localhost.example.org" },
	{ "123456789012.example.org", "123456789012.example.org" },
	{ "123456789012", NULL }, /* of a container, now and then: read as an address, which is none */
	{ "10.0.0", NULL },
	{ "web1.10", NULL },
	{ "0x7f", NULL },
	{ "localhost", NULL },
	{ "localhost.localdomain", NULL },
	{ "Localhost.localdomain6", NULL },
	{ "", NULL },
	{ ".", NULL },
	{ "---", NULL },
	{ "(none)", NULL },
	{ "a..b", NULL },
	{ ".web", "web" },
	{ "web server", NULL },
	{ "b\xc3\xbc" "cher", NULL },
	{ L64, NULL },
	{ "abcdefghijklmno" L16 L16 L16 ".example", "abcdefghijklmno" L16 L16 L16 ".example" },
	{ L16 "." L64, NULL },
};

static void
test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char out[HOSTNAME_SIZE] = "";
		bool made = hostname_of(guarded(span_of(rows[i].given)), out);
		assert_int_equal(made, rows[i].want != NULL);
		assert_string_equal(out, made ? rows[i].want : "");
		assert_true(!made || address_is_helo(span_of(out)));
	}
}

/* Whatever this host is called. */
static void
test_default(void **state)
{
	(void)state;
	struct buf doubt = buf_new(1000);
	char out[HOSTNAME_SIZE] = "", own[HOSTNAME_SIZE] = "";
	hostname_default(out, &doubt);
	assert_true(address_is_helo(span_of(out)));
	(void)gethostname(own, sizeof(own) - 1);
	bool fine = strcmp(out, own) == 0 && strchr(out, '.') != NULL;
	assert_int_equal(doubt.n == 0, fine);
	assert_true(doubt.n == 0 || memchr(doubt.p, '\n', doubt.n) == NULL);
	buf_free(&doubt);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_default),
	};
	return cmocka_run_group_tests_name("hostname", tests, NULL, NULL);
}
