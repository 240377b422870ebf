/* authcheck: what auth needs, looked at by `auth --check`. */
#ifndef POSTERN_AUTHCHECK_H
#define POSTERN_AUTHCHECK_H

#include "process/options.h"

/* The file of users, and whether another program that knows passwords can be asked. Exit status. */
int authcheck_run(const struct options *o, struct conf *conf);

#endif
