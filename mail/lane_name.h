/*
 * lane_name: the lane that mail to a domain is in. A lane is a directory of the spool, so its name
 * is safe as a file name: letters, digits and "-_.[]:" only, no leading dot. All names are made or
 * checked here.
 */
#ifndef POSTERN_LANE_NAME_H
#define POSTERN_LANE_NAME_H

#include <stdbool.h>

#include "lib/limits.h"
#include "lib/span.h"

enum { LANE_NAME_SIZE = LIMIT_DOMAIN + 1 }; /* with NUL */

/*
 * The lane for mail to this domain or literal: the text in lower case, of an internationalized
 * domain its A-labels. 0, or -EINVAL if the domain is neither a domain nor a literal.
 */
int lane_name_of(struct span domain, char out[static LANE_NAME_SIZE]);

#define LANE_ROUTE "route:" /* and the name of a route (conf/routes.h) is a lane too */

/* The name of the route whose lane this is; empty if it is the lane of a domain. */
struct span lane_name_route(struct span name);

/* Is this text the name of a lane? Asked again wherever a name is received. */
bool lane_name_valid(struct span name);

#endif
