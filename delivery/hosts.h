/*
 * hosts: what was learned of the addresses mail was sent to, in small files shared by all relays.
 *
 *	hosts/<address>-<port>      "latency <ms> failed <time> lockstep <time> clear <time>
 *	                             helo <time> grey <s>"
 *
 * A hint and no more: it decides who is tried first, never whether. What is odd, too old or in the future
 * counts as unknown (K13), nothing is synced, and the last writer wins. Of port 0, which stands for a UNIX
 * socket, nothing is kept.
 */
#ifndef POSTERN_HOSTS_H
#define POSTERN_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/net.h"

struct host {
	int64_t latency;  /* ms from connecting to the greeting, smoothed; 0: unknown */
	int64_t failed;   /* wall clock, s: when it last did not greet; 0: it did since */
	int64_t lockstep; /* wall clock, s: when it last lost its way with several messages at once; 0 */
	int64_t clear;    /* wall clock, s: when it last offered TLS that did not work; 0 */
	int64_t helo;     /* wall clock, s: when it last refused EHLO and took HELO; 0 */
	int64_t grey;     /* s until it took what it had put off at first, the shortest; 0: unknown */
};

/* The directory, made if it is missing. fd or -errno. */
int hosts_open(int spool);

/* What is known and not older than `age` s; all 0 if nothing is, or `dir` is less than 0. */
void hosts_recall(int dir, const struct netaddr *a, int port, int64_t age, struct host *out);

/* It greeted after so many ms. */
void hosts_greeted(int dir, const struct netaddr *a, int port, int64_t age, int64_t latency);

/* That happened now. */
enum host_event { HOST_FAILED, HOST_LOCKSTEP, HOST_CLEAR, HOST_HELO };
void hosts_mark(int dir, const struct netaddr *a, int port, int64_t age, enum host_event e);

/* It took a message that was put off before, so many s after that could be sent. */
void hosts_waited(int dir, const struct netaddr *a, int port, int64_t age, int64_t waited);

/* Removes what nobody wrote for `age` s. */
void hosts_sweep(int dir, int64_t age);

#endif
