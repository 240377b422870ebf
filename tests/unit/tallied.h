/* What tests of the counts for reports on TLS begin with: a spool, and its directory tlsrpt. */
#ifndef POSTERN_TEST_TALLIED_H
#define POSTERN_TEST_TALLIED_H

#include "tests/unit/spooled.h"

#include "queue/tally.h"

enum { THEN = 1796000000 }; /* 2026-11-30T09:33:20Z */

static struct tally tally;

static inline int
setup_tally(void **state)
{
	int r = setup(state);
	tally_open(&tally, &sp, 0);
	return r < 0 ? r : tally.dir < 0;
}

static inline int
teardown_tally(void **state)
{
	close(tally.dir);
	return teardown(state);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_tally, teardown_tally)

#endif
