/*
 * hands: what each courier has in hand, in memory that the process which started the relay sees
 * when that has died. A courier has all messages in hand that it opened and that are not settled,
 * for a fault may come with the reply to any of them. One that dies by a fault of its own leaves
 * its number.
 */
#ifndef POSTERN_HANDS_H
#define POSTERN_HANDS_H

#include <signal.h>
#include <stdbool.h>

#include "lib/id.h"
#include "mail/lane_name.h"

/* How many there are each process knows by itself: what is shared may be anything. */
struct hands {
	int couriers, places; /* of each */
	struct hands_shared {
		volatile sig_atomic_t died_by; /* a number; -1: nobody, or it is not known */
		_Alignas(int) char v[];        /* struct hand, one for each */
	} *shared;
};

/*
 * For so many couriers, each with so many places for a message, shared with processes that are
 * forked from now on. NULL with errno set.
 */
struct hands *hands_new(int couriers, int places);
void hands_free(struct hands *h);

/* This thread is the courier of that number, from now on. A fault of it will be known. */
void hands_sign(struct hands *h, int number);

/* The courier has this message in hand, in one of its places. And: it is empty again. */
void hands_take(struct hands *h, int number, int place, const char *lane, const char *id);
void hands_put_down(struct hands *h, int number, int place);

/* A message that is to be suspected. */
struct hands_suspect {
	char lane[LANE_NAME_SIZE];
	char id[ID_SIZE];
	int number, place; /* where it was; begin with zeros */
};

/*
 * Who watches, after a death: the next one to be suspected; false: there is none. What is there may
 * be anything: it is checked.
 */
bool hands_next(const struct hands *h, struct hands_suspect *s);

/* All hands are empty. */
void hands_clear(struct hands *h);

#endif
