/*
 * nameserver: who is asked about names: the words of the key `nameserver`, and resolv.conf(5).
 */
#ifndef POSTERN_NAMESERVER_H
#define POSTERN_NAMESERVER_H

#include <stdio.h>

#include "conf/conf.h"

/*
 * "address", "address:port", "[address]:port"; an address of a link has the link behind it
 * ("fe80::1%eth0"). One of a link that this host has not is taken all the same, for the link may be
 * there later; nothing can be sent to it until the configuration is read again. 0 or -EINVAL.
 */
int nameserver_parse(struct span word, struct sockaddr_storage *out);

/* In the last of these forms. */
void nameserver_print(const struct sockaddr_storage *server, FILE *out);

/*
 * Reads a file like /etc/resolv.conf: all that the system's resolver understands of servers, and a
 * little more. As there, 127.0.0.1 is meant by a file that is missing or names no server. 0;
 * -EINVAL: it has lines that name a server, and none of them can be used. In both cases `odd` gets
 * a word about each line that cannot be used, with "; " between them.
 */
int nameserver_read(const char *path, struct conf_servers *out, struct buf *odd);

#endif
