/*
 * ways: how sendmail comes to an smtpd.
 *
 *	local     the socket of postern-local.socket: anybody, and the kernel says who it is
 *	pipe      an smtpd of our own: who may write into the spool, where there is no such socket
 *	loopback  port 25 of this host: anybody else
 *
 * POSTERN_SOCKET in the environment names another socket, and then no other way is tried: in a
 * container, the host's. Who runs with the rights of somebody else than his caller does not look at
 * it.
 */
#ifndef POSTERN_WAYS_H
#define POSTERN_WAYS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "conf/people.h"

#define WAYS_SOCKET PEOPLE_SOCKET

enum way { WAY_LOCAL, WAY_PIPE, WAY_LOOPBACK, WAY_LOOPBACK6, WAYS };

struct way_terms {
	const char *socket;     /* of WAY_LOCAL */
	bool alone;             /* no other way */
	const char *spool;      /* whose owner may use WAY_PIPE; NULL: root alone */
	char smtpd[PATH_MAX];   /* the program for it; empty: not known */
};

/* Where it is by the environment, the configuration and the place of this program. */
void ways_find(struct way_terms *t, const struct conf *c);

/*
 * Connects. The descriptor, or -errno; -EACCES: this way is not for us. *child is the process
 * behind a pipe, else 0.
 */
int ways_open(const struct way_terms *t, enum way way, pid_t *child);

/* The path of a program beside this one. False: it is not there. */
bool ways_beside(const char *name, char out[static PATH_MAX]);

/* May this user write into the spool: root, who becomes the service's user, and that user? */
bool ways_may_write(const struct way_terms *t);

/* What it is called, for a message. */
const char *ways_name(const struct way_terms *t, enum way way);

/* Becomes an smtpd that speaks with standard input and output. -errno, or it does not return. */
int ways_become(const struct way_terms *t);

/*
 * Does standard input lead to a client of the network, by the word of the kernel or of a wrapper?
 * Who that is, is for an smtpd to find out: by our socket it would see us, and who called us.
 */
bool ways_is_network(void);

/* As ways_become, for such a client: with the rights that it has by the configuration. */
int ways_become_public(const struct way_terms *t);

/* Waits a little while for a child to end, which has nothing left to do. */
void ways_reap(pid_t child);

#endif
