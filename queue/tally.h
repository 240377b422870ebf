/*
 * tally: what happened on a day, counted in the spool, by domain and by what it was.
 *
 *	tlsrpt/<day>/<domain>/<sum>  what it was, and behind that an octet for each time
 *	tlsrpt/<day>/<domain>/@out   the domain has had its report, or is to have none: nothing here
 *	                             counts any more
 *	tlsrpt/<day>/@done           ... and so have all of that day
 *
 * A day is one of UTC, "2026-11-30". To count is to append an octet to a file, so any number of
 * threads and processes may do it at once, and one that is killed has counted or not. Nothing is
 * synced: a power cut may cost what was counted last. A file is named when it is whole; the sum
 * behind its first part proves that. How many there are is bounded by those of lanes that had mail
 * on that day, and by TALLY_FILES for each.
 */
#ifndef POSTERN_TALLY_H
#define POSTERN_TALLY_H

#include "lib/span.h"
#include "queue/spool.h"

enum {
	TALLY_DAY = sizeof("2026-11-30"),
	TALLY_DAY_SECONDS = 24 * 60 * 60,
	/* Of a domain and day. What else happens is counted in brief, and that again in as many. */
	TALLY_FILES = 64,
	TALLY_KEY = 16 * 1024,   /* octets of what it was */
};

/* Held by who makes the reports. Its time is when there is more to do, at the soonest. */
#define TALLY_LOCK "@lock"
#define TALLY_DIR  "tlsrpt"
#define TALLY_OUT  "@out"
#define TALLY_DONE "@done"

struct tally {
	const struct spool *spool;
	int dir;         /* tlsrpt/; less than 0: it could not be opened */
	int64_t reserve; /* octets: with less beside it, no new file is made (spool_has_room) */
};

/* Does it count? One that is all zeros does not. */
static inline bool
tally_is_on(const struct tally *t)
{
	return t->spool != NULL && t->dir >= 0;
}

/* Opens tlsrpt/, which is made if it is missing. t->dir is the caller's to close, or -errno. */
void tally_open(struct tally *t, const struct spool *s, int64_t reserve);

/*
 * This happened once more on the day of `wall` (s). `brief` is counted in its place where there
 * are TALLY_FILES already. 0 or -errno: it is not counted.
 */
int tally_add(const struct tally *t, int64_t wall, const char *domain, struct span what,
	struct span brief);

/* The day that this time (s) is in. */
void tally_day(int64_t wall, char out[static TALLY_DAY]);

/* When a day begins (s); -1: that is no day. */
int64_t tally_begin(const char *day);

/*
 * Is there a day that is over, of which not all have had their report, and is it time to look
 * again? Tried by two or three calls, for it is asked once a minute.
 */
bool tally_waits(const struct spool *s, int64_t now);

/* The lock of who makes the reports: an fd; -EAGAIN: somebody has it; or -errno. */
int tally_lock(const struct spool *s);

/*
 * What one file of a domain holds: into *text, and how often that was. `dir` is the domain's. 0;
 * -ENODATA: it is none, or not whole; or -errno: it cannot be read now.
 */
int tally_read(int dir, const char *name, struct buf *text, int64_t *times);

#endif
