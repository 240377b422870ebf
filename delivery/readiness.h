/* readiness: what relay needs to deliver, looked at by `relay --check`. */
#ifndef POSTERN_READINESS_H
#define POSTERN_READINESS_H

#include "process/options.h"

/* Name servers, authorities, our own addresses, hosts and logins of routes. Exit status. */
int readiness_check(const struct options *o, struct conf *c, struct conf_origins *from);

/* Is there mail that goes only to hosts whose certificate is good? */
bool readiness_needs_authorities(const struct conf *c);

#endif
