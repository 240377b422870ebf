/*
 * outage: is it this host that is cut off, and not the host that mail is for?
 *
 * An attempt that could not leave this host says nothing about a lane: it is not counted, ends no
 * message, and is made again soon. Where that is likely only, it counts, and is made again soon:
 * when nameservers have trouble, and there is no route to the world, or they have the same with the
 * root. That is what one on this host says, or on the router of a line that is down. And when there
 * is no way to the hosts, and none to the world by their family of addresses, though by the other
 * one there is: it may be gone for now, or never have been there.
 */
#ifndef POSTERN_OUTAGE_H
#define POSTERN_OUTAGE_H

#include <stdbool.h>

enum outage { OUTAGE_NONE, OUTAGE_LIKELY, OUTAGE_SURE };

enum { OUTAGE_RETRY = 300 }; /* s until the next attempt, at most */

/* Has this host no route to the world, by IPv4 or by IPv6? Nothing is sent. */
bool outage_is_now(void);

/* ... by this one of both? */
bool outage_is_by(bool v4);

/* Does this -errno of connect(2) say that there is no way from here? */
bool outage_is_error(int err);

#endif
