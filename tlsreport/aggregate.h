/*
 * aggregate: what was counted of a day's sessions, as the JSON of a report on TLS (RFC 8460 section
 * 4.4), compressed.
 *
 * Sessions under the same policy are one entry; of those that failed there is a line for each host,
 * address and reason.
 */
#ifndef POSTERN_AGGREGATE_H
#define POSTERN_AGGREGATE_H

#include "lib/buf.h"

enum {
	AGGREGATE_MAX = 8 * 1024 * 1024, /* octets: more than all files of a domain can hold */
	AGGREGATE_ID = 600,
};

/* What the report begins with. */
struct aggregate {
	const char *day;          /* "2026-11-30" */
	const char *domain;       /* whose */
	const char *organization; /* ours */
	const char *contact;      /* a mailbox of ours */
	char id[AGGREGATE_ID];    /* the same each time, of this day, domain and host */
};

/* Gives it its id: `host` is our name. */
void aggregate_name(struct aggregate *a, const char *host);

/*
 * Reads all that was counted in `dir`, the directory of the domain (queue/tally.h). What is odd
 * there is passed by; where a part cannot be read now there is no report without it. The JSON into
 * *out, one without memory yet. 0; -ENODATA: nothing was counted; or -errno.
 */
int aggregate_write(const struct aggregate *a, int dir, struct buf *out);

/* gzip (RFC 1952) of it into *out. 0 or -errno. */
int aggregate_pack(struct span text, struct buf *out);

#endif
