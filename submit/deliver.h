/*
 * deliver: hands a message to smtpd. "250" is the only good end: then it is on disk, for all.
 *
 * One that has more recipients than a transaction may have goes in several, on a connection each.
 * All of them are brought as far as the last dot before the first is ended, so that what can be
 * refused is refused before anything is queued. From there on a signal does not end this process:
 * whoever started it would not learn whether there is a message.
 */
#ifndef POSTERN_DELIVER_H
#define POSTERN_DELIVER_H

#include "conf/hostname.h"
#include "submit/recipients.h"
#include "submit/text.h"
#include "submit/ways.h"

struct deliver {
	const struct way_terms *ways;
	const struct text *text;
	const struct recipients *to;
	struct recipient sender;      /* empty: the null sender */
	struct recipient author;      /* of From, where it is missing */
	const char *name;             /* the author's full name, or empty */
	const char *notify, *ret, *envid; /* values of NOTIFY, RET, ENVID; or NULL */
	char domain[HOSTNAME_SIZE];   /* for bare names; empty: smtpd's own name */
	struct buf said;              /* what came of it, in a line for the user */
};

/* EX_OK: queued, durably. Anything else: not. A line about either is in d->said. */
int deliver_message(struct deliver *d);

/* A connection by the first way there is: for `sendmail -bs`. The descriptor, or -1 and d->said. */
int deliver_connect(const struct way_terms *ways, struct buf *said);

#endif
