/*
 * race: which of the hosts for a lane greets first?
 *
 * Preference decides (RFC 5321 section 5.1); among hosts of equal preference, and among the
 * addresses of a host, the one that was quickest of late starts first, the next a moment later,
 * and the first to greet has won (RFC 8305 in spirit); where TLS comes first and we have to begin,
 * the first to be connected. A worse preference starts when all better ones have failed, or said
 * nothing for long; hosts that failed a short while ago come after all others.
 *
 * A race may go on after somebody has won: each host runs once. One that was overtaken has not
 * failed. It still runs, and may yet greet until its own time is over.
 */
#ifndef POSTERN_RACE_H
#define POSTERN_RACE_H

#include "conf/conf.h"
#include "delivery/hosts.h"
#include "dns.h"
#include "lib/buf.h"

struct runner;

/* Who says whether a host may have one more connection. */
struct race_gate {
	void *context;
	void *(*enter)(void *context, const struct exchanger *to); /* its place; NULL: it may not */
	/* The place is free again. `refused`: the host took no connection. */
	void (*leave)(void *context, void *place, bool refused);
};

struct race {
	const struct conf_delivery *conf;
	const struct hosts *hosts;
	const struct race_gate *gate; /* NULL: there is none */
	struct runner *full; /* one that may not have a connection now; NULL: there was none */
	struct runner *v;    /* owned; in the order of starting */
	size_t n;
	size_t started;
	size_t no_route;     /* of these, the ones to which there is no way from here */
	struct runner *winner; /* the last one; NULL: nobody has won yet */
	int64_t left;        /* clock_ms, when it won and the caller left; 0: never */
	bool kept_waiting;   /* it ran already when the winner before it won */
	bool hurried;        /* its time is over: nobody else starts */
	bool extra;          /* of a host that fails it may be one connection too many: that is not
	                      * remembered */
};

/* One that is not being run. */
#define RACE_NONE ((struct race){ 0 })

/* The runners of a race; the order of starting is fixed here. 0 or -ENOMEM. */
int race_begin(struct race *r, const struct conf_delivery *conf, const struct hosts *hosts,
	const struct race_gate *gate, const struct exchangers *x);

/*
 * Puts *x into the order in which a race starts them, but for the one in some tens that begins with
 * the second. For those who only want to know. 0 or -ENOMEM.
 */
int race_order(const struct conf_delivery *conf, const struct hosts *hosts, struct exchangers *x);

/*
 * Waits for the next host to greet, with its greeting still unread; connects to more as needed. A
 * non-blocking fd that is the caller's, and the host in *winner; -1: there is none left, and *why
 * is about the last that failed. May be called again if the winner turns out to be of no use.
 */
int race_next(struct race *r, struct exchanger *winner, struct buf *why);

/* The place of the winner, which is the caller's to give back; NULL: none, or it was taken. */
void *race_take_place(struct race *r);

/*
 * The host that could not be connected to because it has enough connections; those of worse
 * preference did not run then. NULL: there was none.
 */
const struct exchanger *race_full(const struct race *r);

/* Is there a host that has not had its turn? */
bool race_goes_on(const struct race *r);

/*
 * Is there a host of better preference than the last winner that has not had its turn? The winner
 * overtook it; or it failed lately, may be well again, and is the next one.
 */
bool race_is_open(const struct race *r);

/* ... and is such a host there by now, its greeting unread? */
bool race_is_awaited(const struct race *r);

/*
 * Had the last winner to wait while another one was talked to? It may have tired of that, and so
 * what it does wrong at first is not its fault.
 */
bool race_kept_waiting(const struct race *r);

/* Could this host send nothing to any of those that were started? */
bool race_had_no_route(const struct race *r);

/* Was one of this family started? */
bool race_has_started(const struct race *r, bool v4);

/*
 * Is there one of the same preference, or of a worse one, that has not had its turn, and did not
 * fail lately?
 */
bool race_has_equal(const struct race *r);
bool race_has_worse(const struct race *r);

/*
 * The last winner greeted, and there was no talking to it. And: is this one of those of which that
 * is so, or that did not even greet?
 */
void race_note_vain(struct race *r);
bool race_was_vain(const struct race *r, const struct exchanger *to);

/* The connection to the last winner ended with nothing done. That may be the host's fault. */
void race_note_loss(struct race *r);

/*
 * ... and it was: another host did what those could not of which that was noted. They count as
 * failed.
 */
void race_convict(struct race *r);

/* Closes the connections that have not greeted yet. */
void race_end(struct race *r);

#endif
