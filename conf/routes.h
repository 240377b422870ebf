/*
 * routes: where mail goes that does not go by the MX records of its recipient's domain.
 *
 * A route is a section of the configuration (conf.h). The first in the file that matches has the
 * mail, and all mail of a route is one lane. What matches is decided when mail is queued, what the
 * route says when it is delivered.
 */
#ifndef POSTERN_ROUTES_H
#define POSTERN_ROUTES_H

#include "conf/conf.h"
#include "mail/lane_name.h"

/*
 * `lane` is that of a recipient's domain (lane_name_of); if there is a route for mail from `sender`
 * to that domain, it becomes the route's. The null sender (empty) is none of a route's `senders`.
 */
void routes_lane(const struct conf *conf, struct span sender, char lane[static LANE_NAME_SIZE]);

/*
 * The lane of mail of our own, which has no sender, to this mailbox. False: there can be no mail to
 * it.
 */
bool routes_lane_of(const struct conf *conf, struct span mailbox,
	char lane[static LANE_NAME_SIZE]);

/*
 * May mail of our own go to this mailbox because a stranger names it? Not where a route has its
 * domain by name: its hosts are those of the operator, and strangers may send there only what
 * relay_domains says. A route for all domains, as a smarthost has it, is the way to the world.
 */
bool routes_open_to(const struct conf *conf, struct span mailbox);

/*
 * Does mail from `sender` for <postmaster> come to anybody? Not if the key `postmaster` was not
 * set, or to what it is then, and neither a route nor relay_domains has our own name: then it
 * would be for this host, which has no mailboxes.
 */
bool routes_reach_postmaster(const struct conf *conf, struct span sender);

#endif
