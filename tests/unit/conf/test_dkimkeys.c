/* dkimkeys: the table of keys, and which of them signs. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "conf/dkimkeys.h"
#include "lib/cleanup.h"

enum { RSA = 1, ED = 2 };

static const struct {
	const char *text;
	const char *wrong; /* NULL: it is right */
	size_t rows;
} tables[] = {
	{ "", NULL, 0 },
	{ "\n  \n# x\n", NULL, 0 },
	{ "a.example s /k", NULL, 1 },
	{ "a.example s /k\r\n* s.t credential:x # y\n", NULL, 2 },
	{ "\xef\xbb\xbf" "a.example\ts  /k  2027-01-31\n", NULL, 1 },
	{ "b\xc3\xbc.example s /k", NULL, 1 },
	{ "# L63\ra.example s /k\r", "a CR that ends no line", 0 },
	{ "a.example s", "not DOMAIN SELECTOR FILE [SINCE]", 0 },
	{ "a.example", "not DOMAIN SELECTOR FILE [SINCE]", 0 },
	{ "a.example s /k 2027-01-01 x", "not DOMAIN SELECTOR FILE [SINCE]", 0 },
	{ "a.example s k", "not an absolute path: \"k\"", 0 },
	{ "a.example -s /k", "not a selector: \"-s\"", 0 },
	{ "a.example s. /k", "not a selector: \"s.\"", 0 },
	{ "a.example s=t /k", "not a selector: \"s=t\"", 0 },
	{ "a;d=b s /k", "not a domain: \"a;d=b\"", 0 },
	{ "*.example s /k", "not a domain: \"*.example\"", 0 },
	{ "a.example s /k 2027-02-29", "not a day like 2027-01-31: \"2027-02-29\"", 0 },
	{ "a.example s /k 2027-13-01", "not a day like 2027-01-31: \"2027-13-01\"", 0 },
	{ "a.example s /k 2027-00-01", "not a day like 2027-01-31: \"2027-00-01\"", 0 },
	{ "a.example s /k 2027-1-01", "not a day like 2027-01-31: \"2027-1-01\"", 0 },
	{ "a.example s /k tomorrow", "not a day like 2027-01-31: \"tomorrow\"", 0 },
};

static void
test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(tables); i++) {
		struct dkimkeys k;
		char want[128];
		auto_buf why = buf_new(512);
		int r = dkimkeys_parse(&k, "/t", guarded(span_of(tables[i].text)), &why);
		snprintf(want, sizeof(want), "/t:1: %s", tables[i].wrong);
		if (tables[i].wrong == NULL && (r != 0 || k.n != tables[i].rows))
			fail_msg("row %zu: %d, %zu", i, r, k.n);
		if (tables[i].wrong != NULL &&
			(r != -EINVAL || !span_eq(buf_span(&why), span_of(want)) || k.v != NULL))
			fail_msg("row %zu: %d, %.*s", i, r, (int)why.n, why.p);
		dkimkeys_free(&k);
	}
}

static void
test_values(void **state)
{
	(void)state;
	struct dkimkeys k;
	auto_buf why = buf_new(512);
	assert_int_equal(dkimkeys_parse(&k, "/t", span_of("#\nB\xc3\xbc.Example s.x /k 1970-01-02\n"),
		&why), 0);
	assert_string_equal(k.v[0].domain, "xn--b-eha.example");
	assert_string_equal(k.v[0].selector, "s.x");
	assert_string_equal(k.v[0].file, "/k");
	assert_int_equal(k.v[0].since, 86400);
	assert_int_equal(k.v[0].line, 2);
	dkimkeys_free(&k);
}

/* As many as there may be, and one more. */
static void
test_most(void **state)
{
	(void)state;
	struct dkimkeys k;
	struct buf text = buf_new(1 << 20);
	auto_buf why = buf_new(512);
	for (int i = 0; i < SIGN_KEYS; i++)
		buf_printf(&text, "d%d.example s /k\n", i);
	assert_int_equal(dkimkeys_parse(&k, "/t", buf_span(&text), &why), 0);
	assert_int_equal(k.n, SIGN_KEYS);
	dkimkeys_free(&k);
	buf_puts(&text, "one.example s /k\n");
	assert_int_equal(dkimkeys_parse(&k, "/t", buf_span(&text), &why), -EINVAL);
	buf_free(&text);
}

