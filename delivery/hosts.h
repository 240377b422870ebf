/*
 * hosts: what was learned of the addresses mail was sent to, in small files shared by all relays
 * and their couriers.
 *
 *	hosts/<address>-<port>      "latency <ms> failed <time> grey <s> ...", a name and a number
 *	                             for each field of struct host_record
 *
 * A hint and no more: it decides which host is tried first, never whether. What is odd, too old
 * or in the future counts as unknown (K13), nothing is synced, and the last writer wins. Of a
 * UNIX socket, which has no address, nothing is kept.
 */
#ifndef POSTERN_HOSTS_H
#define POSTERN_HOSTS_H

#include <stdint.h>

#include "dns.h"

/* Where that is, and for how long it counts. */
struct hosts {
	int dir;     /* less than 0: nothing is known, and nothing is kept */
	int64_t age; /* s; what is older counts for nothing */
};

/* What is known of a host. */
struct host_record {
	int64_t latency;  /* ms from connecting to the greeting, smoothed; 0: unknown */
	int64_t failed;   /* wall clock, s: when it last did not greet in time, or broke off with
	                   * nothing done; 0: it greeted since */
	int64_t lockstep; /* wall clock, s: when it last broke off with several commands at once */
	int64_t single;   /* wall clock, s: ... with several messages at once */
	int64_t discards; /* wall clock, s: when it was seen to do right by BDAT (probe.h) */
	int64_t unchunked; /* wall clock, s: when it was seen not to */
	int64_t clear;    /* wall clock, s: when it last offered TLS that did not work; 0 */
	int64_t helo;     /* wall clock, s: when it last refused EHLO and took HELO; 0 */
	int64_t plain;    /* wall clock, s: when only a plain mechanism of AUTH worked; 0 */
	int64_t fewer;    /* wall clock, s: when it last broke off at words that it offered; 0 */
	int64_t words;    /* ... and all of those (CAN_*); 0: `fewer` is */
	int64_t greyed;   /* wall clock, s: when it last put a recipient off as greylists do */
	int64_t grey;     /* s until it took what it had put off, the shortest; 0: unknown */
};

/*
 * Opens hosts/ in the directory of a spool, made if it is missing; h->dir is the caller's to
 * close, or -errno.
 */
void hosts_open(struct hosts *h, int spool, int64_t age);

/* The same for somebody who only looks: nothing is made. */
void hosts_look(struct hosts *h, int spool, int64_t age);

/* What is known of the host with this address and port; all 0 if nothing is. */
void hosts_recall(const struct hosts *h, const struct exchanger *to, struct host_record *out);

/* It greeted after so many ms. */
void hosts_greeted(const struct hosts *h, const struct exchanger *to, int64_t latency);

/* It has not greeted for so many ms, and may yet. */
void hosts_silent(const struct hosts *h, const struct exchanger *to, int64_t ms);

/* That happened with it now. */
enum host_event {
	HOST_FAILED,
	HOST_LOCKSTEP,
	HOST_SINGLE,
	HOST_DISCARDS,
	HOST_UNCHUNKED,
	HOST_CLEAR,
	HOST_HELO,
	HOST_FEWER,
	HOST_GREYED,
	HOST_PLAIN,
};
void hosts_mark(const struct hosts *h, const struct exchanger *to, enum host_event e);

/* ... or counts no more. */
void hosts_unmark(const struct hosts *h, const struct exchanger *to, enum host_event e);

/* It broke off at these words (CAN_*), which it had offered, and refused: HOST_FEWER. */
void hosts_mark_words(const struct hosts *h, const struct exchanger *to, unsigned words);

/*
 * It took a message so many s after that could first be sent. If it was this host that put
 * something off meanwhile (HOST_GREYED), that long may be the wait of its greylist.
 */
void hosts_waited(const struct hosts *h, const struct exchanger *to, int64_t waited);

/* Removes the files of hosts of which nothing was written for that age. */
void hosts_sweep(const struct hosts *h);

#endif
