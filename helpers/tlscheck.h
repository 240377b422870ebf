/* tlscheck: what tls needs, looked at by `tls --check`. */
#ifndef POSTERN_TLSCHECK_H
#define POSTERN_TLSCHECK_H

#include "process/options.h"

/* Certificates with their keys, and who signs those of clients. Exit status. */
int tlscheck_run(const struct options *o, struct conf *conf);

#endif
