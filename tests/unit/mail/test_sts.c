/* sts: TXT records and policies of MTA-STS, by the letter of RFC 8461 (R81, R82, B10). */
#include "tests/unit/unit.h"

#include "mail/sts.h"

/* ---- records ------------------------------------------------------------------------------- */

/* `n` octets: texts with a NUL behind each; id NULL: there is none. */
static const struct {
	const char *texts;
	size_t n;
	const char *id;
} records[] = {
#define TEXTS(s) s, sizeof(s)
	{ TEXTS("v=STSv1; id=20160831085700Z;"), "20160831085700Z" },
	{ TEXTS("v=STSv1; id=20160831085700Z"), "20160831085700Z" },
	{ TEXTS("v=STSv1;id=1"), "1" },
	{ TEXTS("v=STSv1 \t; \tid=1 ; "), "1" },
	{ TEXTS("v=STSv1; id=12345678901234567890123456789012;"),
		"12345678901234567890123456789012" },
	{ TEXTS("v=STSv1; id=123456789012345678901234567890123;"), NULL }, /* 33 octets */
	{ TEXTS("v=STSv1; a.b-c_d=x:y/z; id=7"), "7" },
	{ TEXTS("v=STSv1; id=7; id=8"), "7" }, /* the first counts */
	{ TEXTS("v=STSv1; id=7; v=STSv9"), "7" },
	{ TEXTS("v=STSv1; id=!; id=8"), NULL }, /* ... right or wrong */
	{ TEXTS("v=STSv1; ID=7"), NULL },
	{ TEXTS("v=STSv1; id=7;;"), NULL },
	{ TEXTS("v=STSv1;; id=7"), NULL },
	{ TEXTS("v=STSv1; id="), NULL },
	{ TEXTS("v=STSv1; id"), NULL },
	{ TEXTS("v=STSv1; id=a-b"), NULL },
	{ TEXTS("v=STSv1; id=a b"), NULL },
	{ TEXTS("v=STSv1; id = 7"), NULL },
	{ TEXTS("v=STSv1; id=7; x=\x80"), NULL },
	{ TEXTS("v=STSv1; id=7; x=a=b"), NULL },
	{ TEXTS("v=STSv1; id=7; x="), NULL },
	{ TEXTS("v=STSv1; id=7; -x=1"), NULL },
	{ TEXTS("v=STSv1; id=7; a23456789012345678901234567890123=1"), NULL },
	{ TEXTS("v=STSv1; id=7; a2345678901234567890123456789012=1"), "7" },
	{ TEXTS("v=STSv1;"), NULL },
	{ TEXTS("v=STSv1"), NULL },
	{ TEXTS("v=STSv1 id=7"), NULL },
	{ TEXTS("v=STSv12; id=7"), NULL },
	{ TEXTS("v=STSV1; id=7"), NULL },
	{ TEXTS(" v=STSv1; id=7"), NULL },
	{ TEXTS("id=7; v=STSv1;"), NULL },
	{ TEXTS(""), NULL },
	/* several records */
	{ TEXTS("v=spf1 -all\0v=STSv1; id=7"), "7" },
	{ TEXTS("v=STSv1; id=7\0v=spf1 -all"), "7" },
	{ TEXTS("v=STSv1; id=7\0v=STSv1; id=8"), NULL },
	{ TEXTS("v=STSv1; id=7\0v=STSv1; id=7"), NULL },
	{ TEXTS("v=STSv1; id=7\0v=STSv1;"), NULL }, /* ... one of them wrong */
	{ TEXTS("v=STSv1; id=7\0v=STSv2; id=8"), "7" },
#undef TEXTS
};

static void
test_record(void **state)
{
	(void)state;
	char id[STS_ID + 1];
	for (size_t i = 0; i < ROWS(records); i++) {
		struct span texts = guarded((struct span){ records[i].texts, records[i].n });
		bool found = sts_record(texts, id);
		if (found != (records[i].id != NULL))
			fail_msg("\"%s\": %d", records[i].texts, found);
		if (found)
			assert_string_equal(id, records[i].id);
	}
	assert_false(sts_record((struct span){ NULL, 0 }, id));
}

/* ---- policies ------------------------------------------------------------------------------ */

#define HEAD "version: STSv1\nmode: enforce\nmax_age: 86400\n"
#define NO(why) why, STS_NONE, 0
#define GOOD HEAD "mx: mx.dest.example\n"

