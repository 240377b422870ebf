/* race: what is remembered of those that did not win, or that led to nothing (L14, L15). */
#include "tests/unit/delivery/racing.h"

/* ---- overtaken (L14) ------------------------------------------------------------------------ */

/* A silent host, known as slow, and another one that greets and wins. */
static void
overtake(struct race *r, uint16_t slow, uint16_t quick, struct buf *why)
{
	open_place(0, SILENT, slow);
	open_place(1, GREETS, quick);
	hosts_silent(&hosts, &exchanger[0], SLOW);
	conf.mx_order = MX_RANDOM;
	begin_race(r);
	assert_int_equal(next(r, why), 'b');
}

/* It has not failed, and may still win. */
static void
test_overtaken(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	overtake(&r, 10, 20, &why);
	assert_true(race_is_open(&r) && race_goes_on(&r));
	assert_int_equal(known(0).failed, 0);
	assert_int_equal(known(0).latency, SLOW); /* a shorter silence tells nothing */
	auto_fd fd = accept(places[0].listener, NULL, NULL);
	assert_int_equal(send(fd, "220 at last\r\n", 13, MSG_NOSIGNAL), 13);
	assert_int_equal(next(&r, &why), 'a');
	assert_false(race_is_open(&r) || race_goes_on(&r));
	assert_int_equal(known(0).failed, 0);
	assert_true(known(0).latency < SLOW);
	race_end(&r);
	close_places();
}

/*
 * Whoever won may have been talked to for long, by a will of its own: the other one is not the
 * slower for it.
 */
static void
test_kept_waiting(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	overtake(&r, 10, 20, &why);
	assert_false(race_kept_waiting(&r));
	auto_fd fd = accept(places[0].listener, NULL, NULL);
	assert_int_equal(send(fd, "220 long ago\r\n", 14, MSG_NOSIGNAL), 14);
	forget_all();
	hosts_greeted(&hosts, &exchanger[0], 1);
	assert_int_equal(next(&r, &why), 'a');
	assert_true(race_kept_waiting(&r));
	assert_int_equal(known(0).latency, 1);
	race_end(&r);
	close_places();
}

/* When its own time is over it has failed. */
static void
test_too_late(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	conf.timeout_greeting = 1;
	conf.mx_order = MX_RANDOM;
	open_place(0, SILENT, 10);
	open_place(1, SILENT, 20);
	exchanger[1].tls_first = true; /* it need not be in time with a greeting */
	hosts_silent(&hosts, &exchanger[0], SLOW);
	begin_race(&r);
	assert_int_equal(next(&r, &why), 'b');
	assert_int_equal(next(&r, &why), '-');
	conf.timeout_greeting = 3600;
	assert_non_null(memmem(why.p, why.n, "greeting: timed out", 19));
	assert_true(known(0).failed != 0);
	race_end(&r);
	close_places();
}

/* One that is as good as the winner is no better. */
static void
test_equal(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	overtake(&r, 10, 10, &why);
	assert_true(!race_is_open(&r) && race_has_equal(&r));
	assert_int_equal(known(0).failed, 0);
	race_end(&r);
	assert_int_equal(known(0).failed, 0);
	assert_false(race_is_open(&r) || race_has_equal(&r));
	close_places();
}

/* Who is left of those that are as good as the one that won? */
static void
test_has_equal(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	conf.mx_order = MX_RANDOM;
	open_place(0, SILENT, 10);
	open_place(1, SILENT, 10);
	open_place(2, SILENT, 20);
	open_place(3, SILENT, 20);
	hosts_mark(&hosts, &exchanger[3], HOST_FAILED);
	begin_race_of_clients(&r);
	assert_false(race_has_equal(&r)); /* nobody has won */
	for (size_t i = 0; i < HOSTS; i++) {
		assert_int_equal(next(&r, &why), 'a' + (char)i);
		assert_int_equal(race_has_equal(&r), i == 0);
		assert_false(race_is_open(&r));
	}
	race_end(&r);
	close_places();
}

/*
 * A better one that failed lately has its turn to come (L14); but behind all others, and they are
 * not all asked because of it.
 */
static void
test_well_again(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	conf.mx_order = MX_RANDOM;
	for (size_t i = 0; i < 3; i++)
		open_place(i, SILENT, (uint16_t)(10 + i));
	hosts_mark(&hosts, &exchanger[0], HOST_FAILED);
	begin_race_of_clients(&r);
	assert_false(race_is_open(&r)); /* nobody has won */
	assert_int_equal(next(&r, &why), 'b');
	assert_false(race_is_open(&r));
	assert_int_equal(next(&r, &why), 'c');
	assert_true(race_is_open(&r));
	assert_int_equal(next(&r, &why), 'a');
	assert_false(race_is_open(&r));
	race_end(&r);
	close_places();
}

/* ---- connections that came to nothing (L15) ------------------------------------------------- */

/* Only what was noted is convicted, and only once. */
static void
test_convict(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	conf.mx_order = MX_RANDOM;
	for (size_t i = 0; i < 3; i++)
		open_place(i, SILENT, (uint16_t)(10 + i));
	begin_race_of_clients(&r);
	race_note_loss(&r); /* nobody has won */
	race_convict(&r);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(next(&r, &why), 'a' + (char)i);
		if (i == 1)
			race_note_loss(&r);
		assert_int_equal(known(i).failed, 0);
	}
	race_convict(&r);
	assert_true(known(0).failed == 0 && known(1).failed != 0 && known(2).failed == 0);
	forget_all();
	race_convict(&r);
	assert_int_equal(known(1).failed, 0);
	/* of one courier of several, a connection may only be one too many */
	r.extra = true;
	race_note_loss(&r);
	race_convict(&r);
	assert_int_equal(known(2).failed, 0);
	race_end(&r);
	close_places();
}

/* Whom there was no talking to: who did not greet, or did and led to nothing (R69). */
static void
test_vain(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	conf.mx_order = MX_RANDOM;
	open_place(0, REFUSES, 10);
	open_place(1, CLOSES, 20);
	open_place(2, GREETS, 30);
	open_place(3, GREETS, 40);
	begin_race(&r);
	race_note_vain(&r); /* nobody has won */
	for (size_t i = 0; i < HOSTS; i++)
		assert_false(race_was_vain(&r, &exchanger[i]));
	assert_int_equal(next(&r, &why), 'c');
	assert_true(race_was_vain(&r, &exchanger[0]) && race_was_vain(&r, &exchanger[1]));
	assert_false(race_was_vain(&r, &exchanger[2]) || race_was_vain(&r, &exchanger[3]));
	race_note_vain(&r);
	assert_true(race_was_vain(&r, &exchanger[2]));
	assert_int_equal(next(&r, &why), 'd');
	assert_false(race_was_vain(&r, &exchanger[3]));
	race_end(&r);
	assert_false(race_was_vain(&r, &exchanger[0]));
	close_places();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overtaken),
		cmocka_unit_test(test_kept_waiting),
		cmocka_unit_test(test_too_late),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_has_equal),
		cmocka_unit_test(test_well_again),
		cmocka_unit_test(test_convict),
		cmocka_unit_test(test_vain),
	};
	return cmocka_run_group_tests_name("race_lost", tests, start, stop);
}
