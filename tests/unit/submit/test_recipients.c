/* recipients: lists through aliases, and what is refused of them. */
#include "tests/unit/unit.h"

#include <sysexits.h>

#include "submit/recipients.h"

static const char aliases[] =
	"postmaster: root\n"
	"root: joe, admin@example.org\n"
	"self: self, x@example.org\n"
	"final: \\root\n"
	"final2: \\two words\n"
	"circle: ring\n"
	"ring: circle\n"
	"prog: |/bin/true\n"
	"file: /dev/null\n"
	"incl: :include:/etc/list\n"
	"bad: joe doe\n"
	"none:\n"
	"\"two words\": words@example.org\n"
	"\"a\\\"b: c\": escaped@example.org\n"
	"\"own name\": \"own name\", x@example.org\n"
	"kept: \\\"two words\"\n"
	"via: \"two words\"\n"
	"mixed: joe, |/bin/true\n"
	"named: Ann <ann@example.org>\n"
	"a0: a1\na1: a2\na2: a3\na3: a4\na4: a5\na5: a6\na6: a7\na7: a8\na8: a9\na9: deep\n"
	"b: a0, a1\n"
	"local: root@localhost\n";

/* The recipients, "+" behind those that lack a domain. */
static void
check(const char *list, int status, const char *want, const char *why)
{
	struct recipients r = recipients_new((struct span){ aliases, sizeof(aliases) - 1 });
	struct buf got = buf_new(10000);
	assert_int_equal(recipients_add(&r, guarded(span_of(list))), status);
	for (size_t i = 0; i < r.n; i++)
		buf_printf(&got, "%s%s%s", i > 0 ? " " : "", r.v[i].address, r.v[i].bare ? "+" : "");
	if (want != NULL && !span_eq(buf_span(&got), span_of(want)))
		fail_msg("%s: %.*s", list, (int)got.n, got.p);
	if (!span_eq(buf_span(&r.why), span_of(why)))
		fail_msg("%s: %.*s", list, (int)r.why.n, r.why.p);
	buf_free(&got);
	recipients_free(&r);
}

static void
test_lists(void **state)
{
	(void)state;
	check("a@b.example", EX_OK, "a@b.example", "");
	check("a@b.example, c@d.example, a@b.example", EX_OK, "a@b.example c@d.example", "");
	check("nobody", EX_OK, "nobody+", "");
	check("", EX_OK, "", "");
	check("<>", EX_DATAERR, NULL, "\"\" is no address");
	check("joe doe", EX_DATAERR, NULL, "\"joe doe\" is no list of addresses");
	check("a@b..c", EX_DATAERR, NULL, "\"a@b..c\" is no list of addresses");
	check("a@-b", EX_DATAERR, NULL, "\"a@-b\" is no address");
	check("x\x1b[2J y", EX_DATAERR, NULL, "\"x\\x1b[2J y\" is no list of addresses");
}

