/*
 * post: a report goes to a web server, by HTTPS (RFC 8460 section 5.4).
 *
 *	the first process ── fork ──> the one that makes reports, locked in, which connects
 *	                  ── exec ──> fetch, with that connection (delivery/fetching.h)
 *
 * Whoever reads what strangers say may not start a program, and who may hears nothing but that
 * there is a connection.
 */
#ifndef POSTERN_POST_H
#define POSTERN_POST_H

#include "conf/conf.h"
#include "dns.h"
#include "lib/buf.h"
#include "process/launch.h"

enum {
	/* Fetches at once, where an honest maker asks for one after the other: those that have
	 * answered may be slow to end. */
	POST_FETCHES = 8,
};

struct poster {
	const struct conf *conf;
	struct resolver *resolver;
	int starter; /* socket to the first process */
	const char *domain; /* whose report it is */
	int64_t seconds;    /* for all of it, FETCH_TIME at most */
};

/*
 * What the first process does until the other one, its child `maker`, is gone: for each connection
 * that comes over this socket it starts a fetch, and gives back a socket to that; none, if it
 * cannot, or POST_FETCHES run. It waits for those that have ended, and leaves the maker to the
 * caller.
 */
void post_start_all(int socket, pid_t maker, const struct launcher *l);

/*
 * Posts the report, packed. 0; -EPERM: it is refused, or can never get there; -EAGAIN: not now;
 * -ETIMEDOUT: the same, and its time is over; -ECHILD: this host cannot. The reason is in *why.
 */
int post_report(const struct poster *p, const char *url, struct span packed, struct buf *why);

#endif