static const struct {
	const char *text;
	const char *wrong; /* NULL: it is right, and says this: */
	enum sts_mode mode;
	int64_t max_age;
} policies[] = {
	{ "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n"
	  "mx: backupmx.example.com\r\nmax_age: 604800\r\n", NULL, STS_ENFORCE, 604800 },
	{ GOOD, NULL, STS_ENFORCE, 86400 },
	{ "mx:a.example\nmax_age:0\nmode:testing\nversion:STSv1", NULL, STS_TESTING, 0 },
	{ "version: STSv1\nmode: none\nmax_age: 31557600\n", NULL, STS_NONE, 31557600 },
	{ "version: STSv1\nmode: none\nmax_age: 31557601\n",
		NO("its max_age is longer than a year") },
	{ "version: STSv1\nmode: none\nmax_age: 0000000001\n", NULL, STS_NONE, 1 },
	{ "version: STSv1\nmode: none\nmax_age: 00000000001\n", NO("its max_age is no number") },
	{ "version: STSv1\nmode: none\nmax_age: -1\n", NO("its max_age is no number") },
	{ "version: STSv1\nmode: none\nmax_age: 1d\n", NO("its max_age is no number") },
	{ "version: STSv1\nmode: none\nmax_age: 99999999999999999999\n",
		NO("its max_age is no number") },
	{ "\n \r\n" GOOD "\t\n", NULL, STS_ENFORCE, 86400 },
	{ "version:\t STSv1 \t\nmode:  none\t\nmax_age: 5 ", NULL, STS_NONE, 5 },
	{ GOOD "new-key.of_2030: v\xc3\xa4lue: with colons\n", NULL, STS_ENFORCE, 86400 },
	/* the first counts, whatever follows */
	{ GOOD "mode: none\nmax_age: x\nversion: STSv2\n", NULL, STS_ENFORCE, 86400 },
	{ "mode: none\n" GOOD, NULL, STS_NONE, 86400 },
	{ "max_age: x\n" GOOD, NO("its max_age is no number") },
	{ "version: STSv2\n" GOOD, NO("its version is unknown") },
	{ "mode: Enforce\n" GOOD, NO("its mode is unknown") },
	{ "mode: report\n" GOOD, NO("its mode is unknown") },
	/* what is missing */
	{ "", NO("version, mode or max_age is missing") },
	{ "mode: enforce\nmax_age: 1\nmx: a.example\n", NO("version, mode or max_age is missing") },
	{ "version: STSv1\nmax_age: 1\nmx: a.example\n",
		NO("version, mode or max_age is missing") },
	{ "version: STSv1\nmode: enforce\nmx: a.example\n",
		NO("version, mode or max_age is missing") },
	{ "Version: STSv1\nmode: none\nmax_age: 1\n", NO("version, mode or max_age is missing") },
	{ HEAD, NO("it names no mx") },
	{ "version: STSv1\nmode: testing\nmax_age: 1\n", NO("it names no mx") },
	/* patterns */
	{ HEAD "mx: *\n", NO("an mx is no name of a host") },
	{ HEAD "mx: *.\n", NO("an mx is no name of a host") },
	{ HEAD "mx: *example.org\n", NO("an mx is no name of a host") },
	{ HEAD "mx: *.*.example.org\n", NO("an mx is no name of a host") },
	{ HEAD "mx: mx*.example.org\n", NO("an mx is no name of a host") },
	{ HEAD "mx: a.*.example.org\n", NO("an mx is no name of a host") },
	{ HEAD "mx: .example.org\n", NO("an mx is no name of a host") },
	{ HEAD "mx: example.org.\n", NO("an mx is no name of a host") },
	{ HEAD "mx: a.example, b.example\n", NO("an mx is no name of a host") },
	{ HEAD "mx: [192.0.2.1]\n", NO("an mx is no name of a host") },
	{ HEAD "mx: m\xc3\xbcller.example\n", NO("an mx is no name of a host") },
	{ GOOD "mx: b c\n", NO("an mx is no name of a host") },
	/* lines */
	{ GOOD "<html>\n", NO("a line is no \"name: value\"") },
	{ GOOD "key\n", NO("a line is no \"name: value\"") },
	{ GOOD "key :value\n", NO("a line is no \"name: value\"") },
	{ GOOD "key:\n", NO("a line is no \"name: value\"") },
	{ GOOD ": value\n", NO("a line is no \"name: value\"") },
	{ GOOD " key: value\n", NO("a line is no \"name: value\"") },
	{ GOOD "key: a\x01" "b\n", NO("a line is no \"name: value\"") },
	{ GOOD "key: \xff\n", NO("a line is no \"name: value\"") },
	{ "\xef\xbb\xbf" GOOD, NO("a line is no \"name: value\"") },
	{ "version: STSv1\rmode: none\rmax_age: 1\r", NO("a line is no \"name: value\"") },
};

