/*
 * delivery: what the parts of relay have in common.
 *
 *	work          which lane next; waiting for more mail with the connection open
 *	scan          one lane: its messages in order of age, as many on their way as the connection takes
 *	flight        a message on its way: from the claim to the outcome
 *	connect       to a host of the lane; what follows when there is none
 *	settle        what an attempt brought: the message goes or waits, the sender is told
 *	destinations  the hosts that a lane's mail may go to
 *	race          which of them is connected to
 *	hosts         what is remembered of them
 *
 * Each calls only those below it. What is said to a host is the business of sending/, what is
 * said to a sender that of report/.
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
	struct hosts hosts;
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

#endif
