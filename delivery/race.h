/*
 * race: which of the hosts for a lane greets first?
 *
 * Preference decides (RFC 5321 section 5.1); among hosts of equal preference, and among the addresses of a
 * host, the one that was quickest of late starts first, the next a moment later, and the first to greet
 * has won (RFC 8305 in spirit). A worse preference starts when all better ones have failed, or said
 * nothing for long; those that failed a short while ago come after all others.
 */
#ifndef POSTERN_RACE_H
#define POSTERN_RACE_H

#include "dns.h"
#include "lib/buf.h"
#include "conf/conf.h"

struct runner;

struct race {
	const struct conf *conf;
	int hosts;           /* directory of hosts.h, or less than 0 */
	struct runner *v;    /* owned; in the order of starting */
	size_t n;
	size_t started;
	bool silent;         /* hosts that wait for us to begin (TLS from the first octet): to connect is to win */
};

/* The runners of a race; the order of starting is fixed here. 0 or -ENOMEM. */
int race_begin(struct race *r, const struct conf *conf, int hosts, const struct exchangers *x);

/*
 * The next one to greet, with its greeting still unread; starts runners as needed. A non-blocking fd that
 * is the caller's, and who it is in *winner; -1: there is none left, and *why is about the last that
 * failed. May be asked again if the winner turns out to be of no use.
 */
int race_next(struct race *r, struct exchanger *winner, struct buf *why);

/* Those still on their way stop. */
void race_end(struct race *r);

#endif
