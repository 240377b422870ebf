/*
 * work: which lane a relay works on.
 *
 * A relay works on a lane until nothing in it is due, waits a little for more mail with the
 * connection still open, and takes the next lane in which something is due, until there is none.
 *
 * While it waits it holds its lane, so that new mail for that lane needs no new relay, look-up
 * and connection; but it gives its global slot back, so that mail for other lanes never waits for
 * it. New mail shows as with any relay that leaves a lane: @retry is gone (lane.h).
 */
#ifndef POSTERN_WORK_H
#define POSTERN_WORK_H

#include "delivery/delivery.h"

/*
 * Begins with r->work.lane, whose slot it holds; returns when no lane is due, or the spool is in
 * trouble.
 */
void work_on_lanes(struct relay *r);

/* Is something in this lane due? Cheap: one stat of the lane's @retry. */
bool work_looks_due(const struct relay *r, const char *lane);

/* The directory of all lanes, to be closed; NULL: it cannot be read, which was said. */
DIR *work_open_lanes(const struct relay *r);

/* The next name in it; NULL at the end, and where it cannot be read on, which was said. */
const char *work_next_name(DIR *lanes);

#endif
