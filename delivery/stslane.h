/*
 * stslane: the policy of MTA-STS that the mail of a lane is under (RFC 8461).
 *
 *	the record    asked for with the MX records, at the same time
 *	the policy    kept (stscache.h), or fetched: before the first mail to a domain that has one,
 *	              and when the record tells another id; the lane waits for that, a minute for
 *	              its turn among those that fetch and another one for the fetch, and no other
 *	              lane does
 *	... and again when half of its time is over, or a day: behind the mail, by a courier that
 *	              has left its host and its lane
 *
 * A policy that was fetched is in force until its time is over, whatever the record or the web
 * server says, or does not say; only another policy takes its place (section 5.1). Without one mail
 * goes as if the domain had none. What came to nothing is tried again after five minutes, and then
 * each time after twice as long, up to five hours, for the same id. Another id is fetched at once,
 * for its owner may have mended something by it; but from the sixth within a day on it waits as
 * long as what came to nothing does, or a record that tells another one each time would have us
 * fetch with each mail. Where this host has nothing to fetch with (fetchless.h), only those count
 * that are kept.
 *
 * Lanes of routes have none: their hosts were named by the operator.
 */
#ifndef POSTERN_STSLANE_H
#define POSTERN_STSLANE_H

#include "delivery/delivery.h"

/* Is mail of this lane, delivered like that, under such policies at all? */
bool stslane_is_wanted(const struct conf *conf, const struct conf_delivery *d, const char *lane);

/* The record of a lane is asked for with the next look-up of its hosts (dns.h). */
void stslane_ask_record(struct resolver *r, const char *lane, struct txt *out);

/* Asks for the record of the lane with the next look-up of its hosts, if it is wanted. */
void stslane_ask(struct courier *c, struct resolver *r);

/*
 * Behind that look-up: which policy is in force, which may have to be fetched. DONE; or SOFT, with
 * c->why: the courier's time was over before that was known.
 */
enum outcome stslane_find(struct courier *c);

/* The same for a lane whose host was found before: of what is kept. */
void stslane_recall(struct courier *c);

/* Behind the mail, without a lane and a host: fetches what is to be fetched again. */
void stslane_refresh(struct courier *c);

void stslane_free(struct stslane *s);

#endif
