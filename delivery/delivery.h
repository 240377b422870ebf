/*
 * delivery: what the parts of relay have in common.
 *
 *	keeper        the first process, which starts the one at work anew when that dies
 *	serve         the first thread: hears the bell, knows the times
 *	visit         what a courier does, at one lane after the other
 *	scan          one message of it, when it has its turn
 *	flight        a message on its way: from the turn to the outcome
 *	connect       to a host of the lane; what follows when there is none
 *	share         whose mail may go by the connection that there is
 *	meet          how a connection comes about, and ends
 *	tlsnotes      what came of TLS there, counted for reports on it
 *	approach      how that host is met: TLS, login, how much at once
 *	policy        which TLS it must have, and why
 *	settle        what an attempt brought: the message goes or waits, the sender is told
 *	notes         what the first process and the one at work tell each other
 *	turns         who is next, and who may connect: what couriers and the first thread share
 *	courier       a thread with a connection
 *	idle          couriers that wait for mail, and what they are told
 *	slow          couriers whose hosts do next to nothing, and when they are given up
 *	tour          a lane that couriers are at: its lock, and which message is next
 *	schedule      ... how it is decided whose turn it is
 *	destinations  the hosts that a lane's mail may go to
 *	race          which of them is connected to
 *	fitting       which hosts can have what the one connected to cannot
 *	outage        whether this host is cut off, and no lane is to blame
 *	hosts         what is remembered of them
 *	withheld      ... and what is not said to them, in this turn
 *	hands         what each courier has in hand, for the process that sees it die
 *	suspects      messages at which a relay died
 *	stslane       the policy of MTA-STS that a lane's mail is under
 *	stscache      ... and those that are kept
 *	fetchless     whether there is anything to fetch one with
 *	fetching      starts fetch, and asks it
 *	signing       starts sign, for the keeper and for the relay at work before it is locked in
 *
 *	lanes         all of them, one by one
 *	resolvers     what asks the DNS, kept from one look-up to the next
 *	sink          mail that a guard keeps on this host
 *	readiness     what relay needs to deliver, for relay --check
 *	journal       libsystemd, where events go to the journal
 *
 * Nearly each calls only those below it; serve tells couriers to do what stands in visit. What is
 * said to a host is the business of sending/, what is said to a sender that of report/.
 */
#ifndef POSTERN_DELIVERY_H
#define POSTERN_DELIVERY_H

#include "conf/way.h"
#include "delivery/fetchless.h"
#include "delivery/fitting.h"
#include "delivery/hands.h"
#include "delivery/hosts.h"
#include "delivery/outage.h"
#include "delivery/policy.h"
#include "delivery/race.h"
#include "delivery/schedule.h"
#include "delivery/stscache.h"
#include "delivery/suspects.h"
#include "delivery/withheld.h"
#include "dns/txt.h"
#include "process/counters.h"
#include "queue/lane.h"
#include "queue/spool.h"
#include "queue/tally.h"
#include "sending/link.h"
#include "sending/login.h"
#include "sending/sending.h"
#include "sending/signer.h"
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

/* A message that a courier has in hand. */
struct flight {
	struct message m;
	struct job job;
	int first, most;     /* with which recipient the first job begins, and of how many it is */
	int next;            /* from that one on: the first that was in no job yet */
	int parts;           /* jobs so far */
	int64_t begun;       /* clock_ms, when the first of them was */
	struct flight *free; /* the next one that is unused */
};

/* All of a courier: as many as the window takes, and one for the message that is looked at. */
struct flights {
	struct flight *v;
	int64_t n;
	int64_t used;        /* of these, so many were ever used */
	struct flight *free; /* the first of them that is unused again */
};

/* What one go over a lane finds (scan.h). */
struct found {
	int64_t next; /* wall clock, s: when the first that remains is due; 0: none remains */
	bool again;   /* a message is due at once, by another connection */
	bool parked;  /* this courier gets no connection: others are to go on */
	bool last;    /* something could not be written down: to go over it again would try the same
	               * messages again at once */
	bool stop;    /* that was, or would be, which recipients are settled: nothing more is
	               * sent */
};

/* A message that remains is due at this time (wall clock, s). */
static inline void
found_note_next(struct found *found, int64_t next)
{
	if (found->next == 0 || next < found->next)
		found->next = next;
}

/* The policy of MTA-STS of its lane (stslane.h). Zeroed, it need not be freed. */
struct stslane {
	bool asked;                  /* the record was asked for */
	bool known;                  /* ... and what follows is known */
	struct txt record;           /* owned */
	struct stscache_entry entry; /* owned */
	bool in_force;               /* entry.policy is */
};

