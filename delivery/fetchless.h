/*
 * fetchless: has this host nothing to fetch policies of MTA-STS with?
 *
 * Where the program or the authorities are not installed, a relay sees that when it begins. What is
 * installed may be unable to come to be there all the same: a library is missing, it is killed
 * before it is locked in, it hangs. From here that looks like a host that is short of memory or
 * processes for a moment: that is none of a domain's fault, so mail waits for a policy that is not
 * known. But nobody may have to wait for that until his mail expires: RFC 8461 section 3.3 wants
 * mail to go on where a policy cannot be had, for any reason. So where no fetch came to be there
 * FETCHLESS_TIMES times in a row, and for FETCHLESS_AFTER, there is nothing to fetch with, and mail
 * goes by the policies that are kept alone. One is tried again each FETCHLESS_AGAIN, and the first
 * that is there ends all that.
 *
 * This is about the host and no domain: whatever a web server does, it does to a fetch that is
 * there. Who wants mail to go without its policy has to keep this host from starting programs, for
 * an hour on end.
 *
 *	sts/.fetchless   "since <time> last <time> times <n>": for the next relay; a hint
 */
#ifndef POSTERN_FETCHLESS_H
#define POSTERN_FETCHLESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	FETCHLESS_AFTER = 60 * 60, /* s: a shortage that lasts so long does not pass by itself */
	FETCHLESS_TIMES = 3,
	FETCHLESS_AGAIN = 5 * 60,  /* s; as for what came to nothing of a domain's own */
};

/* All times are of the wall clock, s. Couriers may ask at once. */
struct fetchless {
	bool missing;  /* it is not installed: nothing is tried */
	int dir;       /* where the file is; less than 0: this process alone knows */
	int64_t gap;   /* s: what is further apart is not in a row */
	pthread_mutex_t lock; /* of all that follows */
	int64_t since, last;  /* the first and the last one that was not there, in a row, */
	int64_t times;        /* ... and how many: 0: none */
	enum fetchless_news {
		FETCHLESS_NOTHING, /* that was not said before */
		FETCHLESS_FIRST,   /* one was not there; mail waits for it */
		FETCHLESS_OVER,    /* ... for long: mail does not wait any more */
		FETCHLESS_BACK,    /* one is there again */
	} said;
};

/* `dir` stays the caller's, and open. `gap`: between two attempts of the same mail, at most. */
void fetchless_begin(struct fetchless *f, int dir, int64_t gap);

/* Is there nothing to fetch with? Then no mail waits for a policy. */
bool fetchless_is(struct fetchless *f);

/* ... and it is not the time to try again. */
bool fetchless_rests(struct fetchless *f, int64_t now);

/* A fetch was there, or was not, and should have been. What this process has to say of it now. */
enum fetchless_news fetchless_note(struct fetchless *f, bool there, int64_t now);

/*
 * For who only looks, into such a directory: since when (s) nothing came to be there, where that is
 * for so long, and so often, that no mail waits for it; 0: it is not so, or nobody knows.
 */
int64_t fetchless_look(int dir);

#endif
