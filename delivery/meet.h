/*
 * meet: how a connection to a host of the lane comes about: its hosts are found and race, and one
 * that greets is talked to, with less if need be; and how it ends.
 */
#ifndef POSTERN_MEET_H
#define POSTERN_MEET_H

#include "delivery/delivery.h"

/*
 * Finds the hosts of the lane, once for each lane: c->work.exchangers. Unless DONE, c->why says
 * why there are none, and c->work.outage whether it is this host that is cut off.
 */
enum outcome meet_find_hosts(struct courier *c);

/* The hosts of the lane are looked for anew when they are asked for next. */
void meet_forget_hosts(struct courier *c);

/*
 * Connects to a host of the lane: to the best one, unless the last connection was of no use, or
 * messages that it put off wait for another one; then to the next one whose turn it is. Where
 * messages wait for what it lacks, to one that may have it. DONE: the
 * host is c->work.to, and has our greeting behind it. Otherwise c->why and c->work.outage are as
 * above; SOFT, too, where race_full says of c->work.race that a host has enough connections.
 */
enum outcome meet_any(struct courier *c);

/*
 * The host connected to counts as failed, unless the connection of one of several was only one
 * too many for it; c->why is what went wrong with it.
 */
void meet_failed(struct courier *c);

/*
 * Connects to a host of the lane, whatever its domain asks for (c->work.relaxed). c->why stays as
 * it is.
 */
enum outcome meet_relaxed(struct courier *c);

/*
 * Was the host connected to chosen for what it may have that others cannot, and are there better
 * ones? Mail that those can have is not for it.
 */
bool meet_is_detour(const struct courier *c);

/* For the log: by which TLS the host is connected to, and why it is trusted for this lane. */
void meet_describe(const struct courier *c, struct buf *out);

/* Leaves the host that is connected to. */
void meet_leave(struct courier *c);

#endif
