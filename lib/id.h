/*
 * id: names of queued messages.
 *
 * Twelve characters of time (microseconds) and eight of randomness, in base 32 with digits before
 * letters, so that `ls` sorts by age (those of one priority). Unique across processes, hosts and
 * clock steps because of the random part (40 bits within one microsecond); made from no pid, inode
 * or port.
 *
 * The first character, which time leaves at 0 for a thousand years, is the priority of the message
 * (RFC 6710): 0, or 1 to 9 for those, and a letter for -1 to -9.
 */
#ifndef POSTERN_ID_H
#define POSTERN_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"

enum { ID_LEN = 20, ID_SIZE = ID_LEN + 1 };

/* 0, or -errno when the system gives no random bytes. */
int id_new(char out[static ID_SIZE]);

bool id_valid(struct span s);

enum { ID_PRIORITY_MOST = 9 };

/* Gives a new id a priority, -9..9. And: the one that it has. */
void id_set_priority(char *id, int priority);
int id_priority(const char *id);

/* Which goes first: higher priority, then age. As memcmp(3); of valid ids. */
int id_compare(const char *a, const char *b);

/* The wall-clock second, and microsecond, in which a valid id was made. */
int64_t id_time(const char *id);
int64_t id_time_us(const char *id);

#endif