/* What a courier knows of the lane it is at. All of it begins by one assignment (visit.c). */
struct work {
	struct conf_delivery delivery; /* what its route says, else what is common */
	struct lane_state state;
	enum outcome verdict;         /* DONE: it is worth trying; else c->why says why not, */
	enum counters_class cause;    /* ... and this is what to count it for */
	bool met;                     /* the connection is for this lane */
	bool parked;                  /* the lane has to wait for a connection to `to` */
	struct exchangers exchangers; /* its hosts, once they are known */
	bool routed;                  /* they are known */
	struct stslane sts;           /* its policy of MTA-STS */
	enum outcome unfound;         /* ... or were looked for in vain; DONE: they were not */
	struct race race;             /* between them; goes on while another one may do better */
	enum outage outage;           /* is it this host that failed in the last attempt? */
	struct exchanger to;          /* the one connected to */
	bool overtook;                /* messages that it put off wait for another host to greet */
	bool waited;                  /* they did, and none greeted in its time */
	bool asked;                   /* a host that is as good was asked, too */
	struct fitting fitting;       /* which hosts can have what another one could not */
	int sought;                   /* times that it stays longer because of that */
	bool detour;                  /* the race is between some that may have it */
	bool barred;                  /* a host is not used because of what the lane's domain asks
	                               * for */
	bool relaxed;                 /* that does not count for the connection: it is for mail
	                               * alone that says TLS-Required: No */
	bool unrelaxed;               /* there was none of that kind either */
	bool uncounted;               /* the mail in hand is a report on TLS: what comes of a
	                               * connection that is made for it stands in no other one */
	char suspect[ID_SIZE];        /* the message that a connection was lost with while it had
	                               * done nothing, and that other hosts are to have; "": none */
	int lost;                     /* so often in a row that led to nothing, with all hosts */
	unsigned lessons;             /* LESSON_*, that were learned here of its hosts: they count
	                               * although hosts.h could not keep them */
	struct withheld withheld;     /* words at which each of them broke off: the same */
	bool extra;                   /* others were at it when this one connected: that it cannot
	                               * says nothing about the lane */
	int64_t since;                /* clock_ms, when this turn began */
	struct pace {
		int messages;         /* looked at, */
		int64_t since;        /* since then (clock_ms) */
	} pace;                       /* decides whether help is worth its start (scan.c) */
};

/* The policy of MTA-STS that is in force for the lane; NULL: none. */
static inline const struct sts_policy *
work_sts(const struct work *w)
{
	return w->sts.in_force ? &w->sts.entry.policy : NULL;
}

/* What turns.c knows of a courier. */
struct turn {
	int number;                    /* its place among all */
	struct schedule_lane *lane;    /* the one that it is at; NULL: none */
	struct exchanger *offer;       /* the host for which the lane has waited; owned; NULL */
	struct schedule_host *at;      /* the host it is connected to; NULL: none */
	bool idle;                     /* it waits for more mail */
	int64_t patience;              /* clock_ms: until when it does, however often; 0: not yet */
	enum turn_word { TURN_SILENCE, TURN_NEWS, TURN_GIVE_WAY } word; /* what it was told then */
	bool summoned;                 /* ... for a lane that is ready: counted in `coming` */
	int told;                      /* eventfd: readable when it was told something */
	uint64_t sent;                 /* octets by its connection, */
	int64_t seen;                  /* ... as was seen then (clock_ms) */
	int64_t slow;                  /* slow since then; 0: it is not */
	bool given_up;                 /* ... and it was told to end that */
	_Atomic bool in_flight;        /* messages are on their way: to give it up may send them
	                                * twice */
	TAILQ_ENTRY(courier) list;     /* of those that are idle, or have ended */
};

/* A thread, and its connection. */
struct courier {
	struct relay *relay;
	pthread_t thread;
	bool started;
	struct turn turn;             /* of turns.c */
	struct tour *tour;            /* the lane that it is at; NULL: none */
	struct work work;

	struct link link;
	struct exchanger to;          /* whom it is to; outlives it (exchanger_keep) */
	char for_lane[LANE_NAME_SIZE]; /* ... and the lane for which it was made */
	struct policy policy;         /* ... and which TLS it must have for the lane at work */
	struct tlsa *tlsa;            /* ... of that, held as long as the connection may need it */
	struct {
		char domain[LANE_NAME_SIZE]; /* whose policy is to be fetched again; "": none */
		char id[STS_ID + 1];
	} refresh;
	struct race_gate gate;        /* which asks turns.c */
	struct buf why;               /* the reason of the last failure to connect */
	struct flights flights;
};

/* What couriers and the first thread share (turns.h). */
struct turns {
	pthread_mutex_t lock;          /* of all that follows */
	struct schedule schedule;
	struct courier **courier;      /* `most` places; NULL: nobody */
	int most, n;
	TAILQ_HEAD(turns_list, courier) idle; /* the one that waits longest first */
	struct turns_list ended;       /* threads that are to be joined */
	size_t coming;                 /* idle ones that were told to take a lane, and have not */
	int wake;                      /* eventfd of the first thread */
	bool ran_out;                  /* connections did once, which was said */
	size_t taken;                  /* lanes, by couriers that were done with another one, */
	int64_t since;                 /* ... since then (clock_ms) */
	size_t pace;                   /* so many in SLOW_TIME, before that */
	bool failed;                   /* a thread could not be started */
	int unsaid;                    /* -errno of that, if it is to be logged; 0 */
};

/* A process. But for what says otherwise, nothing changes once the first courier is started. */
struct relay {
	struct conf common;
	struct spool spool;
	struct hosts hosts;
	struct resolvers *resolvers;
	struct stscache stscache;
	int fetches;                    /* eventfd: as many as may still be at once */
	struct fetchless fetchless;     /* is there nothing to fetch policies with? Has a lock */
	struct tls_setup tls;
	char login_name[LOGIN_NAME_SIZE]; /* whose mail it sends (conf/way.h) */
	int sink;                       /* directory of guard = sink; or -errno (sink.h) */
	struct login login;             /* the only one that this process knows; user NULL: none */
	struct buf unable;              /* why it could not be read; empty: it was */
	struct signer signer;           /* has a lock */
	struct tally tally;             /* of sessions, for reports on TLS */

	struct turns turns;             /* has a lock */
	struct hands *hands;            /* shared with the first process; one for each courier */
	struct suspects suspects;       /* has a lock */
	int keeper;                     /* socket to the first process (keeper.h); -1: none */
	_Atomic bool orphaned;          /* that has ended before this one */
	bool alone;                     /* this process tries one message alone */
	void (*visit)(struct courier *c); /* what a courier does, from its start to its end */
	_Atomic bool unsettled;         /* a lane looks due on disk, and nothing can be done about
	                                 * it now: to look again at once would be to do so for
	                                 * ever */
};

#endif
