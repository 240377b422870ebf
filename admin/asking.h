/*
 * asking: a resolver for commands that ask nameservers, and nothing else from then on.
 */
#ifndef POSTERN_ASKING_H
#define POSTERN_ASKING_H

#include "admin/admin.h"
#include "dns.h"

/* This host's own, where names that the operator wrote are looked up first. */
#define HOSTS_FILE "/etc/hosts"

/*
 * Opens one, and locks this process in before the first octet of a stranger comes: it has sockets,
 * and no file. To be called as the user of the service (program_drop_root). NULL: it cannot be, and
 * the reason is in *why.
 */
struct resolver *asking_begin(struct admin *a, struct buf *why);

#endif
