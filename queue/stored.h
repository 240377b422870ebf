/*
 * stored: a queued message, in its file and as it is held in memory. The file:
 *
 *	Postern-Message: 1
 *	Id: <id>
 *	Arrived: <s since 1970>
 *	From: <address>                    empty: the null reverse path
 *	Body: 8BITMIME                     this and others: what MAIL asked for (envelope.h)
 *	To: <lane> <address>               one for each recipient, in the order of RCPT
 *	Notify: FAILURE                    this and Orcpt: what RCPT asked for, of the To before it
 *	States: ww                         an octet for each To, in their order: w waiting,
 *	                                   d delivered, f failed
 *	                                   (an empty line)
 *	<body: CRLF lines, not dot-stuffed>
 *	End: <20 digits: octets of body> <8 hex digits: CRC-32C of all before this line> <id>
 *
 * What its sender says of TLS in the header (RFC 8689) is read there and stands nowhere else.
 *
 * Readers skip fields that they do not know. Nothing in the file changes after it was committed but
 * the octets of States, each of which is written in place when its recipient is settled: that needs
 * no room, however full the disk is. The sum is of the file as it was committed. A file of a
 * version that had no States keeps the outcomes in its log.
 */
#ifndef POSTERN_STORED_H
#define POSTERN_STORED_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/id.h"
#include "lib/outcome.h"
#include "mail/envelope.h"

#define MESSAGE_MAGIC "Postern-Message: 1"

enum {
	/* Octets of the envelope, which writer and reader hold in memory, up to States. */
	MESSAGE_HEAD = 512 * 1024,
	/* Octets of the line States: a To has at least 8. */
	MESSAGE_STATES = 16 + MESSAGE_HEAD / 8,
};

enum { STATE_WAITING = 'w', STATE_DELIVERED = 'd', STATE_FAILED = 'f' };

enum { MESSAGE_END_SIZE = 4 + 1 + 20 + 1 + 8 + 1 + ID_LEN + 1 };

struct rcpt {
	struct span address;
	struct terms terms;
	int index; /* its place among all recipients of the file */
	/* What became of it; DONE and HARD are settled and not tried again. */
	bool settled;
	enum outcome outcome;
	struct buf text; /* the reply, escaped, for log and report */
	bool grey;       /* put off at RCPT, as greylists do */
	bool own;        /* the word that it was refused by was about this recipient alone */
	bool crowded;    /* there was room for others in the transaction, and none for it */
	bool expired;    /* HARD, and it is time alone that made it so */
	bool again;      /* refused for the words that went with it: once more without them */
	bool unfit;      /* not sent, for the host lacks what it needs; another one may have it */
	struct {
		bool dsn, deliverby;
		bool final; /* it is the last one: what it took is delivered */
	} taker; /* what the host that took it can do, if one did */
};

struct message {
	char id[ID_SIZE];
	int fd;
	int64_t arrived;
	struct envelope env;
	struct rcpt *rcpt; /* those of this lane */
	int n;
	struct span states; /* in the head: of all recipients of the file; NULL: there are none */
	int64_t body;      /* where it begins in the file */
	uint64_t length;   /* of the body, octets */
	bool eightbit;     /* the body holds octets beyond ASCII */
	bool header_eightbit; /* ... in a field of its header */
	bool tls_optional; /* its header says TLS-Required: No, and REQUIRETLS was not asked for */
	bool binary;       /* it is BINARYMIME, and holds what is not lines (RFC 3030 section 3) */
	bool untold;       /* there is no log of it in this lane */
	int attempts;      /* that were about this message and ended soft */
	int crashes;       /* ... of those, attempts with which the relay died */
	int without_tls;   /* ... and with which TLS did not work that it must have */
	bool no_tls;       /* ... and so it is with this one */
	int cuts;          /* ... and with which the connection ended among the recipients */
	bool cut;          /* ... and so it is with this one */
	int lates;         /* ... and with which no word about the text came in time */
	bool late;         /* ... and so it is with this one */
	unsigned told;     /* TOLD_*: what its sender heard of those who wait */
	struct buf head;   /* owns the text the spans point into */
};

#define MESSAGE_CLOSED ((struct message){ .fd = -1 })

/* That it takes long; that the time is over after which the sender wants to know (RFC 2852). */
enum { TOLD_DELAYED = 1, TOLD_OVERDUE = 2 };

/*
 * Is the header an internationalized one, which only hosts with SMTPUTF8 can have (RFC 6532)? A
 * client that said SMTPUTF8 has but allowed it.
 */
static inline bool
message_is_global(const struct message *m)
{
	return m->env.utf8 && m->header_eightbit;
}

/* Since when it could be sent (RFC 4865). */
static inline int64_t
message_since(const struct message *m)
{
	return m->env.hold > m->arrived ? m->env.hold : m->arrived;
}

/* It will not be tried again. */
static inline void
rcpt_set_settled(struct rcpt *r, enum outcome o)
{
	r->settled = true;
	r->outcome = o;
}

/* A number of a file or a log; -1: that is odd. */
static inline int64_t
stored_number(struct span s)
{
	int64_t v = span_number(s);
	return v < INT64_MAX ? v : -1;
}

/* The next line of *s without its newline; false at the end, and of one that was torn. */
static inline bool
stored_line(struct span *s, struct span *line)
{
	const char *nl = s->n > 0 ? memchr(s->p, '\n', s->n) : NULL;
	if (nl == NULL)
		return false;
	*line = span_from(s->p, nl);
	*s = span_from(nl + 1, s->p + s->n);
	return true;
}

#endif
