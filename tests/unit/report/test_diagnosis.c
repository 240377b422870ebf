/* diagnosis: the text of an outcome taken apart, whatever a host put into it (E6, E11). */
#include "tests/unit/unit.h"

#include "report/diagnosis.h"

static const struct {
	const char *text;
	char class;
	const char *host, *words, *status;
	bool reply;
} rows[] = {
	{ "mx.d.example[192.0.2.1]:25: 550 5.1.1 no", '5', "mx.d.example", "550 5.1.1 no", "5.1.1", true },
	{ "mx[2001:db8::1]:2525: 550-5.7.1 a 550 5.7.2 b", '5', "mx", "550-5.7.1 a 550 5.7.2 b", "5.7.1", true },
	{ "[192.0.2.1][192.0.2.1]:25: 450 4.2.1 x", '4', "[192.0.2.1]", "450 4.2.1 x", "4.2.1", true },
	{ "mx[192.0.2.1]:25: 250 2.0.0 ok", '2', "mx", "250 2.0.0 ok", "2.0.0", true },
	{ "mx[192.0.2.1]:25: 250", '2', "mx", "250", "", true },
	{ "mx[192.0.2.1]:25: connect: timed out", '4', "mx", "connect: timed out", "", false },
	{ "mx[192.0.2.1]:25: not sent: 552 5.3.4 too large", '5', "mx", "not sent: 552 5.3.4 too large", "5.3.4", false },
	{ "mx[192.0.2.1]:25: 451 4.3.0 x (given up: 5.4.7 too old)", '5', "mx",
		"451 4.3.0 x (given up: 5.4.7 too old)", "5.4.7", true },
	{ "556 5.1.10 d.example does not take mail", '5', "", "556 5.1.10 d.example does not take mail", "5.1.10", false },
	{ "DNS: no answer", '4', "", "DNS: no answer", "", false },
	/* what looks like a host and is none */
	{ "550 see [192.0.2.1]:25: 5.7.1 x", '5', "", "550 see [192.0.2.1]:25: 5.7.1 x", "5.7.1", false },
	{ "[192.0.2.1]:25: 550 x", '5', "", "[192.0.2.1]:25: 550 x", "", false },
	{ "mx]:25: 550 x", '5', "", "mx]:25: 550 x", "", false },
	{ "mx[1]:: 550 x", '5', "", "mx[1]:: 550 x", "", false },
	{ "mx[1]:25", '5', "", "mx[1]:25", "", false },
	{ "mx[1]:25:", '5', "", "mx[1]:25:", "", false },
	{ "mx[1]:25: ", '5', "mx", "", "", false },
	{ "]:", '5', "", "]:", "", false },
	{ "", '5', "", "", "", false },
	/* what looks like a code and is none */
	{ "550 5.1", '5', "", "550 5.1", "", false },
	{ "550 5.1.", '5', "", "550 5.1.", "", false },
	{ "550 5..1", '5', "", "550 5..1", "", false },
	{ "550 5.1.1.1 no", '5', "", "550 5.1.1.1 no", "", false },
	{ "550 5.1000.10000 no", '5', "", "550 5.1000.10000 no", "", false },
	{ "550 x5.1.1", '5', "", "550 x5.1.1", "", false },
	{ "550 4.1.1 5.2.2", '5', "", "550 4.1.1 5.2.2", "5.2.2", false },
};

static void
test_diagnose(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct diagnosis d;
		diagnosis_parse(guarded(span_of(rows[i].text)), rows[i].class, &d);
		if (!span_eq(d.host, span_of(rows[i].host)) || !span_eq(d.words, span_of(rows[i].words)) ||
			!span_eq(d.status, span_of(rows[i].status)) || d.reply != rows[i].reply)
			fail_msg("%s: %.*s|%.*s|%.*s|%d", rows[i].text, (int)d.host.n, d.host.p,
				(int)d.words.n, d.words.p, (int)d.status.n, d.status.p, d.reply);
	}
}

/* The whole code first, then its class, then what is always true. */
static void
test_advice(void **state)
{
	(void)state;
	const char *other = diagnosis_advice((struct span){ 0 });
	assert_non_null(strstr(diagnosis_advice(span_of("5.1.1")), "no such mailbox"));
	assert_non_null(strstr(diagnosis_advice(span_of("5.1.10")), "no mail at all"));
	assert_ptr_equal(diagnosis_advice(span_of("5.7.1")), diagnosis_advice(span_of("5.7.26")));
	assert_non_null(strstr(diagnosis_advice(span_of("5.7.30")), "REQUIRETLS")); /* R84 */
	assert_non_null(strstr(diagnosis_advice(span_of("5.7.10")), "encrypted only"));
	assert_ptr_equal(diagnosis_advice(span_of("5.1.11")), other);
	assert_ptr_equal(diagnosis_advice(span_of("5.7")), other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_diagnose),
		cmocka_unit_test(test_advice),
	};
	return cmocka_run_group_tests_name("diagnosis", tests, NULL, NULL);
}
