/*
 * make: what was counted of a domain and day becomes a report for each place that the domain names,
 * in its outbox.
 */
#ifndef POSTERN_MAKE_H
#define POSTERN_MAKE_H

#include "tlsreport/rua.h"
#include "tlsreport/subject.h"

/*
 * All of them are in the outbox, which is sealed then, or none of them is. 0 or -errno. Before it
 * begins, the subject is put off until `again` (s): what kills us must not be the first thing that
 * the next run does.
 */
int make_reports(const struct subject *s, const struct rua *to, int64_t again);

#endif
