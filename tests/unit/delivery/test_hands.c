/* hands: who had what in hand, told by memory in which anything may stand (M12). */
#include "tests/unit/unit.h"

#include <string.h>

#include "delivery/hands.h"

enum { COURIERS = 3, PLACES = 2 };

#define LANE  "d.example"
#define FIRST "0123456789abcdefghjk"
#define OTHER "1123456789abcdefghjk"

static struct hands *h;

static int
enter(void **state)
{
	(void)state;
	h = hands_new(COURIERS, PLACES);
	return h == NULL;
}

static int
leave(void **state)
{
	(void)state;
	hands_free(h);
	return 0;
}

static int
count(void)
{
	int n = 0;
	for (struct hands_suspect s = { .number = 0 }; hands_next(h, &s);)
		n++;
	return n;
}

static void
test_what_is_in_hand(void **state)
{
	struct hands_suspect s = { .number = 0 };
	(void)state;
	assert_int_equal(count(), 0);
	hands_take(h, 2, 0, LANE, FIRST);
	hands_take(h, 2, 1, LANE, OTHER);
	hands_put_down(h, 2, 0);
	hands_take(h, 0, 1, LANE, FIRST);
	assert_int_equal(count(), 2);
	h->shared->died_by = 2;
	assert_int_equal(count(), 1);
	assert_true(hands_next(h, &s));
	assert_string_equal(s.id, OTHER);
	assert_string_equal(s.lane, LANE);
	hands_clear(h);
	assert_int_equal(h->shared->died_by, -1);
	assert_int_equal(count(), 0);
}

/* Who died may have been in another's power: all that it could write to says nonsense. */
static void
test_nonsense(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	(void)state;
	for (int octet = 0; octet <= 0xff; octet++) {
		memset(h->shared, octet, page); /* it has that at least */
		assert_int_equal(count(), 0);
		h->shared->died_by = -1;
		assert_int_equal(count(), 0);
		hands_clear(h);
		hands_take(h, COURIERS - 1, PLACES - 1, LANE, FIRST);
		assert_int_equal(count(), 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_in_hand, enter, leave),
		cmocka_unit_test_setup_teardown(test_nonsense, enter, leave),
	};
	return cmocka_run_group_tests_name("hands", tests, NULL, NULL);
}