static void
test_read(void **state)
{
	(void)state;
	struct dkimkeys k;
	auto_buf why = buf_new(512);
	char path[] = "/tmp/dkimkeys-XXXXXX";
	auto_fd fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(dkimkeys_read(&k, "/nonexistent", &why), -EINVAL);
	assert_true(span_starts(buf_span(&why), span_of("/nonexistent: No such file")));
	assert_int_equal(write(fd, "a.example s /k\n", 15), 15);
	assert_int_equal(dkimkeys_read(&k, path, &why), 0);
	assert_int_equal(k.n, 1);
	uint32_t sum = k.sum;
	dkimkeys_free(&k);
	assert_int_equal(write(fd, "#\n", 2), 2);
	assert_int_equal(dkimkeys_read(&k, path, &why), 0);
	assert_true(k.sum != sum);
	dkimkeys_free(&k);
	assert_int_equal(ftruncate(fd, DKIMKEYS_SIZE), 0);
	assert_int_equal(dkimkeys_read(&k, path, &why), -EINVAL);
	unlink(path);
}

/* The table, its algorithms row by row, a domain, the time in days: rows that sign, and a broken one. */
static const struct {
	const char *table;
	uint8_t algorithm[4];
	const char *domain;
	int day;
	const char *want; /* rows, "!" and the broken one */
} choices[] = {
	{ "a.example s /k", { RSA }, "a.example", 1, "0" },
	{ "a.example s /k", { RSA }, "A.EXAMPLE", 1, "0" },
	{ "a.example s /k", { RSA }, "x.y.a.example", 1, "0" },
	{ "a.example s /k", { RSA }, "xa.example", 1, "" },
	{ "a.example s /k", { RSA }, "example", 1, "" },
	{ "", { 0 }, "a.example", 1, "" },
	{ "a.example s /k\na.example t /l", { RSA, ED }, "a.example", 1, "01" },
	{ "a.example s /k\na.example t /l", { ED, RSA }, "a.example", 1, "10" },
	{ "* s /k\na.example t /l", { RSA, ED }, "a.example", 1, "1" },
	{ "* s /k\na.example t /l", { RSA, ED }, "b.example", 1, "0" },
	{ "a.example s /k\nx.a.example t /l", { RSA, RSA }, "y.x.a.example", 1, "1" },
	/* the day */
	{ "a.example s /k\na.example t /l 1970-01-11", { RSA, RSA }, "a.example", 9, "0" },
	{ "a.example s /k\na.example t /l 1970-01-11", { RSA, RSA }, "a.example", 10, "1" },
	{ "a.example t /l 1970-01-11\na.example s /k 1970-01-03", { RSA, RSA }, "a.example", 10, "0" },
	{ "a.example s /k 1970-01-11", { RSA }, "a.example", 9, "" },
	/* ... until which the domain above it signs, or "*" */
	{ "a.example s /k\nx.a.example t /l 1970-01-11", { RSA, RSA }, "x.a.example", 9, "0" },
	{ "a.example s /k\nx.a.example t /l 1970-01-11", { RSA, RSA }, "x.a.example", 10, "1" },
	{ "* s /k\na.example t /l 1970-01-11", { RSA, ED }, "a.example", 9, "0" },
	{ "* s /k\na.example t /l 1970-01-11", { RSA, ED }, "a.example", 10, "1" },
	{ "a.example s /k\nx.a.example t /l 1970-01-11", { RSA, 0 }, "x.a.example", 9, "0" },
	{ "a.example s /k\nx.a.example t /l 1970-01-11", { RSA, 0 }, "x.a.example", 10, "!1" },
	/* what cannot be used */
	{ "a.example s /k", { 0 }, "a.example", 1, "!0" },
	{ "a.example s /k\na.example t /l", { RSA, 0 }, "a.example", 1, "0!1" },
	{ "a.example s /k\na.example t /l 1970-01-11", { RSA, 0 }, "a.example", 9, "0" },
	{ "a.example s /k\na.example t /l 1970-01-11", { RSA, 0 }, "a.example", 10, "0!1" },
	{ "a.example s /k\na.example t /l 1970-01-11", { 0, RSA }, "a.example", 10, "1" },
	{ "a.example s /k\n* t /l", { 0, RSA }, "a.example", 1, "!0" },
	{ "a.example s /k\n* t /l", { 0, RSA }, "b.example", 1, "1" },
};

static void
test_choices(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(choices); i++) {
		struct dkimkeys k;
		char got[16] = "";
		size_t n = 0;
		auto_buf why = buf_new(512);
		assert_int_equal(dkimkeys_parse(&k, "/t", span_of(choices[i].table), &why), 0);
		struct dkimkeys_choice c = dkimkeys_choose(&k, choices[i].algorithm,
			choices[i].domain, INT64_C(86400) * choices[i].day);
		for (int j = 0; j < c.n; j++)
			got[n++] = (char)('0' + c.key[j]);
		if (c.broken != NULL) {
			got[n++] = '!';
			got[n++] = (char)('0' + (c.broken - k.v));
		}
		got[n] = '\0';
		if (strcmp(got, choices[i].want) != 0)
			fail_msg("row %zu: \"%s\"", i, got);
		dkimkeys_free(&k);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_choices),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
