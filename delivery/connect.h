/*
 * connect: the lane at work gets a connection to one of its hosts, or a verdict.
 */
#ifndef POSTERN_CONNECT_H
#define POSTERN_CONNECT_H

#include "delivery/delivery.h"

/* The lane at work follows the settings of its route from now on. */
void connect_use_route(struct relay *r);

/* Is the login that this relay has read the one that mail of `lane` needs? */
bool connect_login_fits(const struct relay *r, const char *lane);

/* Do some routes need another login than the lane at work? */
bool connect_logins_vary(const struct relay *r);

/* Remembers what the link has learned of the host connected to. */
void connect_learn(struct relay *r);

/*
 * Heeds what the host's refusals were about, if it was not the mail: what we did without is tried
 * again from now on; what is wrong between us and a route's host is told to the operator, once for
 * each connection. `why` is what the host said.
 */
void connect_heed_refusals(struct relay *r, struct span why);

/*
 * Makes a connection if there is none that takes another message. DONE: there is one. Otherwise
 * the lane is given up: r->work.verdict is what is returned, r->why says why, and if it is SOFT,
 * @retry says until when.
 */
enum outcome connect_lane(struct relay *r);

/*
 * The last transaction of this message by this connection has landed: what does its end tell of the
 * host? True: what was not settled is to go to another host, at once;
 * nothing counts against the message.
 */
bool connect_judge(struct relay *r, const struct message *m, enum job_end end);

/* Leaves the host that is connected to, if messages that it put off wait for another one. */
void connect_make_way(struct relay *r);

/* The lane is left: ends what connect_lane began, but for the connection. */
void connect_end(struct relay *r);

#endif
