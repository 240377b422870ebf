/* agenda: who is tried first (R86). */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "tlsreport/agenda.h"

static void
add(struct agenda *a, const char *domain, int place, bool again, int64_t when)
{
	struct agenda_item i = { .place = place, .again = again, .when = when };
	snprintf(i.domain, sizeof(i.domain), "%s", domain);
	assert_int_equal(agenda_add(a, &i), 0);
}

static const struct {
	const char *domain;
	int place;
	bool again;
	int64_t when;
} in_order[] = {
	{ "b", 0, false, 10 },
	{ "a", 0, false, 20 },
	{ "c", 0, false, 20 },
	{ "b", 1, false, 10 }, /* nobody's second place before anybody's first */
	{ "a", 3, false, 20 },
	{ "d", 2, true, 5 },   /* of these the place does not count */
	{ "a", 0, true, 30 },
	{ "d", 1, true, INT64_MAX },
};

/* Whatever the order is in which they are found. */
static void
test_order(void **state)
{
	enum { N = sizeof(in_order) / sizeof(in_order[0]) };
	(void)state;
	for (int turn = 0; turn < N; turn++) {
		struct agenda a = { 0 };
		for (int i = 0; i < N; i++) {
			int k = (3 * i + turn) % N;
			add(&a, in_order[k].domain, in_order[k].place, in_order[k].again,
				in_order[k].when);
		}
		agenda_sort(&a);
		assert_int_equal(a.n, N);
		for (int i = 0; i < N; i++) {
			assert_string_equal(a.v[i].domain, in_order[i].domain);
			assert_int_equal(a.v[i].place, in_order[i].place);
			assert_int_equal(a.v[i].when, in_order[i].when);
			assert_int_equal(a.v[i].again, in_order[i].again);
		}
		agenda_free(&a);
	}
}

/*
 * Somebody's many names whose time came before all others are asked in turns with those: one of
 * them when each other has been. What was tried in vain goes by the same rule.
 */
static void
test_families(void **state)
{
	enum { MANY = 2000, OTHERS = 20 };
	static const char *const others[OTHERS] = { "a.example", "b.example", "x.b.example",
		"c.org", "org", "g.example", "xg.example" };
	(void)state;
	for (int again = 0; again < 2; again++) {
		struct agenda a = { 0 };
		char name[64];
		size_t theirs = 0, ours = 0, i = 0;
		for (int k = 0; k < MANY; k++) {
			snprintf(name, sizeof(name), "%sn%d.g.example", k % 2 == 0 ? "y." : "",
				k);
			add(&a, name, 0, again, k);
		}
		for (int k = 0; k < OTHERS && others[k] != NULL; k++)
			add(&a, others[k], 0, again, MANY + k);
		agenda_sort(&a);
		for (; i < a.n && a.v[i].rank == 0; i++)
			*(strstr(a.v[i].domain, ".g.example") != NULL ? &theirs : &ours) += 1;
		assert_int_equal(theirs, 1);
		assert_int_equal(ours, 5); /* but for x.b.example, and g.example */
		assert_string_equal(a.v[0].domain, "y.n0.g.example");
		for (; i < a.n && a.v[i].rank == 1; i++)
			*(strstr(a.v[i].domain, ".g.example") != NULL ? &theirs : &ours) += 1;
		assert_int_equal(theirs, 2);
		assert_int_equal(ours, 6);
		for (; i + 1 < a.n; i++)
			assert_true(a.v[i].when < a.v[i + 1].when);
		agenda_free(&a);
	}
}

static void
test_end(void **state)
{
	struct agenda a = { 0 };
	(void)state;
	agenda_sort(&a);
	agenda_end(&a, "a");
	for (int i = 0; i < 200; i++)
		add(&a, i % 2 == 0 ? "a" : "aa", i, false, i);
	agenda_end(&a, "a");
	for (size_t i = 0; i < a.n; i++)
		assert_int_equal(a.v[i].ended, strcmp(a.v[i].domain, "a") == 0);
	agenda_free(&a);
	assert_int_equal(a.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
