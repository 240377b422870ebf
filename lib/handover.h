/*
 * handover: a packet for another process, and open files with it, each under a number of its own
 * there (SCM_RIGHTS). For sockets of the type SOCK_SEQPACKET.
 *
 * Whoever sends may be anybody who was taken over: no more open files come in than are handed to
 * the caller, whatever was sent along.
 */
#ifndef POSTERN_HANDOVER_H
#define POSTERN_HANDOVER_H

#include <stddef.h>
#include <sys/types.h>

enum { HANDOVER_FDS = 2 }; /* that may come with a packet */

/* Sends n octets, and the first `count` of these, which stay ours. 0 or -errno. */
int handover_send(int socket, const void *p, size_t n, const int *fds, int count);

/*
 * Waits for a packet, unless flags are MSG_DONTWAIT. How many octets it had: the first n of them
 * are in *p; 0: the other side has ended; or -errno. What came with it is in fds, the caller's from
 * now on and close-on-exec, behind that -1. NULL: nothing is let in.
 */
ssize_t handover_receive(int socket, void *p, size_t n, int flags, int *fds);

#endif
