/*
 * hosts_file: what this host's own file (hosts(5)) says of a name that the operator wrote. The DNS
 * is not asked.
 */
#ifndef POSTERN_HOSTS_FILE_H
#define POSTERN_HOSTS_FILE_H

#include <stdio.h>

#include "dns/exchangers.h"

/*
 * FOUND: its addresses of this family, in the order of the file; or NO_NAME. *out was begun.
 * Several threads may read one file: it is locked meanwhile.
 */
enum answer hosts_file_find(FILE *f, const char *host, enum family family, struct exchangers *out);

#endif
