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

/* Remembers that this happened with the host connected to. */
void connect_mark_host(const struct relay *r, enum host_event e);

/* Remembers what was learned of it by the link. */
void connect_learn(struct relay *r);

/*
 * Makes a connection if there is none that takes another message. DONE: there is one. Otherwise
 * the lane is given up: r->work.verdict is what is returned, r->why says why, and if it is SOFT,
 * @retry says until when.
 */
enum outcome connect_lane(struct relay *r);

#endif
