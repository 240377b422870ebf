/*
 * clock: deadlines and dates.
 *
 * A deadline is an absolute time on the monotonic clock in milliseconds; it is made once and handed
 * down, so that many small waits cannot add up to more than was allowed. Wall-clock time is used
 * only for what people and other hosts read: dates, ages of messages, times of the next attempt.
 */
#ifndef POSTERN_CLOCK_H
#define POSTERN_CLOCK_H

#include <stdint.h>

#define CLOCK_NEVER INT64_MAX /* a deadline that does not come */

/* Monotonic now, ms. */
int64_t clock_ms(void);

/* The deadline `seconds` from now. */
int64_t clock_deadline(int64_t seconds);

/* Milliseconds left until `deadline` for poll(2): 0 when it has passed, -1 for CLOCK_NEVER. */
int clock_left(int64_t deadline);

/* The earlier of two deadlines. */
static inline int64_t
clock_earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Wall clock now: seconds, and microseconds, since 1970. */
int64_t clock_wall(void);
int64_t clock_wall_us(void);

enum { CLOCK_DATE_SIZE = 32 }; /* "Tue, 24 Nov 2026 00:20:18 +0000" and NUL */

enum { CLOCK_STAMP_SIZE = 24 }; /* "2026-11-24T00:20:18Z" and NUL */

/* RFC 3339 date-time in UTC. */
void clock_stamp(int64_t wall, char out[static CLOCK_STAMP_SIZE]);

/* RFC 5322 section 3.3 date-time in UTC, with numeric zone as RFC 5321 section 4.4 wants it. */
void clock_date(int64_t wall, char out[static CLOCK_DATE_SIZE]);

#endif
