/*
 * store: octets that are kept until they are sent: in memory, and what is more than fits there in a
 * file without a name.
 *
 * A program that writes slowly, or for hours, must not keep a connection waiting, and a text that
 * breaks off must not be sent; so all of a message is here before the first command is said.
 */
#ifndef POSTERN_STORE_H
#define POSTERN_STORE_H

#include <stdint.h>

#include "lib/buf.h"

enum { STORE_MEMORY = 1024 * 1024 }; /* octets; most messages are smaller */

struct store {
	struct buf head; /* what came first */
	int fd;          /* the rest, or -1 */
	int64_t size;    /* octets in all */
	int err;         /* 0, or the -errno of a write that failed; sticks */
};

struct store store_new(void);

void store_add(struct store *s, struct span piece);

typedef void store_sink(void *ctx, struct span piece);

/* Gives all of it to `sink`, in pieces. 0, or -errno if it could not be read. */
int store_read(const struct store *s, store_sink *sink, void *ctx);

void store_free(struct store *s);

#endif
