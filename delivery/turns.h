/*
 * turns: what couriers and the first thread share. Which lane is next, who may connect to a host,
 * who is to be woken or given up. All of it under one lock, that is never held while a host, a
 * nameserver, the disk or whoever takes log lines is waited for; how it is decided stands in
 * schedule.h, which knows no threads, and in slow.h.
 */
#ifndef POSTERN_TURNS_H
#define POSTERN_TURNS_H

#include "delivery/delivery.h"

/* 0 or -errno. turns_free: when all couriers have left. */
int turns_init(struct relay *r);
void turns_free(struct relay *r);

/* ---- the first thread */

/* The lane is to be looked at, at `due` (wall clock, s) or (0) at once. */
void turns_lane(struct relay *r, const char *name, int64_t due);

/*
 * Starts couriers for what is due now, gives up slow ones if others wait for them. When to call it
 * again at the latest: ms from now; -1: when it is woken. False: nothing is left to do.
 */
bool turns_turn(struct relay *r, int *ms);

/* ---- couriers */

/* Gets a lane: one that waits for the host that it is connected to, or else any. False: none. */
bool turns_next(struct courier *c);

/* The thread ends; c belongs to the first one now. */
void turns_end(struct courier *c);

/* Are others at the same lane? */
bool turns_has_others(const struct courier *c);

/* Does somebody wait for what this courier has? Then it does not stay at its lane for long. */
bool turns_is_waited_for(const struct courier *c);

/* Its lane is worth one courier more. Or: no more than are at it now. */
void turns_grow(struct courier *c);
void turns_shrink(struct courier *c);

/* Did mail come for its lane since this was last asked? */
bool turns_take_news(struct courier *c);

/* As if it had. */
void turns_look_again(struct courier *c);

/*
 * Adds what it found to what all did, and leaves the lane to the others that are at it. False:
 * there is none, and there will be none.
 */
bool turns_leave_to_others(struct courier *c, const struct found *found);

/*
 * Leaves the lane, the last one at it, to be looked at again at `next`; 0: nothing is left in it.
 * turns_yield: at once, behind others. turns_park: when a connection to this host may be made.
 */
void turns_done(struct courier *c, int64_t next);
void turns_yield(struct courier *c);
void turns_park(struct courier *c, const struct exchanger *to);

/*
 * Waits for more mail for its lane with the connection open. True: it came (turns_take_news).
 * Otherwise the time is up, the host said something, or others need this courier.
 */
bool turns_linger(struct courier *c, int64_t deadline);

/*
 * The same without a lane, until the same deadline if it waited at its last one: waits for one that
 * goes to its host, or that needs any courier. True: there was one; another courier may have it by
 * now.
 */
bool turns_rest(struct courier *c, int64_t deadline);

/* May a connection be made to this host? Its place among them; NULL: there are enough. */
struct schedule_host *turns_connect(struct courier *c, const struct exchanger *to);

/* It is closed. `refused`: the host took no further one. */
void turns_disconnect(struct courier *c, struct schedule_host *place, bool refused);

#endif
