/* rua: whom a domain names for its reports, whatever stands in its TXT records (R86). */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "lib/buf.h"
#include "tlsreport/rua.h"

#define V "v=TLSRPTv1;"

static const struct {
	const char *texts; /* records, "|" between them */
	const char *want;  /* places, each with a blank behind it; "": none */
} rows[] = {
	{ V "rua=mailto:a@b.example", "a@b.example " },
	{ V " rua=mailto:a@b.example", "a@b.example " },
	{ V "rua=mailto:a@b.example;", "a@b.example " },
	{ V "\t rua=mailto:a@b.example ; ", "a@b.example " },
	{ "v=TLSRPTv1 ; rua=mailto:a@b.example", "a@b.example " },
	{ V "rua=https://b.example/x?y", "https://b.example/x?y " },
	{ V "rua=https://b.example/x,https://b.example/X,https://b.example/x",
		"https://b.example/x https://b.example/X " },
	{ V "rua=mailto:a@b.example,https://b.example/x", "a@b.example https://b.example/x " },
	{ V "rua=mailto:a@b.example , mailto:c@d.example", "a@b.example c@d.example " },
	{ V "rua=MailTo:a@b.example,HTTPS://b.example", "a@b.example HTTPS://b.example " },
	{ V "rua=mailto:a@b.example?subject=x", "a@b.example " },
	{ V "rua=mailto:a%2bx@b.example", "a+x@b.example " },
	{ V "rua=mailto:a%2Cx@b.example", "" }, /* no local part but a quoted one has a comma */
	{ V "ext=1;rua=mailto:a@b.example;x-y=z", "a@b.example " },
	/* others are passed by */
	{ V "rua=ftp://x,mailto:a@b.example,tel:1", "a@b.example " },
	{ V "rua=mailto:a@b.example,mailto:A@B.example", "a@b.example " },
	{ "v=spf1 -all|" V "rua=mailto:a@b.example|x", "a@b.example " },
	{ V "rua=mailto:1@x.y,mailto:2@x.y,mailto:3@x.y,mailto:4@x.y,mailto:5@x.y",
		"1@x.y 2@x.y 3@x.y 4@x.y " },
	/* not one record, or no record */
	{ V "rua=mailto:a@b.example|" V "rua=mailto:a@b.example", "" },
	{ V "rua=mailto:a@b.example|" V, "" },
	{ "", "" },
	{ "v=TLSRPTv1", "" },
	{ "v=TLSRPTv1 ", "" },
	{ V, "" },
	{ "v=TLSRPTv2;rua=mailto:a@b.example", "" },
	{ "v=TLSRPTv10;rua=mailto:a@b.example", "" },
	{ "v=tlsrptv1;rua=mailto:a@b.example", "" },
	{ " " V "rua=mailto:a@b.example", "" },
	{ "V=TLSRPTv1;rua=mailto:a@b.example", "" },
	{ "rua=mailto:a@b.example;" V, "" },
	/* no rua, or two of them */
	{ V "RUA=mailto:a@b.example", "" },
	{ V "ruf=mailto:a@b.example", "" },
	{ V "rua=", "" },
	{ V "rua=,,", "" },
	{ V "rua=mailto:a@b.example;rua=mailto:c@d.example", "" },
	/* addresses that are none */
	{ V "rua=a@b.example", "" },
	{ V "rua=mailto:", "" },
	{ V "rua=mailto:?to=a@b.example", "" },
	{ V "rua=mailto:a", "" },
	{ V "rua=mailto:a@", "" },
	{ V "rua=mailto:a@b.example%0d%0aBcc:x@y", "" },
	{ V "rua=mailto:a%00@b.example", "" },
	{ V "rua=mailto:a@b.example%", "" },
	{ V "rua=mailto:a@b.example%4", "" },
	{ V "rua=mailto:a%zz@b.example", "" },
	{ V "rua=mailto:%c3%a9@b.example", "" },
	{ V "rua=mailto:\xc3\xa9@b.example", "" },
	{ V "rua=mailto:<a@b.example>", "" },
	{ V "rua=mailto:a@b.example c@d.example", "" },
	/* URLs that are none */
	{ V "rua=http://b.example/x", "" },
	{ V "rua=https://", "" },
	{ V "rua=https:///x", "" },
	{ V "rua=https://u:p@b.example/x", "" },
	{ V "rua=https://b.example/a b", "" },
	{ V "rua=https://b.example/\x01", "" },
	{ V "rua=https://b.example/\xc3\xa9", "" },
	{ V "rua=https://b.example/\"", "" },
};

static void
test_rows(void **state)
{
	static char texts[1024];
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct rua r;
		const char *why = NULL;
		size_t n = strlen(rows[i].texts);
		memcpy(texts, rows[i].texts, n + 1);
		for (size_t at = 0; at < n; at++)
			if (texts[at] == '|')
				texts[at] = '\0';
		bool found = rua_parse(guarded((struct span){ texts, n + (n > 0) }), &r, &why);
		struct buf said = buf_new(5 * RUA_URL);
		for (int j = 0; j < r.n; j++) {
			bool mail = strstr(r.v[j].text, "://") == NULL;
			assert_int_equal(r.v[j].kind, mail ? RUA_MAIL : RUA_POST);
			buf_printf(&said, "%s ", r.v[j].text);
		}
		if (!span_eq(buf_span(&said), span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].texts, (int)said.n, said.p);
		buf_free(&said);
		assert_int_equal(found, r.n > 0);
		assert_non_null(why);
	}
}

/* What is too long is left out, and not cut. */
static void
test_long(void **state)
{
	static char text[4096];
	struct rua r;
	const char *why;
	(void)state;
	for (int more = 0; more <= 1; more++) {
		size_t url = RUA_URL + (size_t)more - strlen("https://b.example/");
		int n = snprintf(text, sizeof(text), V "rua=https://b.example/");
		memset(text + n, 'x', url);
		text[(size_t)n + url] = '\0';
		struct span s = { text, (size_t)n + url + 1 };
		assert_int_equal(rua_parse(guarded(s), &r, &why), more == 0);
	}
	for (int more = 0; more <= 1; more++) {
		size_t local = LIMIT_PATH - 2 + (size_t)more - strlen("@b.example");
		int n = snprintf(text, sizeof(text), V "rua=mailto:");
		memset(text + n, 'x', local);
		snprintf(text + (size_t)n + local, 100, "@b.example");
		assert_int_equal(rua_parse(guarded((struct span){ text, strlen(text) + 1 }), &r,
			&why), more == 0);
	}
	int n = snprintf(text, sizeof(text), V "rua=mailto:");
	memset(text + n, 'x', 2000);
	snprintf(text + n + 2000, 100, "@b.example,mailto:a@b.example");
	assert_true(rua_parse((struct span){ text, strlen(text) + 1 }, &r, &why));
	assert_int_equal(r.n, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
