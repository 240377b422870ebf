/*
 * due: which domains are to have their report on TLS now, and what becomes of it.
 *
 * When a day (UTC) is over each domain has a time of its own, from DUE_FIRST on and within
 * DUE_SPREAD, so that not all who report to it do so at midnight (RFC 8460 section 4.1). Then its
 * TXT records are looked up; what cannot be looked up is tried again, until the day is DUE_END
 * over. Nobody is asked about a domain that no mail went to.
 */
#ifndef POSTERN_DUE_H
#define POSTERN_DUE_H

#include "conf/conf.h"
#include "dns.h"
#include "queue/spool.h"

enum {
	DUE_FIRST = 15 * 60,      /* s: whoever counts for the day that is over has done so */
	DUE_SPREAD = 4 * 60 * 60,
	DUE_AGAIN = 60 * 60,      /* s from one look-up in vain to the next */
	DUE_END = 2 * 24 * 60 * 60,
};

struct due {
	const struct conf *conf;
	const struct spool *spool;
	struct resolver *resolver;
	int starter; /* socket to who starts a fetch (post.h) */
	int64_t now; /* wall clock, s */
	int dir;     /* tlsrpt/ */
	int64_t next; /* when there is more to do, at the soonest */
};

/* Does all that is due, and fills in d->next. */
void due_run(struct due *d);

/* When a domain's report of the day that ends then is due. */
int64_t due_time(const char *host, const char *domain, int64_t end);

#endif
