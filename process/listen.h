/*
 * listen: sockets that listen, for an smtpd that serves many clients (pool.h).
 *
 * They are the descriptors LISTEN_FIRST and those behind it, without a gap: handed over by systemd
 * or by an smtpd that makes room for a new one, as sd_listen_fds(3) describes it, or bound here.
 */
#ifndef POSTERN_LISTEN_H
#define POSTERN_LISTEN_H

#include <sys/socket.h>

#include "lib/buf.h"
#include "process/options.h"

enum { LISTEN_FIRST = 3 };

/*
 * How many were handed over. 0: none; with Accept=yes systemd hands over the connection in the same
 * way, which is none either. -EINVAL: something among them does not listen.
 */
int listen_inherited(void);

/*
 * Binds those of the command line (o->listen), before anything else is opened. Their number, or
 * -errno and a line in *why.
 */
int listen_bind(const struct options *o, struct buf *why);

/* The address of a text "192.0.2.1:25" or "[2001:db8::1]:25". Its length; 0: it is none. */
socklen_t listen_parse(struct span text, struct sockaddr_storage *ss);

/* Was one of them shut down? Nobody can connect there any more, and no call mends it. */
bool listen_is_over(int n);

/* Waiting for a connection never blocks, and no program but ours has them. */
void listen_ready(int n);

/* What the next smtpd in this process needs to find them, in the environment too. 0 or -errno. */
int listen_hand_over(int n);

#endif
