/*
 * delivery: what the parts of relay have in common.
 *
 *	work          which lane next; waiting for more mail with the connection open
 *	scan          one lane: its messages in order of age, as many at once as the host takes
 *	flight        a message on its way: from the claim to the outcome
 *	connect       to a host of the lane; what follows when there is none
 *	approach      how that host is met: TLS, login, how much at once
 *	settle        what an attempt brought: the message goes or waits, the sender is told
 *	destinations  the hosts that a lane's mail may go to
 *	race          which of them is connected to
 *	outage        whether this host is cut off, and no lane is to blame
 *	hosts         what is remembered of them
 *
 * (schedule.h is for a relay with many connections, and not in use yet.)
 *
 * Each calls only those below it. What is said to a host is the business of sending/, what is
 * said to a sender that of report/.
 */
#ifndef POSTERN_DELIVERY_H
#define POSTERN_DELIVERY_H

#include "delivery/hosts.h"
#include "delivery/outage.h"
#include "delivery/race.h"
#include "queue/lane.h"
#include "queue/spool.h"
#include "sending/link.h"
#include "sending/login.h"
#include "sending/sending.h"
#include "sending/tlsclient.h"

enum {
	BUSY_RETRY = 60,      /* s until what the spool would not do now is tried again: to open a
	                       * message (it may still be written), to write down an outcome */
	/* s until a message is looked at again that nothing can be done for: its lane is down, or
	 * it cannot be moved aside */
	IDLE_RETRY = LIMIT_REST,
	SPARE_ROOM = 1 << 20, /* octets: with less beside the reserve, the disk counts as full */
	EVENT_SIZE = 1024,    /* octets of one event's text */
};

/* A message that this relay has claimed. */
struct flight {
	struct message m;
	struct job job;
	int next;            /* the first recipient that was in no job yet */
	int parts;           /* jobs so far */
	struct flight *free; /* the next one that is unused */
};

/*
 * All of a process: as many as the window takes, and one for the message that is being looked at.
 */
struct flights {
	struct flight *v;
	int64_t n;
	struct flight *free; /* the first one that is unused */
};

/* What one go over a lane finds (scan.h). */
struct found {
	int64_t next; /* wall clock, s: when the first that remains is due; 0: none remains */
	bool again;   /* a message is due at once, by another connection */
	bool tried;   /* this relay sent, or began to send, a message */
	bool shared;  /* another relay has a message of the lane in hand */
	bool last;    /* something could not be written down: to go over it again would try the same
	               * messages again at once */
	bool stop;    /* that was, or would be, which recipients are settled: nothing more is
	               * sent */
};

/* The lane at work. All of it begins by one assignment (work.c:begin_lane). */
struct work {
	struct lane lane;             /* with a slot of it */
	struct conf_delivery delivery; /* what its route says, else what is common */
	struct lane_state state;
	enum outcome verdict;         /* DONE: it is worth trying; else r->why says why it is not */
	struct exchangers exchangers; /* its hosts, once they are known */
	bool routed;                  /* they are known */
	struct race race;             /* between them; goes on while another one may do better */
	enum outage outage;           /* is it this host that failed in the last attempt? */
	struct exchanger to;          /* the one connected to */
	bool overtook;                /* messages that it put off wait for another host to greet */
	bool waited;                  /* they did, and none greeted in its time */
	bool asked;                   /* a host that is as good was asked, too */
	char suspect[ID_SIZE];        /* the message that a connection was lost with while it had
	                               * done nothing, and that other hosts are to have; "": none */
	int lost;                     /* so often in a row that led to nothing, with all hosts */
	unsigned lessons;             /* LESSON_*, that this relay learned of its hosts: they count
	                               * although hosts.h could not keep them */
	bool extra;                   /* this relay was started by another one of the lane */
	struct pace {
		int messages;         /* looked at, */
		int64_t since;        /* since then (clock_ms) */
	} pace;                       /* decides whether help is worth its start (scan.c) */
};

/* The settings by which a login was read; NULL: not set. */
struct login_settings {
	const char *user, *password_file, *token_command;
};

struct relay {
	struct conf common;
	struct spool spool;
	struct hosts hosts;
	struct resolver *resolver;
	int slot;                       /* the global one; -1: none */
	int keeper;                     /* socket to the process that starts relays for lanes with
	                                 * another login (relay.c:keep); -1: there is none */
	struct tls_setup tls;
	struct login login;             /* the only one that this process knows; user NULL: none */
	struct login_settings login_is;
	struct buf unable;              /* why it could not be read; empty: it was */

	struct flights flights;
	struct link link;
	struct buf why;                 /* the reason of the last failure to connect */
	struct work work;
};

#endif
