/* id: order, uniqueness, time (J12, J13); clock: dates and deadlines; crc: known answers. */
#include "tests/unit/unit.h"

#include <limits.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/crc.h"
#include "lib/id.h"

static int
compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
test_unique(void **state)
{
	(void)state;
	enum { MANY = 20000 };
	static char ids[MANY][ID_SIZE];
	int64_t before = clock_wall();
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(id_new(ids[i]), 0);
		assert_int_equal(strlen(ids[i]), ID_LEN);
		assert_true(id_valid(span_of(ids[i])));
		assert_true(id_time(ids[i]) >= before && id_time(ids[i]) <= clock_wall());
	}
	assert_true(strcmp(ids[0], ids[MANY - 1]) < 0); /* names sort by age */
	/* the rest of each is random: nobody guesses it */
	for (int i = ID_LEN - 8; i < ID_LEN; i++) {
		int same = 0;
		for (int k = 1; k < MANY; k++)
			same += ids[k][i] == ids[0][i];
		assert_true(same > 0 && same < MANY / 8); /* 1 in 32 */
	}
	qsort(ids, MANY, sizeof(ids[0]), compare);
	for (int i = 1; i < MANY; i++)
		assert_string_not_equal(ids[i - 1], ids[i]);
}

static void
test_time(void **state)
{
	(void)state;
	assert_int_equal(id_time("00000000000000000000"), 0);
	assert_int_equal(id_time("00000000ygj000000000"), 1); /* 1 000 000 us */
	assert_int_equal(id_time("00000000yghzzzzzzzzz"), 0);
	assert_int_equal(id_time("00000000ygjzzzzzzzzz"), 1);
}

/* RFC 6710: the priority stands in the name, and comes before age. */
static void
test_priority(void **state)
{
	(void)state;
	char old[ID_SIZE], urgent[ID_SIZE], later[ID_SIZE];
	assert_int_equal(id_new(old), 0);
	do /* not in the same microsecond */
		assert_int_equal(id_new(urgent), 0);
	while (memcmp(old, urgent, ID_LEN - 8) == 0);
	assert_int_equal(id_priority(old), 0);
	assert_true(id_compare(old, urgent) < 0 && id_compare(urgent, old) > 0);
	assert_int_equal(id_compare(old, old), 0);
	for (int p = -9; p <= 9; p++) {
		memcpy(later, urgent, sizeof(later));
		id_set_priority(later, p);
		assert_true(id_valid(span_of(later)));
		assert_int_equal(id_priority(later), p);
		assert_int_equal(id_time(later), id_time(urgent));
		assert_int_equal(id_compare(old, later) < 0, p <= 0);
	}
	assert_int_equal(id_priority("z0000000000000000000"), 0); /* none of ours */
}

static void
test_valid(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "0123456789abcdefghj", "0123456789abcdefghjkm",
		"0123456789abcdefghji", "0123456789abcdefghjl", "0123456789abcdefghjo",
		"0123456789abcdefghju", "0123456789ABCDEFGHJK", "../../../../../../..",
		"0123456789abcdefgh.k", "@lock" };
	for (size_t i = 0; i < ROWS(bad); i++)
		if (id_valid(guarded(span_of(bad[i]))))
			fail_msg("%s", bad[i]);
	assert_true(id_valid(guarded(span_of("0123456789abcdefghjk"))));
	assert_false(id_valid(guarded((struct span){ "0123456789\0bcdefghjk", ID_LEN })));
}

static const struct {
	int64_t at;
	const char *text;
} dates[] = {
	{ 0, "Thu, 01 Jan 1970 00:00:00 +0000" },
	{ -1, "Wed, 31 Dec 1969 23:59:59 +0000" },
	{ 951782400, "Tue, 29 Feb 2000 00:00:00 +0000" },
	{ 951868799, "Tue, 29 Feb 2000 23:59:59 +0000" },
	{ 1795479618, "Tue, 24 Nov 2026 00:20:18 +0000" },
	{ INT32_MAX, "Tue, 19 Jan 2038 03:14:07 +0000" }, /* J12 */
	{ INT64_C(2147483648), "Tue, 19 Jan 2038 03:14:08 +0000" },
	{ INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 +0000" },
	{ INT64_MAX, "Thu, 01 Jan 1970 00:00:00 +0000" },
};

static void
test_dates(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(dates); i++) {
		char text[CLOCK_DATE_SIZE];
		clock_date(dates[i].at, text);
		assert_string_equal(text, dates[i].text);
	}
	assert_int_equal(setenv("TZ", "America/New_York", 1), 0); /* K2 */
	char text[CLOCK_DATE_SIZE];
	clock_date(0, text);
	assert_string_equal(text, dates[0].text);
}

static void
test_deadlines(void **state)
{
	(void)state;
	assert_int_equal(clock_left(CLOCK_NEVER), -1);
	assert_int_equal(clock_left(clock_ms()), 0);
	assert_int_equal(clock_left(0), 0);
	assert_int_equal(clock_left(clock_ms() - 1), 0); /* less than that would be for ever */
	assert_int_equal(clock_left(clock_ms() - 500), 0);
	assert_int_equal(clock_left(INT64_MAX - 1), INT_MAX);
	int left = clock_left(clock_deadline(1000));
	assert_true(left > 0 && left <= 1000 * 1000);
	assert_int_equal(clock_earlier(CLOCK_NEVER, 5), 5);
}

static const struct {
	struct span in;
	uint32_t sum;
} sums[] = {
	{ { "", 0 }, 0 },
	{ { "a", 1 }, 0xc1d04330 },
	{ { "123456789", 9 }, 0xe3069283 }, /* the check value of this polynomial */
	/* RFC 3720 section B.4 */
	{ { "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32 }, 0x8a9136aa },
	{ { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 32 }, 0x62a8ab43 },
	{ { "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
	    "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f", 32 }, 0x46dd794e },
};

static void
test_sums(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(sums); i++) {
		struct span in = guarded(sums[i].in);
		for (size_t split = 0; split <= in.n; split++)
			assert_int_equal(crc32c(crc32c(0, in.p, split), in.p + split,
				in.n - split), sums[i].sum);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unique),
		cmocka_unit_test(test_time), cmocka_unit_test(test_priority),
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_sums),
	};
	return cmocka_run_group_tests_name("id, clock, crc", tests, NULL, NULL);
}
