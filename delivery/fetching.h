/*
 * fetching: what is asked of a web server, by fetch (fetch.c): where it is, a connection to it, and
 * the question (lib/fetchwire.h).
 *
 * A host is looked up, and its addresses judged, as those of a mail host that the DNS named: what
 * no mail may go to nothing is fetched from.
 */
#ifndef POSTERN_FETCHING_H
#define POSTERN_FETCHING_H

#include "conf/conf.h"
#include "dns.h"
#include "lib/buf.h"
#include "lib/fetchwire.h"
#include "process/launch.h"

enum { FETCHING_MOST = 16 }; /* at once, for one relay: each is a process with a TLS of its own */

/* Instead of a connection: this host is short of memory or descriptors, or hears no nameserver. */
enum { FETCHING_UNABLE = -2 };

/*
 * Connects to the host at this port, until the deadline. A non-blocking descriptor; or -1, or
 * FETCHING_UNABLE, and the reason in *why.
 */
int fetching_connect(struct resolver *r, const struct conf *conf, const char *host, uint16_t port,
	int64_t deadline, struct buf *why);

/* The same, but to no address for which allow_destinations is needed. */
int fetching_connect_outside(struct resolver *r, const struct conf *conf, const char *host,
	uint16_t port, int64_t deadline, struct buf *why);

/*
 * Starts fetch with its end of a pair of stream sockets, and a connection. Its pid or -errno. Reaps
 * nothing.
 */
pid_t fetching_start(const struct launcher *l, const int fds[static 2]);

/*
 * Did a fetch end that way (wait(2)) as one that does its work does not? Then *why says how it
 * ended: the program itself may have been unable to log anything.
 */
bool fetching_has_failed(int status, struct buf *why);

/*
 * Asks the fetch at the other end of `fd`, posts what q->post says, and hears its reply and *body.
 * Both have the time up to the deadline, whatever q->ms is. FETCH_*; unless DONE the reason is in
 * *why. NONE: no fetch came to be at the other end, whatever this host is short of; the web server
 * has nothing to do with it.
 */
enum fetch_trouble fetching_ask(int fd, const struct fetch_question *q, const char *post,
	int64_t deadline, struct fetch_reply *reply, struct buf *body, struct buf *why);

#endif
