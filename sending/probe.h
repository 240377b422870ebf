/*
 * probe: what a host does in fact, beside what it announces.
 *
 * A text that goes out before the host took a recipient may be refused, and its octets must be
 * thrown away then (RFC 3030 section 2). A host that reads them as commands instead would do what
 * anybody wrote into a message. So before the first window with a host a BDAT without a transaction
 * is sent, whose octets would be a NOOP: one reply to it, and the octets were thrown away.
 */
#ifndef POSTERN_PROBE_H
#define POSTERN_PROBE_H

#include "sending/link.h"

enum mark {
	MARK_SEEN,
	MARK_LATE,      /* behind replies to nothing that we asked, all of them 2yz */
	MARK_REFUSED,   /* the host does not take it, and said nothing more */
	MARK_SHORT,     /* ... or said a 2yz that is not the list: it may belong to anything */
	MARK_LOST,      /* the connection is lost, or about to be */
	MARK_MISPLACED, /* what came instead is the reply to another command */
};

/*
 * The mark: EHLO once more (RFC 5321 section 4.1.4). The list that it is answered with looks like
 * no other reply, so if that comes in its place, and nothing behind it, all replies before it were
 * to the commands that we think. For hosts that announced PIPELINING or CHUNKING by such a list.
 */
void probe_put_mark(struct link *l);
enum mark probe_read_mark(struct link *l);

/* RSET, which ends a transaction, and its reply, which is all that is owed. */
enum mark probe_reset(struct link *l);

/*
 * Both as one group. A host that says its list but once has refused the mark; that is as good where
 * RSET before it was taken.
 */
enum mark probe_reset_and_mark(struct link *l);

/*
 * Nothing is owed, and no transaction is open. Does the host throw away the octets of a BDAT that
 * it refuses? Asked once for each connection if it is not known; what was learned is in l->lessons.
 * False: it does not, and the connection may have been closed.
 */
bool probe_discards(struct link *l);

/* The host does no right by BDAT: nothing goes by it from now on, nor by the next connection. */
void probe_drops_bdat(struct link *l);

#endif
