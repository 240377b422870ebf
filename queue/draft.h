/*
 * draft: a message on its way into the spool.
 *
 *	draft_begin, draft_recipient..., draft_body..., then draft_commit or draft_drop
 *
 * Errors stick: body and recipients may be added blindly, draft_commit reports the first error.
 * What was written goes with the first error already.
 *
 * The promise is one sentence: after draft_commit returned 0, the message survives the death of
 * every process and the loss of power.
 */
#ifndef POSTERN_DRAFT_H
#define POSTERN_DRAFT_H

#include "lib/buf.h"
#include "lib/id.h"
#include "mail/envelope.h"
#include "mail/lane_name.h"
#include "queue/spool.h"

enum {
	DRAFT_LANES = 100,        /* next hops of one transaction; one open directory each */
	DRAFT_BUFFER = 64 * 1024, /* octets gathered before a write: most messages need one */
};

struct draft {
	const struct spool *spool;
	char id[ID_SIZE];
	int64_t reserve;                     /* octets to leave free; -1: all may be used */
	int fd;                              /* in tmp/, locked; -1 before the first write */
	int err;                             /* 0 or the first -errno */
	bool head_written;
	struct buf head;                     /* envelope text */
	int recipients;
	int lanes;
	uint64_t length;                     /* octets of body */
	uint32_t crc;
	size_t fill;
	size_t deep;                         /* octets of the buffer that were ever filled */
	int broad;                           /* lanes that ever had a name */
	char lane[DRAFT_LANES][LANE_NAME_SIZE];
	char buffer[DRAFT_BUFFER];
};

/* Starts a message. 0 or -errno. */
int draft_begin(struct draft *d, const struct spool *s, const struct envelope *e);

/*
 * While it is written so many octets stay free, or it fails with -ENOSPC; else all may be used.
 * Asked after each full buffer, and not more rarely: many drafts may be written at the same time
 * (S4).
 */
void draft_leave_free(struct draft *d, int64_t octets);

/* 0, -E2BIG when it goes to too many lanes, or -errno. Nothing has changed on failure. */
int draft_recipient(struct draft *d, const char *lane, struct span address,
	const struct terms *terms);

/* Does it go to this address of this lane already? */
bool draft_has(const struct draft *d, const char *lane, struct span address);

/* The recipients so far; and: there are none but those any more. */
struct draft_mark {
	size_t head;
	int recipients, lanes;
};
struct draft_mark draft_mark(const struct draft *d);
void draft_return(struct draft *d, const struct draft_mark *m);

/* Adds to the body: wire form, CRLF, not dot-stuffed. */
void draft_body(struct draft *d, struct span bytes);

/*
 * Makes the message durable in all its lanes: names it, syncs the file, syncs the lanes, and only
 * then lets relays at it. 0: it is safe, and its lanes are in d->lane. -errno: nothing is left of
 * it. A sync that failed is never tried again.
 */
int draft_commit(struct draft *d);

/* Forgets a message that was begun and not committed. Safe on a zeroed draft. */
void draft_drop(struct draft *d);

/* Behind draft_drop: no octet of what was ever written is left in *d, which is zeroed. */
void draft_wipe(struct draft *d);

#endif
