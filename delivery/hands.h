/*
 * hands: what each courier has in hand, in memory that the process which started the relay sees
 * when that has died. A courier that dies by a fault of its own leaves its number.
 */
#ifndef POSTERN_HANDS_H
#define POSTERN_HANDS_H

#include <signal.h>
#include <stdbool.h>

#include "lib/id.h"
#include "mail/lane_name.h"

struct hand {
	char id[ID_SIZE]; /* "": nothing */
	char lane[LANE_NAME_SIZE];
};

struct hands {
	volatile sig_atomic_t died_by; /* a number; -1: nobody, or it is not known */
	int n;
	struct hand v[];
};

/* For n couriers, shared with processes that are forked from now on. NULL with errno set. */
struct hands *hands_new(int n);
void hands_free(struct hands *h);

/* This thread is the courier of that number, from now on. A fault of it will be known. */
void hands_sign(struct hands *h, int number);

/* The courier has this message in hand. And: nothing any more. */
void hands_take(struct hands *h, int number, const char *lane, const char *id);
void hands_put_down(struct hands *h, int number);

/* Who watches: is this one to be suspected, after a death? It may be anything: it is checked. */
bool hands_is_suspect(const struct hands *h, int number, struct hand *out);

/* All hands are empty. */
void hands_clear(struct hands *h);

#endif
