/*
 * stscache: the policies of MTA-STS that were fetched, a small file for each domain in the spool,
 * for all relays and their couriers.
 *
 *	sts/<domain>     "id <id>", "fetched <time>", "tried <time> <times> <id>", "changed <time>
 *	                 <times>", each a line; an empty line; and the policy as it came
 *
 * What is there was proved by the domain's certificate when it was fetched, and is in force for as
 * long as it says, whatever the DNS says meanwhile (RFC 8461 section 5.1): so a file is written
 * beside the old one, synced, and takes its place. One that cannot be read counts as none. Its
 * modification time is when it may go.
 *
 * What cannot be written, because the disk is full, say, is known to this process alone, as long as
 * it lives: a lane is come back to, and has no weaker policy then.
 */
#ifndef POSTERN_STSCACHE_H
#define POSTERN_STSCACHE_H

#include "lib/buf.h"
#include "mail/sts.h"

enum {
	STSCACHE_FILES = 10000, /* domains: of those that a site sends to, some hundreds have one */
	/* Beyond these there is no room for one of which no policy could be fetched: that costs a
	 * stranger a line in the DNS, and a policy a certificate for each domain. */
	STSCACHE_VAIN = STSCACHE_FILES / 2,
	STSCACHE_UNWRITTEN = 100, /* entries that are kept in memory, of 64 KB at most each */
};

struct stscache {
	int dir; /* less than 0: of files nothing is known, and none is written */
	struct stscache_memory *memory; /* has a lock; NULL: what is not written is not kept */
};

struct stscache_entry {
	char id[STS_ID + 1];       /* that the record had when it was fetched; "": there is none */
	int64_t fetched;           /* wall clock, s */
	int64_t tried;             /* the last fetch that came to nothing since then; 0: none did */
	int64_t times;             /* so many in a row, */
	char tried_id[STS_ID + 1]; /* for this id */
	int64_t changed;           /* the last fetch because of another id than before; 0: none */
	int64_t changes;           /* so many, none of them a day behind the one before */
	struct sts_policy policy;  /* if there is an id; its text is this one: */
	struct buf text;           /* owned */
};

/* Nothing is known. To be freed. */
#define STSCACHE_ENTRY_NONE ((struct stscache_entry){ .text = { .max = STS_TEXT } })

/* Opens sts/ in the directory of a spool, made if it is missing. To be closed. */
void stscache_open(struct stscache *c, int spool);

/* The same for somebody who only looks: nothing is made. */
void stscache_look(struct stscache *c, int spool);

void stscache_close(struct stscache *c);

/* What is known of the domain, which is the name of a lane; NONE if nothing is. */
void stscache_load(const struct stscache *c, const char *domain, struct stscache_entry *out);

/*
 * 0, or -errno: it is not in a file; -EDQUOT: there are too many (of its kind), and it is a new
 * one.
 */
int stscache_save(const struct stscache *c, const char *domain, const struct stscache_entry *e);

/* Is there a policy whose time is not over? */
bool stscache_is_valid(const struct stscache_entry *e, int64_t now);

/* s since it was fetched; 0 if the clock was set back. */
int64_t stscache_age(const struct stscache_entry *e, int64_t now);

/* Removes what has been of no use for a day. */
void stscache_sweep(const struct stscache *c);

void stscache_free(struct stscache_entry *e);

#endif
