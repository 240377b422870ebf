/*
 * submission: what becomes of the addresses of mail that this site's own clients submit (RFC 6409).
 * Mail of strangers, which passes through, is none of this, but for one thing: `guard` is about all
 * that leaves this host, whoever it is of.
 *
 * Values in, values out: a session does what is said here, and a command for the operator can say
 * beforehand what it will do.
 */
#ifndef POSTERN_SUBMISSION_H
#define POSTERN_SUBMISSION_H

#include "conf/conf.h"
#include "mail/address.h"
#include "mail/rewrite.h"

/* As whom a client may send anywhere; bits. */
enum {
	SUBMITTER_LOCAL = 1, /* of this host (session/peer.h: peer_is_local) */
	SUBMITTER_NETS = 2,  /* in relay_nets */
	SUBMITTER_AUTH = 4,  /* a user who authenticated */
};

enum { SUBMISSION_SENDER = LIMIT_PATH + 1 };

/* Reads a value of add_missing. False: it is none. */
bool submission_submitters(struct span words, unsigned *out);

/*
 * The envelope sender instead of the one that was given: force_from, or another domain by
 * masquerade, written to `room`; else as it is. The null sender stays that: what comes back to it
 * would come back for ever. So does one that would be too long.
 */
struct span submission_sender(const struct conf *c, struct span given,
	char room[static SUBMISSION_SENDER]);

/* What is done to the header, but for what the message says itself: the id and the sender. */
struct rewrite_plan submission_plan(const struct conf *c, unsigned submitter);

enum submission_verdict {
	SUBMISSION_AS_GIVEN,
	SUBMISSION_ELSEWHERE, /* to the addresses that were appended */
	SUBMISSION_GUARDED,   /* `guard` lets no mail go there */
	SUBMISSION_SUNK,      /* as it was given, in the lane of GUARD_ROUTE (guard.h) */
	SUBMISSION_TOO_LONG,  /* recipient_map makes an address of it that no path can hold */
};

/*
 * Where mail for a recipient goes, by recipient_map, if it is mail of our `own`, and then by guard:
 * addresses are appended, each with LF. `out` holds at least SUBMISSION_RECIPIENTS octets.
 */
enum { SUBMISSION_RECIPIENTS = 100 * (2 * LIMIT_ADDRESS + 1) };
enum submission_verdict submission_recipients(const struct conf *c, bool own,
	const struct address *to, struct buf *out);

/* Does guard send all mail to one address? */
bool submission_redirects(const struct conf *c);

/* May mail go to this address? Not if guard lets none go there. */
bool submission_may_leave(const struct conf *c, struct span address);

/* May reports about a sender's mail go to that sender? A null sender gets none anyway. */
bool submission_may_report(const struct conf *c, struct span sender);

#endif
