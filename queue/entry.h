/*
 * entry: a line of a message's log (history.h): what became of it in a lane, and when.
 *
 *	<time> soft <next> <text>        an attempt that left somebody waiting; <next> 0: a relay
 *	                                 died with it (a version had no text)
 *	<time> done|hard <index> <text>  a recipient is settled
 *	<time> told <TOLD_*>             the sender was told
 *	<time> no-tls 0                  the attempt told next had no TLS, which it must have
 *	<time> cut 0                     ... lost its connection among the recipients
 *	<time> late 0                    ... heard no word about the text in time
 *
 * A line that is torn or unknown is none. It costs at worst a duplicate, never a recipient.
 */
#ifndef POSTERN_ENTRY_H
#define POSTERN_ENTRY_H

#include "queue/stored.h"

/* What a line says, of which `text` is a part. */
struct entry {
	enum entry_event {
		ENTRY_ODD,       /* none that is known */
		ENTRY_PUT_OFF,   /* an attempt that left somebody waiting */
		ENTRY_DELIVERED, /* a recipient is settled */
		ENTRY_FAILED,
		ENTRY_TOLD,      /* the sender was told, TOLD_* */
		/* No events by themselves: */
		ENTRY_NO_TLS,    /* TLS that it must have did not work */
		ENTRY_CUT,       /* the connection ended among the recipients */
		ENTRY_LATE,      /* no word about the text came in time */
	} event;
	int64_t when;     /* wall clock, s; -1: that is odd */
	int64_t number;   /* time of the next attempt (0: a relay died), recipient, TOLD_* */
	struct span text; /* what was said, escaped; may be empty */
};

void entry_read(struct span line, struct entry *out);

/* Is it an event, for people? */
static inline bool
entry_is_event(const struct entry *e)
{
	return e->event != ENTRY_ODD && e->event < ENTRY_NO_TLS;
}

/*
 * What the lines of a log say of a message: attempts, crashes, what was told; and who is settled,
 * for there were versions in which nothing else said that.
 */
void entry_apply_all(struct message *m, struct span log);

/* ---- lines that are added ---- */

/* The end of an attempt, now. Of those who wait the first one's reply stands for all. */
void entry_put_attempt(struct buf *text, const struct message *m, int64_t next);

/* A line for each recipient that was settled now. */
void entry_put_outcomes(struct buf *text, const struct message *m);

void entry_put_told(struct buf *text, int64_t now, unsigned told);
void entry_put_crash(struct buf *text, int64_t now);

#endif
