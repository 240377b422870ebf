/*
 * message: a queued message, as relay reads it. The file:
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
#ifndef POSTERN_MESSAGE_H
#define POSTERN_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/id.h"
#include "lib/outcome.h"
#include "mail/envelope.h"
#include "queue/lane.h"

#define MESSAGE_MAGIC "Postern-Message: 1"

enum {
	/* Octets of the envelope, which writer and reader hold in memory, up to States. */
	MESSAGE_HEAD = 512 * 1024,
	/* Octets of the line States: a To has at least 8. */
	MESSAGE_STATES = 16 + MESSAGE_HEAD / 8,
};

enum { STATE_WAITING = 'w', STATE_DELIVERED = 'd', STATE_FAILED = 'f' };

enum { MESSAGE_END_SIZE = 4 + 1 + 20 + 1 + 8 + 1 + ID_LEN + 1 };

/* The last line. */
void message_end(char out[static MESSAGE_END_SIZE + 1], uint64_t length, uint32_t crc,
	const char *id);

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

/* Is there a recipient who is not settled? */
bool message_waits(const struct message *m);

/*
 * Opens message `id` of this lane, checks that it is whole, and reads what happened to it before.
 * 0; -ENOENT: gone; -EAGAIN: its writer has not finished; -EBADMSG: not whole, or not ours; other
 * -errno: could not be read, or not be written to, now. On failure *m is closed.
 */
int message_open(struct message *m, const struct lane *l, const char *id);

/* The same of one of which message_next said that nothing was written yet: it is not looked for. */
int message_open_first(struct message *m, const struct lane *l, const char *id);

/*
 * For somebody who only looks: the envelope, who is settled and how often it was tried, without
 * reading the body, of which `body` and `length` are known. The file is closed again, so nobody is
 * kept from it; it may be in the hands of a relay. 0 or -errno, as message_open.
 */
int message_look(struct message *m, const struct lane *l, const char *id);

/*
 * Keeps relays away from a message that is open: from then on it has no other reader, and its name
 * is still in the lane; whoever opens it later finds it as it is then. 0; -EAGAIN: a relay has it
 * in hand; -ENOENT: it is gone; or -errno. Until message_close.
 */
int message_seize(const struct message *m, const struct lane *l);

/* False: it is a directory, a link, a pipe or a socket, which nobody ever queued. */
bool message_is_file(const struct lane *l, const char *id);

void message_close(struct message *m);

/*
 * Reads of a message only what its sender asked for with MAIL, and what was told; the rest of *m is
 * not to be used, but for message_close. Much cheaper than to open it. 0; -EBADMSG: that cannot be
 * seen; or -errno.
 */
int message_glance(struct message *m, const struct lane *l, const char *id);

/* Reads up to n octets of the body from `offset`. Octets, or -errno; 0 only at the end. */
ssize_t message_read(const struct message *m, uint64_t offset, char *p, size_t n);

/*
 * Wall-clock time before which this message is not tried; 0: at once, and nothing was written of it
 * yet. Does not open it.
 */
int64_t message_next(const struct lane *l, const char *id);

/*
 * Before it is sent: can be written down what becomes of it? A state is written again as it stands;
 * `full`: there is hardly any room, so it is seen through to the disk, for some file systems write
 * nothing in place. 0 or -errno: then it must not be sent.
 */
int message_try_mark(const struct message *m, bool full);

/*
 * Writes down who was settled, in the states. Synced before it returns. 0 or -errno: at least one
 * of them would be tried again.
 */
int message_mark(const struct message *m, const struct lane *l);

/*
 * Appends to the message's log what was said of those who were settled and, if that was the end of
 * an attempt, that the rest was put off. It is not tried before `next`, which may hold though there
 * was no room for words. 0 or -errno: that is lost, and nothing else.
 */
int message_note(const struct message *m, const struct lane *l, int64_t next, bool attempt);

/* Appends that the sender was told (TOLD_*). 0 or -errno. */
int message_tell(const struct message *m, const struct lane *l, unsigned told);

/* It is not tried before `next`, for a reason that is no attempt. 0 or -errno. */
int message_wait(const struct message *m, const struct lane *l, int64_t next);

/*
 * A relay died with this message in hand, so it is not opened: counts as an attempt. 0 or -errno.
 * *times: how often that was.
 */
int message_note_crash(const struct lane *l, const char *id, int *times);

/* A line of a message's log. */
struct message_line {
	enum message_event {
		MESSAGE_ODD,       /* none that is known */
		MESSAGE_PUT_OFF,   /* an attempt that left somebody waiting */
		MESSAGE_DELIVERED, /* a recipient is settled */
		MESSAGE_FAILED,
		MESSAGE_TOLD,      /* the sender was told, TOLD_* */
	} event;
	int64_t when;     /* wall clock, s; -1: that is odd */
	int64_t number;   /* time of the next attempt (0: a relay died), recipient, TOLD_* */
	struct span text; /* what was said, escaped; may be empty */
};

void message_read_line(struct span line, struct message_line *out);

/* Did that ever happen? Read from its log alone. */
bool message_has_crashed(const struct lane *l, const char *id);

/* Takes the message and its log out of the lane. 0 or -errno. */
int message_remove(const struct lane *l, const char *id);

/*
 * The same of one that is open. If it had no log then, none is looked for: one that was begun
 * meanwhile is taken away by the next scan.
 */
int message_finish(const struct message *m, const struct lane *l);

/* Moves an incomplete message out of the way. 0 or -errno. */
int message_set_aside(const struct spool *s, const struct lane *l, const char *id);

#endif
