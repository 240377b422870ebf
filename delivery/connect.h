/*
 * connect: the lane at work gets a connection to one of its hosts, or a verdict; and what the end
 * of a connection tells of the host.
 */
#ifndef POSTERN_CONNECT_H
#define POSTERN_CONNECT_H

#include "delivery/delivery.h"

/* Remembers what the link has learned of the host connected to. */
void connect_learn(struct courier *c);

/*
 * Heeds what the host's refusals were about, if it was not the mail: what we did without is tried
 * again from now on; what is wrong between us and a route's host is told to the operator, once for
 * each connection. `why` is what the host said.
 */
void connect_heed_refusals(struct courier *c, struct span why);

/*
 * Makes a connection if there is none that takes another message. DONE: there is one. SOFT with
 * c->work.parked: the lane is to wait for one to c->work.to. Otherwise
 * the lane is given up: c->work.verdict is what is returned, c->why says why, and if it is SOFT,
 * @retry says until when, unless others are at it.
 */
enum outcome connect_lane(struct courier *c);

/*
 * The lane was given up for now, and mail in hand says TLS-Required: No. DONE: there is a
 * connection for it that does without what the lane's domain asks for, because no host satisfies
 * that; for such mail alone. SOFT: there is none, or it would not be another one.
 */
enum outcome connect_relaxed(struct courier *c);

/*
 * The last transaction of this message by this connection has landed: what does its end tell of the
 * host? True: what was not settled is to go to another host, at once;
 * nothing counts against the message.
 */
bool connect_judge(struct courier *c, const struct message *m, enum job_end end);

/*
 * What of this message did not fit the host, whose transactions have landed, is to go to another
 * host, or waits for one that cannot be asked now: its outcome is SOFT then. What fits no host
 * keeps its outcome. True: there is another host for some of it, which is to have it at once.
 */
bool connect_seek(struct courier *c, struct message *m);

/*
 * The host connected to was chosen for other messages. True: a better one can have this one, and is
 * to have it, at once.
 */
bool connect_is_astray(struct courier *c, const struct message *m);

/*
 * No message waits for another host any more: what is known of them is forgotten, and one that was
 * chosen for such messages is left.
 */
void connect_forget(struct courier *c);

/*
 * Leaves the host that is connected to if messages that it put off, or cannot have, wait for
 * another one.
 */
void connect_make_way(struct courier *c);

/*
 * Is the other one, which is of better preference, there by now? It may tire of waiting until the
 * rest of the lane has been put off as well.
 */
bool connect_is_called_away(const struct courier *c);

/* The lane is left: ends what connect_lane began, but for the connection. */
void connect_end(struct courier *c);

#endif
