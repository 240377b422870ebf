/*
 * request: what a session asks of its monitor.
 *
 * The session cannot exec and cannot open what lies outside the spool; what it needs of that kind
 * the monitor starts for it. A request has a fixed size and holds no byte of the client except a
 * lane name, which the monitor checks again. File descriptors travel with it (handover.h); the
 * program that is started gets them and nothing else.
 */
#ifndef POSTERN_REQUEST_H
#define POSTERN_REQUEST_H

#include "lib/handover.h"
#include "mail/lane_name.h"

enum request_kind {
	REQUEST_RELAY, /* lane `lane` has new mail; no fds */
	REQUEST_TLS,   /* fds: the connection, our end for what is decrypted */
	REQUEST_AUTH,  /* fd: the other end of our talk with auth */
	REQUEST_CHECK_SENDER,    /* fd: standard input and output of sender_check */
	REQUEST_CHECK_RECIPIENT, /* ... of recipient_check */
	REQUEST_LOG, /* what listened to our log has ended; fd: closed when that was tried again */
	/* of a worker in a pool (pool.h), which says what it does; no fds */
	REQUEST_CLIENT,  /* it has a client */
	REQUEST_FREE,    /* it has none any more */
	REQUEST_CHANGED, /* a file that it was made from has changed; it ends */
	REQUEST_KINDS,
};

enum { REQUEST_FDS = HANDOVER_FDS };

struct request {
	enum request_kind kind;
	char lane[LANE_NAME_SIZE];
};

/* Two connected ends, monitor's and session's. 0 or -errno. */
int request_pair(int fd[2]);

/* 0 or -errno. The fds stay the caller's. */
int request_send(int fd, const struct request *r, const int *fds, int n);

/*
 * Waits for the next one. 1: *r is filled, and *n fds, which are the caller's now (close-on-exec).
 * 0: there will be no more. -EBADMSG: not a request; -errno.
 */
int request_receive(int fd, struct request *r, int fds[static REQUEST_FDS], int *n);

#endif
