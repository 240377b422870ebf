/* race: in which order hosts start, and which one wins (R49, R50, R56). */
#include "tests/unit/delivery/racing.h"

static char no_source[] = "192.0.2.1"; /* an address that is not ours */

/*
 * To connect is to win, so each host wins when it has started. Written "a10 b20": preferences, with
 * "!" behind who failed lately and "~" behind who is slow.
 */
static void
test_order(void **state)
{
	(void)state;
	static const struct {
		const char *hosts, *want;
		enum conf_mx_order order;
	} rows[] = {
		{ "10 20 30", "abc-", MX_LATENCY },
		{ "30 20 10", "cba-", MX_LATENCY },
		{ "10 10 10", "abc-", MX_RANDOM }, /* as they were shuffled */
		{ "10! 20 30", "bca-", MX_LATENCY },
		{ "10! 20 30!", "bac-", MX_LATENCY },
		{ "10! 20! 30!", "abc-", MX_LATENCY },
		{ "10~ 20 30", "abc-", MX_LATENCY }, /* preference is more than speed */
		{ "10~ 10 20", "abc-", MX_RANDOM },
		{ "10 10!", "ab-", MX_LATENCY },
		{ "10! 10", "ba-", MX_LATENCY },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		auto_buf why = buf_new(TEXT);
		struct race r;
		char got[HOSTS + 2] = "";
		size_t n = 0;
		for (const char *p = rows[i].hosts; *p != '\0'; p += *p == ' ') {
			char *end;
			open_place(n, SILENT, (uint16_t)strtol(p, &end, 10));
			if (*end == '!')
				hosts_mark(&hosts, &exchanger[n], HOST_FAILED);
			if (*end == '~')
				hosts_silent(&hosts, &exchanger[n], SLOW);
			p = end + (*end == '!' || *end == '~');
			n++;
		}
		conf.mx_order = rows[i].order;
		begin_race_of_clients(&r);
		for (size_t k = 0; k <= n; k++) {
			assert_int_equal(race_goes_on(&r), k < n);
			got[k] = next(&r, &why);
		}
		assert_string_equal(got, rows[i].want);
		race_end(&r);
		close_places();
	}
}

/* R49: who was quickest of late starts first, but for now and then. */
static void
test_quickest(void **state)
{
	(void)state;
	int first = 0;
	conf.mx_order = MX_LATENCY;
	open_place(0, SILENT, 10);
	open_place(1, SILENT, 10);
	for (int i = 0; i < DRAWS; i++) {
		auto_buf why = buf_new(TEXT);
		struct race r;
		forget_all();
		hosts_greeted(&hosts, &exchanger[0], 500);
		hosts_greeted(&hosts, &exchanger[1], 20);
		begin_race_of_clients(&r);
		first += next(&r, &why) == 'b';
		race_end(&r);
	}
	close_places();
	assert_in_range(first, DRAWS * 8 / 10, DRAWS - 1);
}

/* Of hosts of no use one after the other is passed over; it has failed, if it is its fault. */
static void
test_failing(void **state)
{
	(void)state;
	static const struct {
		enum manner manner;
		char *source;
		const char *why;
		char want;
		bool failed;
	} rows[] = {
		{ REFUSES, any_source, ": connect: Connection refused", 'b', true },
		{ CLOSES, any_source, ": greeting: connection closed by the host", 'b', true },
		/* what is wrong on our side no host can help */
		{ GREETS, no_source, ": connect: Cannot assign requested address", '-', false },
	};
	conf.mx_order = MX_LATENCY;
	for (size_t i = 0; i < ROWS(rows); i++) {
		auto_buf why = buf_new(TEXT);
		struct race r;
		open_place(0, rows[i].manner, 10);
		open_place(1, GREETS, 20);
		conf.source = rows[i].source;
		begin_race(&r);
		assert_int_equal(next(&r, &why), rows[i].want);
		assert_non_null(memmem(why.p, why.n, rows[i].why, strlen(rows[i].why)));
		assert_int_equal(known(0).failed != 0, rows[i].failed);
		assert_int_equal(known(1).failed, 0);
		assert_false(race_is_open(&r));
		race_end(&r);
		close_places();
	}
	conf.source = any_source;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_quickest),
		cmocka_unit_test(test_failing),
	};
	return cmocka_run_group_tests_name("race", tests, start, stop);
}
