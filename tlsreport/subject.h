/* subject: a domain and day, of whose sessions there may be something to say. */
#ifndef POSTERN_SUBJECT_H
#define POSTERN_SUBJECT_H

#include "conf/conf.h"
#include "queue/spool.h"
#include "tlsreport/aggregate.h"

struct subject {
	const struct conf *conf;
	const struct spool *spool;
	const char *day, *domain;
	int dir; /* the domain's; owned by who opened it */
	bool is_signed; /* what is from tls_reports_from will be */
	struct aggregate what;
};

/* A line in the log about it. */
void subject_tell(const struct subject *s, int priority, const char *what);

/*
 * Not before that time (s). Where it stands, each name that comes or goes in the domain's directory
 * changes it; none does while it waits.
 */
void subject_put_off(const struct subject *s, int64_t until);

#endif
