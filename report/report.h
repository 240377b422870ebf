/*
 * report: the text of a report (RFC 3461, 3464, 6522, 6533).
 *
 * Text for a person first, then the fields for a program, then what is given back of the message.
 * Replies of other hosts were escaped when they were read, so that none of them can end a part or
 * a field (E11); the boundary is a queue id that did not exist before. All of it is ASCII, so
 * that every host takes it, but for the address of a sender that is not, and a message that is
 * given back whole.
 */
#ifndef POSTERN_REPORT_H
#define POSTERN_REPORT_H

#include "conf/conf.h"
#include "queue/message.h"

enum report_kind { REPORT_NOTHING, REPORT_FAILED, REPORT_DELAYED, REPORT_RELAYED, REPORT_DELIVERED,
	REPORT_KINDS };

struct report {
	const struct message *m;
	const struct conf *conf;
	const char *id;   /* of the report */
	struct span to;   /* the mailbox that it is for: the sender, or double_bounce */
	bool double_bounce; /* the message has no sender, or one who cannot be told */
	bool waiting;     /* it is also about recipients that still wait */
};

/* What is to be said about a recipient. */
enum report_kind report_kind(const struct report *r, const struct rcpt *to);

/* The whole mail, into a buffer without memory yet. 0 or -errno. */
int report_write(const struct report *r, struct buf *b);

#endif
