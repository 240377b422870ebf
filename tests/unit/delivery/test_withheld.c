/* withheld: which words are kept back from which host of a lane (L16, R73). */
#include "tests/unit/unit.h"

#include "delivery/withheld.h"

enum { DSN = 1, SIZE = 2, BODY = 4 };

/* The i-th host. */
static struct exchanger
host(int i)
{
	return (struct exchanger){ .addr = { .ip = { 0x20, [15] = (uint8_t)i } }, .port = 25 };
}

/* L16: from the host that refused them, and that one alone. */
static void
test_each_host(void **state)
{
	(void)state;
	struct withheld w = { 0 };
	struct exchanger a = host(1), b = host(2), port = host(1);
	port.port = 26;
	withheld_note(&w, &a, DSN);
	assert_int_equal(withheld_from(&w, &a), DSN);
	assert_int_equal(withheld_from(&w, &b), 0);
	assert_int_equal(withheld_from(&w, &port), 0);
	withheld_note(&w, &b, BODY);
	withheld_note(&w, &a, SIZE);
	assert_int_equal(withheld_from(&w, &a), DSN | SIZE);
	assert_int_equal(withheld_from(&w, &b), BODY);
	assert_int_equal(withheld_from(&w, &port), 0);
}

/* G5: however many they are, none is told again what it refused. */
static void
test_many_hosts(void **state)
{
	(void)state;
	struct withheld w = { 0 };
	for (int i = 0; i < 2 * WITHHELD_HOSTS; i++) {
		struct exchanger e = host(i);
		withheld_note(&w, &e, i % 2 == 0 ? DSN : BODY);
	}
	for (int i = 0; i < 2 * WITHHELD_HOSTS; i++) {
		struct exchanger e = host(i);
		unsigned own = i % 2 == 0 ? DSN : BODY;
		assert_int_equal(withheld_from(&w, &e),
			i < WITHHELD_HOSTS - 1 ? own : DSN | BODY);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_host),
		cmocka_unit_test(test_many_hosts),
	};
	return cmocka_run_group_tests_name("withheld", tests, NULL, NULL);
}
