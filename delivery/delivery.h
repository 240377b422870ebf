/*
 * delivery: the parts of relay, and what they have in common.
 *
 *	work.c      which lane next; waiting for more mail with the connection open
 *	lane.c      one lane: its messages in order of age, as many on the way as the connection takes
 *	connect.c   to a host of the lane; what follows when there is none
 *	settle.c    what an attempt brought: the message goes or waits, the sender is told
 *
 * Below them: sending.h (transactions), link.h (a connection), race.h and hosts.h (which host), route.h
 * (whose hosts), dsn.h (reports).
 */
#ifndef POSTERN_DELIVERY_H
#define POSTERN_DELIVERY_H

#include "queue/lane.h"
#include "queue/spool.h"
#include "sending/link.h"
#include "sending/login.h"
#include "delivery/hosts.h"
#include "sending/sending.h"
#include "sending/tlsclient.h"

enum {
	BUSY_RETRY = 60,      /* s until a message whose writer had not finished is looked at */
	CROWD_RETRY = 3600,   /* s until a lane with a file that is not ours is looked at */
	EVENT_SIZE = 1024,    /* octets of one event's text */
};

/* A message in our hands. */
struct flight {
	struct message m;
	struct job job;
	int next;            /* the first recipient that was in no job yet */
	int parts;           /* jobs so far */
	struct flight *free; /* the next one that is not used */
};

struct relay {
	struct conf common;
	struct conf conf;         /* of the lane at work: what its route says, else the same */
	struct spool spool;
	struct resolver *resolver;
	int hosts;                /* directory of hosts.h */
	int slot;                 /* the global one; -1: none */
	struct tls_setup tls;
	struct login login;       /* user NULL: none */
	struct conf login_conf;   /* the settings it was read by */
	struct buf unable;        /* why they could not be read; empty: they were */
	int keeper;               /* hears of mail that needs others than these (relay.c); -1: nobody does */
	bool extra;               /* started by a relay of the same lane, to help it */

	struct lane lane;         /* the one at work */
	struct lane_state state;
	struct exchangers exchangers; /* of this lane */
	bool routed;
	struct exchanger to;      /* the one connected to */
	struct link link;
	int lost;                 /* connections in a row that brought nothing to an end */
	enum outcome verdict;     /* of the lane: DONE while it is worth trying */
	struct buf why;           /* if it is not */
	bool shared;              /* another relay has a message of it in its hands */
	bool tried;               /* we had one of it in ours */
	bool again;               /* it is to be gone over once more */
	int64_t next;             /* earliest time at which something here is due; 0: nothing left */

	struct flight *flights;   /* conf.window_messages of them */
	struct flight *free;
	int landed;               /* messages of this lane since */
	int64_t began;            /* this time (clock_ms) */
};

/* work.c */
void delivery_work(struct relay *r);
void delivery_grow(struct relay *r); /* one more relay for the lane at work, if there is a slot */
bool delivery_looks_due(const struct relay *r, const char *lane);
DIR *delivery_lanes(const struct relay *r);

/* lane.c: works on r->lane until nothing in it is due. False: the spool is in trouble. */
bool lane_scan(struct relay *r);
void flights_reset(struct relay *r);
void flights_drop(struct relay *r);

/* connect.c */
void use_route(struct relay *r); /* of the lane at work, from now on */
bool credentials_fit(const struct relay *r, const char *lane); /* what we hold is what it needs */
bool credentials_vary(const struct relay *r); /* some routes need others than the lane at work */
void mark_host(const struct relay *r, enum host_event e); /* the one connected to */
bool connected(struct relay *r); /* false: the verdict of the lane says why */

/* settle.c */
int64_t longest_retry(const struct relay *r);
int64_t retry_after(const struct relay *r, int attempts);
bool is_expired(const struct relay *r, const struct message *m, int attempts);
bool is_too_late(const struct message *m); /* to be delivered by some time or returned (RFC 2852) */
bool is_quiet(const struct relay *r, const char *id); /* with the lane down there is nothing to say of it */
void note_next(struct relay *r, int64_t next);
/*
 * Writes down what an attempt brought: the message goes, or waits. `unfinished`: the connection ended before all
 * recipients had their turn; if others had theirs, the rest goes on at once by another.
 */
void settle_message(struct relay *r, struct message *m, bool unfinished);
void settle_all(struct relay *r, struct message *m, enum outcome o, struct span why);
void settle_waiting(struct relay *r, struct message *m); /* it was not tried: the lane is down */

#endif
