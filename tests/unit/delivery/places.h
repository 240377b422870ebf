/*
 * places: hosts at ports of their own, to which the courier of at_work.h goes with the mail of its
 * lane.
 */
#ifndef POSTERN_PLACES_H
#define POSTERN_PLACES_H

#include "tests/unit/delivery/at_work.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "delivery/meet.h"
#include "delivery/scan.h"
#include "lib/cleanup.h"
#include "tests/unit/sending/host.h"

enum { TEXT = 4096, MESSAGES = 5, HOSTS = 3, SLOW = 20000 };

/* ---- hosts ---------------------------------------------------------------------------------- */

/* A host at a port of its own, which talks by its script to one client after the other. */
static struct place {
	struct host_script script;
	struct host host;
	int listener;
	int connections;
	pthread_t thread;
} place[HOSTS];

#define LAST_FROM "127.0.0.2" /* whoever comes from there comes last */

static inline bool
is_last(const struct sockaddr_in *from)
{
	return from->sin_addr.s_addr == inet_addr(LAST_FROM);
}

static inline void *
serve(void *context)
{
	struct place *p = context;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	for (int fd; (fd = accept(p->listener, (struct sockaddr *)&from, &len)) >= 0;) {
		if (is_last(&from)) {
			close(fd);
			break;
		}
		p->connections++;
		host_talk(&p->host, &p->script, fd);
	}
	return NULL;
}

/* Opens it as a host of the lane. */
static inline void
listen_at(size_t i)
{
	struct place *p = &place[i];
	struct exchanger *e = &c->work.exchangers.v[i];
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&in, len), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(listen(p->listener, MESSAGES), 0);
	*e = (struct exchanger){ .preference = (uint16_t)(10 * (i + 1)),
		.port = ntohs(in.sin_port) };
	snprintf(e->host, sizeof(e->host), "mx%zu.example", i);
	assert_int_equal(netaddr_parse(span_of("127.0.0.1"), &e->addr), 0);
	c->work.exchangers.n = i + 1;
}

/* ... `silent`: it never greets. */
static inline void
open_place(size_t i, const char *exceptions, bool silent)
{
	struct place *p = &place[i];
	listen_at(i);
	p->script = (struct host_script){ .greeting = silent ? NULL : "220 here",
		.ehlo = "250 hello", .exceptions = exceptions };
	p->connections = 0;
	assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

/* Behind all that connected to it, though it may not have come to know of them yet. */
static inline void
come_last(size_t i)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(LAST_FROM) };
	struct sockaddr_in to;
	socklen_t len = sizeof(to);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(getsockname(place[i].listener, (struct sockaddr *)&to, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, len), 0);
	close(fd);
}

/* It takes no further connection, and is waited for. */
static inline void
end_place(size_t i)
{
	assert_int_equal(pthread_join(place[i].thread, NULL), 0);
	close(place[i].listener);
}

static inline void
close_place(size_t i)
{
	come_last(i);
	end_place(i);
}

static inline struct host_record
known(size_t i)
{
	struct host_record h;
	hosts_recall(&r.hosts, &c->work.exchangers.v[i], &h);
	return h;
}

/* ---- a relay at work on the lane of d.example ----------------------------------------------- */

static inline int
start(void **state)
{
	static const char *const options[] = { "hostname=us.example", "retry=1h", "expire=5d",
		"delay_warning=0s", "mx_order=random", "max_connections=1" };
	const struct conf_args args = { .file = "/dev/null", .options = (const char **)options,
		.n = ROWS(options) };
	auto_buf why = buf_new(TEXT);
	if (setup(state) < 0)
		return -1;
	log_open(LOG_TO_NONE, "test");
	r = (struct relay){ .unable = buf_new(TEXT) };
	hosts_open(&r.hosts, sp.root, 1000);
	return conf_load(&r.common, &args, NULL, &why) < 0 ? -1 : hire();
}

static inline int
stop(void **state)
{
	close(r.hosts.dir);
	dismiss();
	conf_free(&r.common);
	return teardown(state);
}

/* Nothing was done in it yet, and its hosts are known. */
static inline void
begin_lane(void)
{
	lane_close(&tour.lane);
	tour.found = (struct found){ 0 };
	c->turn.lane->couriers = 1;
	c->work = (struct work){ .verdict = DONE, .delivery = r.common.delivery, .routed = true };
	c->work.exchangers.unknown = EXCHANGER_WORST + 1;
	c->work.exchangers.v = calloc(HOSTS, sizeof(*c->work.exchangers.v));
	assert_non_null(c->work.exchangers.v);
}

static inline void
end_lane(void)
{
	meet_leave(c);
	connect_end(c);
	hosts_sweep(&(struct hosts){ .dir = r.hosts.dir, .age = -1 });
}

static char ids[MESSAGES][ID_SIZE];

static inline void
queue(int n)
{
	for (int i = 0; i < n; i++) {
		begin("");
		add("d.example", "u@d.example");
		draft_body(&d, span_of(BODY));
		assert_int_equal(draft_commit(&d), 0);
		memcpy(ids[i], d.id, ID_SIZE);
	}
	open_lane(&tour.lane, "d.example");
}

/* For each message "-" if it is gone, or how many attempts it has behind it; takes it away. */
static inline void
describe(int n, char out[static MESSAGES + 1])
{
	for (int i = 0; i < n; i++) {
		struct message m;
		out[i] = '-';
		if (message_open(&m, &tour.lane, ids[i]) < 0)
			continue;
		out[i] = (char)('0' + m.attempts);
		message_close(&m);
		assert_int_equal(message_remove(&tour.lane, ids[i]), 0);
	}
	out[n] = '\0';
}

/* Goes over the lane as a courier that is alone at it does, until nothing is due at once. */
static inline void
scan(void)
{
	struct found found;
	do {
		tour_begin(c);
		assert_false(scan_lane(c, &found)); /* nobody waits for it */
	} while (found.again && !found.parked);
}

#endif
