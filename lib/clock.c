#include "lib/clock.h"

#include <limits.h>
#include <stdio.h>
#include <time.h>

enum { MS_PER_S = 1000, US_PER_S = 1000000, NS_PER_MS = 1000000, NS_PER_US = 1000 };

int64_t
clock_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * MS_PER_S + t.tv_nsec / NS_PER_MS;
}

int64_t
clock_deadline(int64_t seconds)
{
	return clock_ms() + seconds * MS_PER_S;
}

int
clock_left(int64_t deadline)
{
	if (deadline == CLOCK_NEVER)
		return -1;
	int64_t left = deadline - clock_ms();
	if (left <= 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

int64_t
clock_wall(void)
{
	return clock_wall_us() / US_PER_S;
}

int64_t
clock_wall_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / NS_PER_US;
}

void
clock_date(int64_t wall, char out[static CLOCK_DATE_SIZE])
{
	static const char day[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char month[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)wall;
	struct tm tm;
	if (gmtime_r(&t, &tm) == NULL) /* a year that does not fit into an int */
		tm = (struct tm){ .tm_mday = 1, .tm_year = 70, .tm_wday = 4 };
	/* strftime would ask the locale for the names. */
	snprintf(out, CLOCK_DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u +0000",
		day[tm.tm_wday], (unsigned)tm.tm_mday % 100, month[tm.tm_mon],
		(unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
		(unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

void
clock_stamp(int64_t wall, char out[static CLOCK_STAMP_SIZE])
{
	time_t t = (time_t)wall;
	struct tm tm;
	if (gmtime_r(&t, &tm) == NULL)
		tm = (struct tm){ .tm_mday = 1, .tm_year = 70 };
	snprintf(out, CLOCK_STAMP_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ",
		(unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		(unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		(unsigned)tm.tm_sec % 100);
}