static void
test_aliases(void **state)
{
	(void)state;
	check("root", EX_OK, "joe+ admin@example.org", "");
	check("ROOT", EX_OK, "joe+ admin@example.org", "");
	check("postmaster", EX_OK, "joe+ admin@example.org", "");
	check("root@localhost", EX_OK, "joe+ admin@example.org", "");
	check("root@LOCALHOST.localdomain", EX_OK, "joe+ admin@example.org", "");
	check("local", EX_OK, "joe+ admin@example.org", "");
	check("root@example.org", EX_OK, "root@example.org", ""); /* is meant as it is */
	check("self", EX_OK, "self+ x@example.org", "");
	check("final", EX_OK, "root+", "");
	check("named", EX_OK, "ann@example.org", "");
	/* By what is between the quotes, which are no part of a name */
	check("\"two words\"", EX_OK, "words@example.org", "");
	check("\"TWO\\ words\"@localhost", EX_OK, "words@example.org", "");
	check("\"a\\\"b: c\"", EX_OK, "escaped@example.org", "");
	check("\"root\"", EX_OK, "joe+ admin@example.org", "");
	check("\"ro\\ot\"", EX_OK, "joe+ admin@example.org", "");
	check("\"own name\"", EX_OK, "\"own name\"+ x@example.org", "");
	check("\"own\\ name\"", EX_OK, "\"own name\"+ x@example.org", "");
	check("kept", EX_OK, "\"two words\"+", "");
	check("via", EX_OK, "words@example.org", "");
	check("\"two  words\"", EX_OK, "\"two  words\"+", "");
	check("\"two words\"@example.org", EX_OK, "\"two words\"@example.org", "");
	check("root, joe", EX_OK, "joe+ admin@example.org", "");
	check("a0", EX_OK, "deep+", "");
	check("final2", EX_CONFIG, NULL, "\"final2\" has an alias that is no name");
	check("prog", EX_CONFIG, NULL, "\"prog\" is an alias for a program, and Postern runs none");
	check("file", EX_CONFIG, NULL, "\"file\" is an alias for a file, and Postern writes to none");
	check("incl", EX_CONFIG, NULL,
		"\"incl\" is an alias that includes a file, which Postern does not read");
	check("mixed", EX_CONFIG, NULL, "\"mixed\" is an alias for a program, and Postern runs none");
	check("none", EX_CONFIG, NULL, "\"none\" is an alias for nobody");
	check("bad", EX_DATAERR, NULL, "\"joe doe\" is no list of addresses");
	check("circle", EX_CONFIG, NULL, "\"circle\" is an alias of aliases without an end");
	check("b", EX_CONFIG, NULL, "\"a9\" is an alias of aliases without an end"); /* one too deep */
}

/* One that has ten of ten of ten does not keep us busy. */
static void
test_wide(void **state)
{
	(void)state;
	struct buf text = buf_new(100000);
	for (int i = 0; i < 9; i++) {
		buf_printf(&text, "w%d: ", i);
		for (int k = 0; k < 10; k++)
			buf_printf(&text, "%sw%d", k > 0 ? ", " : "", i + 1);
		buf_puts(&text, "\n");
	}
	struct recipients r = recipients_new(buf_span(&text));
	assert_int_equal(recipients_add(&r, span_of("w0")), EX_CONFIG);
	recipients_free(&r);
	buf_free(&text);
}

static void
test_too_many(void **state)
{
	(void)state;
	struct recipients r = recipients_new((struct span){ 0 });
	char address[64];
	for (int i = 0; i < RECIPIENTS_MAX; i++) {
		snprintf(address, sizeof(address), "u%d@d.example", i);
		assert_int_equal(recipients_add(&r, span_of(address)), EX_OK);
	}
	assert_int_equal(recipients_add(&r, span_of("u1@d.example")), EX_OK);
	assert_int_equal(recipients_add(&r, span_of("more@d.example")), EX_DATAERR);
	assert_int_equal(r.n, RECIPIENTS_MAX);
	recipients_free(&r);
}

static void
test_one(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want; /* NULL: none */
		bool bare;
	} rows[] = { { "a@b.example", "a@b.example", false }, { "joe", "joe", true },
		{ "Joe <joe@b.example>", "joe@b.example", false }, { "", "", false }, { "<>", "", false },
		{ "joe@localhost", "joe", true }, { "a@b.example, c@d.example", NULL, false },
		{ "joe doe", NULL, false }, { "a@b\r\nRCPT TO:<x@y>", NULL, false },
		{ "a@b> BODY=8BITMIME", NULL, false }, { "a@-b", NULL, false }, { "root", "root", true } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct recipient one;
		bool is = recipients_one(guarded(span_of(rows[i].text)), &one);
		if (is != (rows[i].want != NULL) ||
			(is && (strcmp(one.address, rows[i].want) != 0 || one.bare != rows[i].bare)))
			fail_msg("%s", rows[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_wide),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_one),
	};
	return cmocka_run_group_tests_name("recipients", tests, NULL, NULL);
}
