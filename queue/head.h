/*
 * head: what stands before the body in a message's file (stored.h), read within bounds: it is
 * hostile input like any other (K14), and what is not as a draft writes it is never half
 * understood.
 */
#ifndef POSTERN_QUEUE_HEAD_H
#define POSTERN_QUEUE_HEAD_H

#include "queue/lane.h"
#include "queue/stored.h"

enum {
	HEAD_CHUNK = 4096, /* octets that are read at a time */
	HEAD_MAX = MESSAGE_HEAD + MESSAGE_STATES + HEAD_CHUNK, /* ... and in all */
};

/*
 * Reads a file from its beginning until `head`, a buffer for HEAD_MAX, holds all up to the empty
 * line; *at is where the body begins. 0; -EBADMSG: there is no such line; or -errno.
 */
int head_read(int fd, struct buf *head, int64_t *at);

/*
 * Fills in what m->head says, m->id being known: the envelope, and the recipients of this lane, who
 * is settled among them. 0; -EBADMSG; -ENOMEM.
 */
int head_parse(struct message *m, const struct lane *l);

/* The fields up to the first recipient alone. 0; -EBADMSG: there is none. */
int head_parse_mail(struct message *m);

/* The sum of the head and the empty line, as they were committed: everybody was waiting. */
uint32_t head_sum(const struct message *m);

/* As pread(2), which no signal interrupts. Octets or -errno. */
ssize_t head_read_at(int fd, int64_t offset, char *p, size_t n);

#endif
