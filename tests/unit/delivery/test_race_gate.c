/* race: who may connect: a host has so many connections, and who is told to end has none. */
#include "tests/unit/delivery/racing.h"

#include <sys/eventfd.h>

#include "lib/wait.h"

static char no_source[] = "192.0.2.1"; /* an address that is not ours */

/* The porter keeps away whom `full` names, and counts the others. */
static struct {
	const char *full;
	int inside[HOSTS], refused[HOSTS];
} porter;

static void *
enter(void *context, const struct exchanger *to)
{
	assert_ptr_equal(context, &porter);
	char name = letter(to);
	if (strchr(porter.full, name) != NULL)
		return NULL;
	porter.inside[name - 'a']++;
	return &porter.inside[name - 'a'];
}

static void
leave(void *context, void *place, bool refused)
{
	assert_ptr_equal(context, &porter);
	int *inside = place;
	--*inside;
	porter.refused[inside - porter.inside] += refused;
}

static const struct race_gate guarded_gate = { .context = &porter, .enter = enter, .leave = leave };

static int
guard(void **state)
{
	(void)state;
	memset(&porter, 0, sizeof(porter));
	porter.full = "";
	gate = &guarded_gate;
	conf.mx_order = MX_RANDOM;
	return 0;
}

static int
unguard(void **state)
{
	(void)state;
	gate = NULL;
	return 0;
}

/* Those that stand in for one that has enough connections are as good; nobody goes to worse ones. */
static void
test_full(void **state)
{
	(void)state;
	static const struct {
		uint16_t preference[3];
		const char *full, *want;
		char known; /* as the one that is full; 0: none */
	} rows[] = {
		{ { 10, 10, 20 }, "", "abc-", 0 },
		{ { 10, 10, 20 }, "a", "b-", 'a' },
		{ { 10, 10, 20 }, "b", "a-", 'b' },
		{ { 10, 10, 20 }, "ab", "-", 'b' },
		{ { 10, 10, 20 }, "c", "ab-", 'c' },
		{ { 10, 20, 30 }, "a", "-", 'a' },
		{ { 10, 20, 30 }, "b", "a-", 'b' },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		auto_buf why = buf_new(TEXT);
		struct race r;
		char got[HOSTS + 2] = "";
		for (size_t k = 0; k < 3; k++)
			open_place(k, SILENT, rows[i].preference[k]);
		porter.full = rows[i].full;
		begin_race_of_clients(&r);
		size_t n = 0;
		do
			got[n] = next(&r, &why);
		while (got[n++] != '-');
		const struct exchanger *full = race_full(&r);
		assert_string_equal(got, rows[i].want);
		assert_int_equal(full != NULL ? letter(full) : 0, rows[i].known);
		race_end(&r);
		for (size_t k = 0; k < 3; k++) { /* whatever came of it, the places are free */
			assert_int_equal(porter.inside[k], 0);
			assert_int_equal(known(k).failed, 0);
		}
		close_places();
	}
}

/* The place of the winner is the caller's, once he took it. */
static void
test_place(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	for (int taken = 0; taken < 2; taken++) {
		struct race r;
		open_place(0, SILENT, 10);
		begin_race_of_clients(&r);
		assert_int_equal(next(&r, &why), 'a');
		assert_int_equal(porter.inside[0], 1);
		if (taken) {
			assert_ptr_equal(race_take_place(&r), &porter.inside[0]);
			assert_null(race_take_place(&r));
		}
		race_end(&r);
		assert_int_equal(porter.inside[0], taken);
		close_places();
	}
}

/* Which failures say that the host took no further connection? */
static void
test_refused(void **state)
{
	(void)state;
	static const struct {
		enum manner manner;
		char *source;
		bool refused;
	} rows[] = { { REFUSES, any_source, true }, { CLOSES, any_source, true },
		{ SILENT, any_source, false }, { GREETS, no_source, false } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		auto_buf why = buf_new(TEXT);
		struct race r;
		conf.timeout_greeting = rows[i].manner == SILENT ? 1 : 3600;
		memset(porter.refused, 0, sizeof(porter.refused));
		open_place(0, rows[i].manner, 10);
		conf.source = rows[i].source;
		begin_race(&r);
		assert_int_equal(next(&r, &why), '-');
		assert_int_equal(porter.refused[0], rows[i].refused);
		assert_int_equal(porter.inside[0], 0);
		assert_null(race_full(&r));
		race_end(&r);
		close_places();
	}
	conf.source = any_source;
	conf.timeout_greeting = 3600;
}

/* A socket of this host is no host that could have too many connections. */
static void
test_socket_needs_no_place(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	open_place(0, SILENT, 10);
	exchanger[0].socket = true;
	snprintf(exchanger[0].host, sizeof(exchanger[0].host), "%s/none", spool);
	porter.full = "a";
	begin_race(&r);
	assert_int_equal(next(&r, &why), '-');
	assert_null(race_full(&r));
	race_end(&r);
	close_places();
}

/* Whoever is told to end that gives all of them up at once, and asks nobody else. */
static void
test_told_to_end(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	const uint64_t one = 1;
	auto_fd told = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(write(told, &one, sizeof(one)), sizeof(one));
	open_place(0, SILENT, 10);
	open_place(1, GREETS, 20);
	wait_until_told(told);
	begin_race(&r);
	assert_int_equal(next(&r, &why), '-');
	wait_until_told(-1);
	assert_true(known(0).failed != 0 && known(1).failed == 0);
	assert_int_equal(porter.inside[0] + porter.inside[1], 0);
	assert_non_null(memmem(why.p, why.n, "timed out", 9));
	race_end(&r);
	close_places();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_full, guard, unguard),
		cmocka_unit_test_setup_teardown(test_place, guard, unguard),
		cmocka_unit_test_setup_teardown(test_refused, guard, unguard),
		cmocka_unit_test_setup_teardown(test_socket_needs_no_place, guard, unguard),
		cmocka_unit_test_setup_teardown(test_told_to_end, guard, unguard),
	};
	return cmocka_run_group_tests_name("race_gate", tests, start, stop);
}
