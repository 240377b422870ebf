/* aliases: the text of /etc/aliases. */
#include "tests/unit/unit.h"

#include "lib/buf.h"
#include "mail/aliases.h"

static const char text[] =
	"# comment: not an alias\n"
	"\n"
	"  folded: nothing to fold\n"
	"no colon here\n"
	"postmaster: root\n"
	"Root:\tjoe, ann@example.org ,\n"
	"\tmore@example.org\n"
	"# in between\n"
	"   last\n"
	"\"two words\": a, \"b c\"@example.org\r\n"
	"prog: \"|/bin/sh -c 'a, b'\", x\n"
	"bare: |/bin/true\n"
	"file: /var/mail/x, \"/var/my mail\"\n"
	"incl: :include:/etc/list\n"
	"fail: :fail: go away\n"
	"final: \\root, \\\n"
	"named: Joe Doe <joe@example.org>, \"Doe, Ann\" <ann@example.org>\n"
	"none:\n"
	"commas: ,, a ,,\n"
	"listed:\n"
	"  a,\n"
	"  # b, c\n"
	"  d\n"
	"root: second\n"
	"end: last";

/* "K:text" for each, with K of the kind. */
static void
values_of(const char *name, struct buf *out)
{
	static const char kinds[] = { [ALIAS_ADDRESS] = 'A', [ALIAS_FINAL] = 'N',
		[ALIAS_PROGRAM] = 'P', [ALIAS_FILE] = 'F', [ALIAS_INCLUDE] = 'I' };
	struct span values;
	struct alias value;
	buf_reset(out);
	if (!aliases_find(guarded((struct span){ text, sizeof(text) - 1 }), span_of(name), &values)) {
		buf_puts(out, "-");
		return;
	}
	while (aliases_value(&values, &value))
		buf_printf(out, "%s%c:%.*s", out->n > 0 ? " " : "", kinds[value.kind],
			(int)value.text.n, value.text.p);
}

static void
test_values(void **state)
{
	(void)state;
	static const struct {
		const char *name, *want;
	} rows[] = {
		{ "postmaster", "A:root" },
		{ "PostMaster", "A:root" },
		{ "root", "A:joe A:ann@example.org A:more@example.org A:last" },
		{ "two words", "A:a A:\"b c\"@example.org" },
		{ "\"two words\"", "A:a A:\"b c\"@example.org" },
		{ "\"Two\\ Words\"", "A:a A:\"b c\"@example.org" },
		{ "\"root\"", "A:joe A:ann@example.org A:more@example.org A:last" },
		{ "two word", "-" },
		{ "two words,", "-" },
		{ "prog", "P:|/bin/sh -c 'a, b' A:x" },
		{ "bare", "P:|/bin/true" },
		{ "file", "F:/var/mail/x F:/var/my mail" },
		{ "incl", "I::include:/etc/list" },
		{ "fail", "I::fail: go away" },
		{ "final", "N:root N:" },
		{ "named", "A:Joe Doe <joe@example.org> A:\"Doe, Ann\" <ann@example.org>" },
		{ "none", "" },
		{ "commas", "A:a" },
		{ "listed", "A:a A:d" },
		{ "end", "A:last" },
		{ "comment", "-" },
		{ "folded", "-" },
		{ "roo", "-" },
		{ "", "-" },
	};
	struct buf got = buf_new(1000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		values_of(rows[i].name, &got);
		if (!span_eq(buf_span(&got), span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].name, (int)got.n, got.p);
	}
	buf_free(&got);
}

static void
test_entries(void **state)
{
	(void)state;
	struct span rest = guarded((struct span){ text, sizeof(text) - 1 }), name, values;
	int n = 0;
	while (aliases_entry(&rest, &name, &values))
		n++;
	assert_int_equal(n, 15);
	assert_int_equal(rest.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_entries),
	};
	return cmocka_run_group_tests_name("aliases", tests, NULL, NULL);
}
