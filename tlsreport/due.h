/*
 * due: which domains are to have their report on TLS now, and what becomes of it.
 *
 * When a day (UTC) is over each domain has a time of its own, from DUE_FIRST on and within
 * DUE_SPREAD, so that not all who report to it do so at midnight (RFC 8460 section 4.1). Then its
 * TXT records are looked up; what cannot be looked up, or posted, is tried again, at longer and
 * longer intervals (section 5.5), until the day is DUE_END over. Nobody is asked about a domain
 * that no mail went to.
 *
 * Who does not answer costs the time of a try, and there may be any number of them. So what is
 * slow, look-ups and posts, has a share of each run: that of what was never tried, and that of what
 * was tried in vain (agenda.h). What is left of a share's work is done by the next run, a minute
 * later. Mail goes out as soon as its domain was looked up, and waits for nobody's web server.
 */
#ifndef POSTERN_DUE_H
#define POSTERN_DUE_H

#include "conf/conf.h"
#include "dns.h"
#include "queue/spool.h"

enum {
	DUE_FIRST = 15 * 60,      /* s: whoever counts for the day that is over has done so */
	DUE_SPREAD = 4 * 60 * 60,
	/* s from one try in vain to the next: as long as it is due already, but within these two */
	DUE_AGAIN = 60 * 60,
	DUE_AGAIN_MOST = 8 * DUE_AGAIN,
	DUE_END = 2 * 24 * 60 * 60,
	/* s of a run for each of the four kinds of tries: together so short that whose time comes
	 * meanwhile waits for less than half an hour, and so long that to begin anew costs nothing
	 * beside it */
	DUE_SHARE = 5 * 60,
	/* s for the first post of a report, which takes a second or two where the server answers;
	 * what it is too short for has FETCH_TIME an hour later */
	DUE_QUICK = 15,
};

struct due {
	const struct conf *conf;
	const struct spool *spool;
	struct resolver *resolver;
	bool is_signed; /* a key signs what is from tls_reports_from */
	int starter;   /* socket to who starts a fetch (post.h) */
	int64_t now;   /* wall clock, s, when the run began */
	int64_t share; /* ms: DUE_SHARE; of each kind one is tried, whatever that takes */
	int dir;       /* tlsrpt/ */
	int64_t next;  /* when there is more to do, at the soonest */
};

/* Does all that is due, as far as its shares reach, and fills in d->next. */
void due_run(struct due *d);

/* When a domain's report of the day that ends then is due. */
int64_t due_time(const char *host, const char *domain, int64_t end);

#endif
