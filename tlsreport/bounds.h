/*
 * bounds: how many reports of a day may go to one host.
 *
 * A record names whom it likes, and asks nobody (RFC 8460 section 8). Who has a domain, and so as
 * many names below it as he wants, may write the same place into all their records, and have mail
 * sent to each of them, bounces for instance: then we would send that place a report for each. So a
 * host that is none of the domain's own gets BOUNDS_MOST for each day, by mail and by HTTPS
 * together, whatever the mailbox or the path is, and what is more is told in the log alone. That
 * many are no more than a nuisance for a mail server, and as many as a service that reads reports
 * for its customers gets of a site that has mail for hundreds of their domains a day: of what is
 * beyond that, neither misses anything.
 *
 *	tlsrpt/<day>/@to   a line for each that was made: the host's name
 */
#ifndef POSTERN_BOUNDS_H
#define POSTERN_BOUNDS_H

#include "mail/lane_name.h"
#include "tlsreport/rua.h"

enum { BOUNDS_MOST = 200 };

#define BOUNDS_FILE "@to"

/* Is this host that domain, or one below? */
bool bounds_is_own(struct span host, struct span domain);

/*
 * May one more report about the domain go there? `day` is the directory of the day. What cannot be
 * read now counts as nothing: it is looked at again for the next one.
 */
bool bounds_may(int day, const char *domain, const struct rua_place *to);

/* One was made. What cannot be written is not counted. */
void bounds_note(int day, const char *domain, const struct rua_place *to);

#endif
