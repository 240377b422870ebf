/*
 * await: how a tls or auth that waits for clients (--wait) gets the next one.
 *
 * At LAUNCH_FIRST_FD it has a packet socket to its monitor (standby.h):
 *
 *	tls, auth                        monitor
 *	one octet: it is ready
 *	                                 struct request, with the descriptors of one client
 *	one octet: it has served, and
 *	is ready for the next
 *
 * When the monitor closes, it ends.
 */
#ifndef POSTERN_AWAIT_H
#define POSTERN_AWAIT_H

#include "process/request.h"

/* Once, before it reads its files: of what it inherited it keeps the socket. */
void await_begin(void);

/*
 * Says that it is ready, and waits for a client of which `n` descriptors come: they are the
 * caller's. False: there will be none any more.
 */
bool await_client(int fds[static REQUEST_FDS], int n);

#endif
