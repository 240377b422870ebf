/*
 * sending: mail over one connection, in as few round trips as the host allows.
 *
 *	lock step   without PIPELINING: a command, its reply, the next command
 *	groups      PIPELINING (RFC 2920): MAIL, RCPT and DATA of a message go out behind the end
 *	            of the one before, so a message costs one round trip
 *	window      PIPELINING and CHUNKING (RFC 3030): messages follow each other whole, up to a
 *	            number and a size, before the first reply is read (window.h); with hosts that
 *	            were seen to throw away what they refuse (probe.h)
 *
 * A job is one transaction. sending_start sends as much of it as can be sent without waiting for
 * the end of the job; sending_land brings back the jobs in the order in which they were started,
 * with outcome and reply of each recipient. If the connection is lost, it is unknown of no more
 * messages than the window holds whether the host took them.
 *
 * The room, each file above those that it calls:
 *
 *	begin      what is said before the first job: greeting, EHLO, STARTTLS (tlsclient, trust,
 *	           resume), AUTH (authclient, sasl, login)
 *	sending    which way a job goes
 *	window     jobs that follow each other whole
 *	exchange   the replies to one transaction
 *	job        what became of it; who is to blame when the connection is lost
 *	refusal    is it the mail that a host refuses, or the way we came?
 *	mail_rcpt  MAIL and RCPT, with parameters
 *	body       the text, in a form that the host takes
 *	probe      what the host does in fact
 *	link       the connection, and one reply
 *	dial       how it is made
 */
#ifndef POSTERN_SENDING_H
#define POSTERN_SENDING_H

#include "sending/job.h"

/* Can another message go by this connection? */
bool sending_is_open(const struct link *l);

/* Adds one more recipient. False: a transaction with this host may not have one more (RFC 9422). */
bool sending_add(const struct link *l, struct job *j, struct rcpt *to);

/*
 * The caller set m and added recipients. The job belongs to the link until sending_land returns it.
 */
void sending_start(struct link *l, struct job *j);

/* The oldest job that has not been taken back; NULL if there is none. */
struct job *sending_oldest(const struct link *l);

/* Waits for the end of the oldest job and takes it back; NULL if there is none. */
struct job *sending_land(struct link *l);

/*
 * Takes the oldest job back as it is, when nothing more is to be said or heard; NULL if there is
 * none.
 */
struct job *sending_drop(struct link *l);

/* How many jobs are on their way? */
int sending_jobs(const struct link *l);

/* Is there no room for another job before one has landed? */
bool sending_full(const struct link *l);

/* Has the oldest job ended, so that sending_land does not wait? */
bool sending_landed(const struct link *l);

#endif