static void
test_policy(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(policies); i++) {
		struct sts_policy p;
		struct span text = guarded(span_of(policies[i].text));
		const char *wrong = sts_policy(text, &p);
		if ((wrong == NULL) != (policies[i].wrong == NULL) ||
			(wrong != NULL && strcmp(wrong, policies[i].wrong) != 0))
			fail_msg("\"%s\": %s", policies[i].text, wrong != NULL ? wrong : "good");
		if (wrong != NULL)
			continue;
		assert_int_equal(p.mode, policies[i].mode);
		assert_int_equal(p.max_age, policies[i].max_age);
	}
}

/* A policy of as many octets as one may have, and one more. */
static void
test_long(void **state)
{
	(void)state;
	static char text[STS_TEXT + 1];
	struct sts_policy p;
	size_t n = strlen(GOOD);
	memset(text, '\n', sizeof(text));
	memcpy(text, GOOD, n);
	assert_null(sts_policy((struct span){ text, STS_TEXT }, &p));
	assert_string_equal(sts_policy((struct span){ text, STS_TEXT + 1 }, &p),
		"it is too long");
}

static const struct {
	const char *mx, *host;
	bool match;
} hosts[] = {
	{ "mx.dest.example", "mx.dest.example", true },
	{ "MX.dest.example", "mx.Dest.example", true },
	{ "mx.dest.example", "a.mx.dest.example", false },
	{ "mx.dest.example", "x.dest.example", false },
	{ "mx.dest.example", "mx.dest.exampl", false },
	{ "*.example.com", "mail.example.com", true }, /* B10: one label, and a whole one */
	{ "*.example.com", "a.b.example.com", false },
	{ "*.example.com", "example.com", false },
	{ "*.example.com", ".example.com", false },
	{ "*.example.com", "mail.example.com.evil", false },
	{ "*.example.com", "mailexample.com", false },
	{ "*.EXAMPLE.com", "mail.example.COM", true },
	{ "*.com", "example.com", true },
	{ "*.example.com", "*.example.com", true },
	{ "*.example.com", "", false },
};

static void
test_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(hosts); i++) {
		char text[256];
		struct sts_policy p;
		snprintf(text, sizeof(text), HEAD "mx: other.example\nmx: %s", hosts[i].mx);
		struct span host = span_of(hosts[i].host);
		assert_null(sts_policy(guarded(span_of(text)), &p));
		if (sts_allows(&p, host) != hosts[i].match)
			fail_msg("%s: %s", hosts[i].mx, hosts[i].host);
	}
}

static void
test_next(void **state)
{
	(void)state;
	struct span rest = span_of("mx: a.example\nmode: none\nmx:*.b.example \n");
	assert_true(span_eq(sts_next_mx(&rest), span_of("a.example")));
	assert_true(span_eq(sts_next_mx(&rest), span_of("*.b.example")));
	assert_int_equal(sts_next_mx(&rest).n, 0);
}

static const struct {
	const char *type;
	bool plain;
} types[] = {
	{ "text/plain", true },
	{ "Text/Plain", true },
	{ "text/plain; charset=utf-8", true },
	{ " text/plain ;charset=klingon; a=b", true },
	{ "text/html", false },
	{ "text/plainer", false },
	{ "text/html; text/plain", false },
	{ "application/octet-stream", false },
	{ "", false },
};

static void
test_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(types); i++)
		if (sts_is_plain(guarded(span_of(types[i].type))) != types[i].plain)
			fail_msg("%s", types[i].type);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_record),
		cmocka_unit_test(test_policy), cmocka_unit_test(test_long),
		cmocka_unit_test(test_hosts), cmocka_unit_test(test_next),
		cmocka_unit_test(test_type) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
