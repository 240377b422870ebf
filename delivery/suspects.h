/*
 * suspects: messages at which a relay died. They are tried alone, each by a process of its own
 * (keeper.h), while all others go their way.
 */
#ifndef POSTERN_SUSPECTS_H
#define POSTERN_SUSPECTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/id.h"
#include "mail/lane_name.h"

enum { SUSPECTS_MAX = 1000 }; /* at once; what is beyond that waits for room */

struct suspect {
	char id[ID_SIZE];
	char lane[LANE_NAME_SIZE];
};

struct suspects {
	pthread_mutex_t lock;
	struct suspect *v; /* owned */
	size_t n;
};

void suspects_init(struct suspects *s);
void suspects_free(struct suspects *s);

/* False: it is one already, or there is no room. */
bool suspects_add(struct suspects *s, const char *lane, const char *id);
void suspects_remove(struct suspects *s, const char *lane, const char *id);
bool suspects_any(struct suspects *s);
bool suspects_has(struct suspects *s, const char *lane, const char *id);

#endif
