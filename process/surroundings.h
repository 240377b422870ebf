/* surroundings: what smtpd needs of the machine it runs on, looked at by `smtpd --check`. */
#ifndef POSTERN_SURROUNDINGS_H
#define POSTERN_SURROUNDINGS_H

#include "process/options.h"

/* Looks at all of it, and has each other program look at what is its own (check.h). Exit status. */
int surroundings_check(const struct options *o, struct conf *c, struct conf_origins *from);

#endif
