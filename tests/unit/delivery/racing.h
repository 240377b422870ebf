/*
 * racing: hosts at ports of their own, which greet or do not, and a race to them: for a group of
 * tests.
 */
#ifndef POSTERN_RACING_H
#define POSTERN_RACING_H

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "delivery/race.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

enum { HOSTS = 4, AGE = 600, TEXT = 1000, SLOW = 20000, DRAWS = 600 };

static struct hosts hosts;
static char spool[] = "/tmp/postern-race-XXXXXX";

enum manner { SILENT, GREETS, CLOSES, REFUSES };

/* A host at a port of its own, on loopback. */
struct place {
	enum manner manner;
	int listener;
	pthread_t thread;
};

static struct place places[HOSTS];
static struct exchanger exchanger[HOSTS];
static size_t n_places;

/* One connection: a greeting, or the end. The connection stays open until the listener goes. */
static inline void *
serve(void *context)
{
	const struct place *p = context;
	auto_fd fd = accept(p->listener, NULL, NULL);
	if (fd >= 0 && p->manner == GREETS)
		(void)send(fd, "220 here\r\n", 10, MSG_NOSIGNAL);
	if (fd >= 0 && p->manner == GREETS)
		(void)accept(p->listener, NULL, NULL); /* until it is shut down */
	return NULL;
}

static inline void
open_place(size_t i, enum manner manner, uint16_t preference)
{
	struct place *p = &places[i];
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	*p = (struct place){ .manner = manner,
		.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	assert_int_equal(bind(p->listener, (struct sockaddr *)&in, len), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&in, &len), 0);
	if (manner != REFUSES)
		assert_int_equal(listen(p->listener, DRAWS), 0);
	if (manner == GREETS || manner == CLOSES)
		assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
	exchanger[i] = (struct exchanger){ .preference = preference, .port = ntohs(in.sin_port) };
	snprintf(exchanger[i].host, sizeof(exchanger[i].host), "mx%zu.example", i);
	assert_int_equal(netaddr_parse(span_of("127.0.0.1"), &exchanger[i].addr), 0);
	n_places = i + 1;
}

static inline void
forget_all(void)
{
	hosts_sweep(&(struct hosts){ .dir = hosts.dir, .age = -1 });
}

static inline void
close_places(void)
{
	for (size_t i = 0; i < n_places; i++) {
		struct place *p = &places[i];
		shutdown(p->listener, SHUT_RDWR);
		if (p->manner == GREETS || p->manner == CLOSES)
			assert_int_equal(pthread_join(p->thread, NULL), 0);
		close(p->listener);
	}
	n_places = 0;
	forget_all();
}

/* Which one is it? */
static inline char
letter(const struct exchanger *e)
{
	for (size_t i = 0; i < n_places; i++)
		if (exchanger[i].port == e->port)
			return (char)('a' + i);
	return '?';
}

static inline struct host_record
known(size_t i)
{
	struct host_record h;
	hosts_recall(&hosts, &exchanger[i], &h);
	return h;
}

static inline int
start(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(spool));
	auto_fd dir = open(spool, O_RDONLY | O_DIRECTORY);
	hosts_open(&hosts, dir, AGE);
	return hosts.dir < 0;
}

static inline int
stop(void **state)
{
	char name[sizeof(spool) + 10];
	(void)state;
	close(hosts.dir);
	snprintf(name, sizeof(name), "%s/hosts", spool);
	return rmdir(name) < 0 || rmdir(spool) < 0;
}

/* ---- the race ------------------------------------------------------------------------------- */

static char any_source[] = "";
static struct conf_delivery conf = { .timeout_connect = 3600, .timeout_greeting = 3600,
	.source = any_source };

static const struct race_gate *gate;

static inline void
begin_race(struct race *r)
{
	const struct exchangers all = { .v = exchanger, .n = n_places };
	assert_int_equal(race_begin(r, &conf, &hosts, gate, &all), 0);
}

/* The same where the client speaks first (implicit TLS): to connect is to win. */
static inline void
begin_race_of_clients(struct race *r)
{
	for (size_t i = 0; i < n_places; i++)
		exchanger[i].tls_first = true;
	begin_race(r);
}

/* The next winner, or '-'. */
static inline char
next(struct race *r, struct buf *why)
{
	struct exchanger winner;
	int fd = race_next(r, &winner, why);
	if (fd >= 0)
		close(fd);
	return fd >= 0 ? letter(&winner) : '-';
}

#endif
