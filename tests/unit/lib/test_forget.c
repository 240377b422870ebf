/* forget: what was freed, has moved, or stands on the stack below is gone. */
#include "tests/unit/unit.h"

#include <malloc.h>
#include <stdlib.h>

#include "lib/forget.h"

static const char text[] = "what a client said to us";

/* A checker does not let us look at what we have freed. */
static void
skip_where_watched(void)
{
#ifdef POSTERN_INSTRUMENTED
	skip();
#endif
}

/* Copies of it in memory that nobody has. */
static int
find(const char *p, size_t n)
{
	int found = 0;
	for (size_t i = 0; i + sizeof(text) <= n; i++)
		found += memcmp(p + i, text, sizeof(text)) == 0;
	return found;
}

static void
test_freed(void **state)
{
	(void)state;
	skip_where_watched();
	char *volatile p = malloc(200);
	size_t n = malloc_usable_size(p);
	uintptr_t where = (uintptr_t)p;
	snprintf(p + 100, 100, "%s", text);
	free(p);
	assert_int_equal(find((const char *)where, n), 0);
}

static void
test_moved(void **state)
{
	(void)state;
	skip_where_watched();
	enum { MUCH = 1024 * 1024 };
	char *p = malloc(200);
	size_t n = malloc_usable_size(p);
	uintptr_t where = (uintptr_t)p;
	memset(p, 'x', 200);
	snprintf(p + 100, 100, "%s", text);
	char *in_the_way = malloc(200);
	char *more = realloc(p, MUCH);
	assert_int_equal(find(more, 200), 1);
	uintptr_t now = (uintptr_t)more;
	assert_true(now != where);
	assert_int_equal(find((const char *)where, n), 0);
	more = realloc(more, 10);
	assert_true((uintptr_t)more == now); /* what does not grow stays where it is */
	char *fresh = realloc(NULL, 10);
	assert_non_null(fresh);
	free(fresh);
	free(in_the_way);
	free(more);
}

static uintptr_t left;

__attribute__((noinline)) static void
leave_on_stack(void)
{
	volatile char room[8192];
	for (size_t i = 0; i < sizeof(text); i++)
		room[i] = text[i];
	left = (uintptr_t)room;
}

static void
test_stack(void **state)
{
	(void)state;
	skip_where_watched();
	leave_on_stack();
	forget_stack();
	const volatile char *at = (const volatile char *)left;
	int same = 0;
	for (size_t i = 0; i + 1 < sizeof(text); i++)
		same += at[i] == text[i];
	assert_int_equal(same, 0);
}

static int
enter(void **state)
{
	(void)state;
	forget_what_is_freed();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_freed),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_stack),
	};
	return cmocka_run_group_tests_name("forget", tests, enter, NULL);
}
