/*
 * sending: mail over one connection, in as few round trips as the host allows.
 *
 *	lock step   without PIPELINING: a command, its reply, the next command
 *	groups      PIPELINING (RFC 2920): MAIL, RCPT and DATA of a message go out behind the end
 *	            of the one before, so a message costs one round trip
 *	window      PIPELINING and CHUNKING (RFC 3030): messages follow each other whole, up to a
 *	            number and a size, before the first reply is read; behind each goes RSET,
 *	            which ends what failed and shows that replies and commands are still in step
 *
 * A job is one transaction. sending_start sends as much of it as can be sent without waiting for
 * the end of the job; sending_land brings back the jobs in the order in which they were started,
 * with outcome and reply of each recipient. If the connection is lost, it is unknown of no more
 * messages than the window holds whether the host took them.
 */
#ifndef POSTERN_SENDING_H
#define POSTERN_SENDING_H

#include "sending/body.h"

enum { JOB_RCPTS = 100 }; /* recipients of one transaction (RFC 5321 section 4.5.3.1.8) */

struct job {
	const struct message *m;
	struct rcpt *to[JOB_RCPTS];
	int n;
	int domains; /* of them, where the host set a limit */
	enum job_end {
		JOB_OPEN,
		JOB_ANSWERED, /* each recipient has its outcome */
		JOB_LOST,     /* the connection broke in it: SOFT, and it may be to blame */
		JOB_UNTRIED,  /* the connection broke before its turn: no reply was about it */
	} end;
	bool sent; /* the text went out whole: after a loss, the host may have taken it */

	/* of sending.c */
	struct text text;
	struct job *next;
	unsigned offered;  /* l->host.can as it was when the envelope went out */
	bool windowed;
	bool heard;       /* the host has answered its MAIL */
	bool turned_away; /* ... with a refusal that may be about this connection */
	int accepted;
	int replied; /* LMTP: so many of `to` have heard the last word */
};

/* Can another message go by this connection? */
bool sending_is_open(const struct link *l);

/*
 * Has the host brought at least one transaction of this connection to an end? Known also when the
 * connection is gone.
 */
bool sending_was_of_use(const struct link *l);

/* Adds one more recipient. False: a transaction with this host may not have one more (RFC 9422). */
bool sending_add(const struct link *l, struct job *j, struct rcpt *to);

/*
 * The caller set m and added recipients. The job belongs to the link until sending_land returns it.
 */
void sending_start(struct link *l, struct job *j);

/* Waits for the end of the oldest job and takes it back; NULL if there is none. */
struct job *sending_land(struct link *l);

/*
 * Takes the oldest job back as it is, when nothing more is to be said or heard; NULL if there is
 * none.
 */
struct job *sending_drop(struct link *l);

/* How many jobs are on their way? */
int sending_jobs(const struct link *l);

/* Has the host taken the message for at least one of its recipients? */
bool sending_any_done(const struct job *j);

/* Is there no room for another job before one has landed? */
bool sending_full(const struct link *l);

/* Has the oldest job ended, so that sending_land does not wait? */
bool sending_landed(const struct link *l);

#endif
