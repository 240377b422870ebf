/*
 * What is asked for beside MX records: TXT records of another name (R81), at the same time, and
 * without having those wait for it.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "dns.h"
#include "dns/txt.h"
#include "lib/clock.h"
#include "tests/unit/dns/nameserver.h"

static const struct zone zone[] = {
	{ "d.example", "MX", "@ MX 10 mx.d.example" },
	{ "mx.d.example", "A", "@ A 192.0.2.1" },
	{ "text.example", "TXT", "@ TXT # 026162" }, /* one string, "ab" */
	{ "pieces.example", "TXT", "@ TXT # 0161 0162\n@ TXT # 0163" },
	{ "gone.example", "*", "!rcode 3" },
	{ "trouble.example", "*", "!rcode 2" },
	{ "silent.example", "*", "!silent" },
};

enum { LONG = 60, SHORT = 2 }; /* s */

static const struct {
	const char *name;
	enum answer answer;
	const char *text; /* all, with a "|" for each NUL */
	int wait;
} rows[] = {
	{ "text.example", ANSWER_FOUND, "ab|", LONG },
	{ "pieces.example", ANSWER_FOUND, "ab|c|", LONG },
	{ "gone.example", ANSWER_NO_NAME, "", LONG },
	{ "nothing.example", ANSWER_NO_DATA, "", LONG },
	{ "trouble.example", ANSWER_TEMPORARY, "", LONG },
	{ "silent.example", ANSWER_TEMPORARY, "", SHORT },
	{ "a..b", ANSWER_TEMPORARY, "", LONG }, /* no name: it is not asked for */
};

static void
test_rows(void **state)
{
	struct nameserver *ns = *state;
	struct resolver *r = resolver_open(&ns->addr, 1, "us.example");
	for (size_t i = 0; i < ROWS(rows); i++) {
		char text[20] = "";
		struct txt txt;
		struct exchangers x;
		int64_t begun = clock_ms(), deadline = clock_deadline(rows[i].wait);
		txt_ask_also(r, rows[i].name, &txt);
		enum answer a = resolver_exchangers(r, "d.example", FAMILY_IPV4, deadline, &x);
		if (a != ANSWER_FOUND || txt.answer != rows[i].answer)
			fail_msg("%s: %d, %d", rows[i].name, (int)a, (int)txt.answer);
		assert_true(txt.texts.n < sizeof(text));
		for (size_t n = 0; n < txt.texts.n; n++)
			text[n] = txt.texts.p[n] != '\0' ? txt.texts.p[n] : '|';
		assert_string_equal(text, rows[i].text);
		assert_true(rows[i].wait == LONG || clock_ms() - begun < SHORT * 1000);
		buf_free(&txt.texts);
		exchangers_free(&x);
	}
	resolver_close(r);
}

/* It is asked for once, and by one look-up. */
static void
test_once(void **state)
{
	struct nameserver *ns = *state;
	struct resolver *r = resolver_open(&ns->addr, 1, "us.example");
	struct txt txt;
	struct exchangers x;
	int before = ns->counts->udp;
	txt_ask_also(r, "text.example", &txt);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(resolver_exchangers(r, "d.example", FAMILY_IPV4,
			clock_deadline(LONG), &x), ANSWER_FOUND);
		exchangers_free(&x);
	}
	assert_int_equal(ns->counts->udp - before, 5); /* MX and A twice, and TXT */
	assert_int_equal(txt.answer, ANSWER_FOUND);
	buf_free(&txt.texts);
	/* A literal asks nothing, and leaves nothing for the next look-up. */
	txt_ask_also(r, "text.example", &txt);
	assert_int_equal(resolver_exchangers(r, "[192.0.2.1]", FAMILY_IPV4, clock_deadline(LONG), &x),
		ANSWER_FOUND);
	exchangers_free(&x);
	assert_int_equal(txt.answer, ANSWER_TEMPORARY);
	before = ns->counts->udp;
	assert_int_equal(resolver_exchangers(r, "d.example", FAMILY_IPV4, clock_deadline(LONG), &x),
		ANSWER_FOUND);
	exchangers_free(&x);
	assert_int_equal(ns->counts->udp - before, 2);
	resolver_close(r);
}

static int
start(void **state)
{
	static struct nameserver ns;
	nameserver_start(&ns, zone, ROWS(zone));
	*state = &ns;
	return 0;
}

static int
stop(void **state)
{
	nameserver_stop(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows),
		cmocka_unit_test(test_once) };
	return cmocka_run_group_tests(tests, start, stop);
}
