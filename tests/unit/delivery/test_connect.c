/* connect: who gets the mail of a lane, what is said to whom, and whose fault it is if nothing comes
 * of it (L8, L9, L14, L15, M2, S1). */
#include "tests/unit/delivery/at_work.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

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

static void *
serve(void *context)
{
	struct place *p = context;
	for (int fd; (fd = accept(p->listener, NULL, NULL)) >= 0;) {
		p->connections++;
		host_talk(&p->host, &p->script, fd);
	}
	return NULL;
}

/* Opens it as a host of the lane. */
static void
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
static void
open_place(size_t i, const char *exceptions, bool silent)
{
	struct place *p = &place[i];
	listen_at(i);
	p->script = (struct host_script){ .greeting = silent ? NULL : "220 here",
		.ehlo = "250 hello", .exceptions = exceptions };
	p->connections = 0;
	assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

static void
close_place(size_t i)
{
	shutdown(place[i].listener, SHUT_RDWR);
	assert_int_equal(pthread_join(place[i].thread, NULL), 0);
	close(place[i].listener);
}

static struct host_record
known(size_t i)
{
	struct host_record h;
	hosts_recall(&r.hosts, &c->work.exchangers.v[i], &h);
	return h;
}

/* ---- a relay at work on the lane of d.example ----------------------------------------------- */

static int
start(void **state)
{
	static const char *const options[] = { "hostname=us.example", "retry=1h", "expire=5d",
		"delay_warning=0s", "mx_order=random", "timeout_greeting=1s", "max_connections=1" };
	const struct conf_args args = { .file = "/dev/null", .options = (const char **)options,
		.n = ROWS(options) };
	auto_buf why = buf_new(TEXT);
	if (setup(state) < 0)
		return -1;
	log_open(LOG_TO_NONE, "test", NULL);
	r = (struct relay){ .unable = buf_new(TEXT) };
	hosts_open(&r.hosts, sp.root, 1000);
	return conf_load(&r.common, &args, NULL, &why) < 0 ? -1 : hire();
}

static int
stop(void **state)
{
	close(r.hosts.dir);
	dismiss();
	conf_free(&r.common);
	return teardown(state);
}

/* Nothing was done in it yet, and its hosts are known. */
static void
begin_lane(void)
{
	lane_close(&tour.lane);
	tour.found = (struct found){ 0 };
	c->turn.lane->couriers = 1;
	c->work = (struct work){ .verdict = DONE, .delivery = r.common.delivery, .routed = true };
	c->work.exchangers.v = calloc(HOSTS, sizeof(*c->work.exchangers.v));
	assert_non_null(c->work.exchangers.v);
}

static void
end_lane(void)
{
	connect_close(c);
	connect_end(c);
	hosts_sweep(&(struct hosts){ .dir = r.hosts.dir, .age = -1 });
}

static char ids[MESSAGES][ID_SIZE];

static void
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
static void
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
static void
scan(void)
{
	struct found found;
	do {
		tour_begin(c);
		assert_false(scan_lane(c, &found)); /* nobody waits for it */
	} while (found.again && !found.parked);
}

/* ---- whose fault? --------------------------------------------------------------------------- */

struct row {
	const char *better, *worse; /* what they do beside what is usual (host.h) */
	int messages;
	const char *want;           /* describe() */
	int connections[HOSTS];
	bool failed[HOSTS];         /* remembered */
	bool down;                  /* the lane waits */
	bool equal;                 /* there are three, all of one preference */
	bool doubtful;              /* the better one failed lately */
};

static void
check(const struct row *t)
{
	char got[MESSAGES + 1];
	bool silent = strcmp(t->better, "silent") == 0;
	begin_lane();
	size_t n = t->equal ? HOSTS : 2;
	open_place(0, silent ? "" : t->better, silent);
	for (size_t i = 1; i < n; i++) {
		open_place(i, t->worse, false);
		if (t->equal)
			c->work.exchangers.v[i].preference = c->work.exchangers.v[0].preference;
	}
	if (silent) /* and known for it: the other one is tried soon */
		hosts_silent(&r.hosts, &c->work.exchangers.v[0], SLOW);
	if (t->doubtful)
		hosts_mark(&r.hosts, &c->work.exchangers.v[0], HOST_FAILED);
	queue(t->messages);
	scan();
	assert_int_equal(c->work.verdict == SOFT, t->down);
	bool failed[HOSTS] = { 0 };
	for (size_t i = 0; i < n; i++)
		failed[i] = known(i).failed != 0;
	lane_set_up(&tour.lane);
	end_lane();
	describe(t->messages, got);
	for (size_t i = 0; i < n; i++) {
		close_place(i);
		if (place[i].connections != t->connections[i] || failed[i] != t->failed[i])
			fail_msg("%s, %s: host %zu: %d connections, %s", t->better, t->worse, i,
				place[i].connections, failed[i] ? "failed" : "well");
	}
	if (strcmp(got, t->want) != 0)
		fail_msg("%s, %s: %s", t->better, t->worse, got);
}

static void
test_turns(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "", "", 2, "--", .connections = { 1, 0 } },
		/* L8, L9: a connection that was of use, and the next one goes to the best host */
		{ "MAIL2=550 enough", "", 3, "---", .connections = { 3, 0 } },
		{ "END1=250 ok!", "", 3, "---", .connections = { 3, 0 } },
		/* L15: nothing came of it: the next host, and the one before has failed if that
		   did better */
		{ "MAIL1=close", "", 2, "--", .connections = { 1, 1 }, .failed = { true } },
		{ "MAIL1=421 bye!", "", 2, "--", .connections = { 1, 1 }, .failed = { true } },
		{ "RCPT1=421 bye!", "", 2, "--", .connections = { 1, 1 }, .failed = { true } },
		{ "DATA1=close", "", 2, "--", .connections = { 1, 1 }, .failed = { true } },
		{ "END1=421 bye!", "", 2, "--", .connections = { 1, 1 }, .failed = { true } },
		{ "MAIL1=close", "RCPT1=550 no", 1, "-", .connections = { 1, 1 },
			.failed = { true } },
		{ "MAIL1=close", "RCPT1=450 later", 1, "1", .connections = { 1, 1 },
			.failed = { true } },
		/* ... unless it did not: then it may be the message */
		{ "MAIL1=close", "MAIL1=close", 1, "1", .connections = { 1, 1 } },
		{ "MAIL1=421 bye!", "END1=close", 1, "1", .connections = { 1, 1 } },
		/* ... but hardly several messages; and the lane is not asked for ever */
		{ "MAIL1=close", "MAIL1=close", 5, "01100", .connections = { 2, 1 },
			.failed = { true },
			.down = true },
		/* before the mail, a host's trouble is its own */
		{ "HELLO1=421 bye!", "", 2, "--", .connections = { 1, 1 }, .failed = { true } },
		{ "GREETING1=554 no!", "", 2, "--", .connections = { 1, 1 }, .failed = { true } },
		/* L14: a better host that was overtaken is waited for, once, while the other one
		   only defers; it has failed when its time is over */
		{ "silent", "", 2, "--", .connections = { 1, 1 } },
		{ "silent", "RCPT1=450 no|RCPT2=450 no", 2, "11", .connections = { 1, 2 },
			.failed = { true } },
		{ "silent", "RCPT1=550 no|RCPT2=550 no", 2, "--", .connections = { 1, 1 } },
		/* ... and so is one that failed lately, and may be well again */
		{ "", "RCPT1=450 no|RCPT2=450 no", 2, "--", .connections = { 1, 1 },
			.doubtful = true },
		{ "GREETING1=close", "RCPT1=450 no|RCPT2=450 no", 2, "11", .connections = { 1, 2 },
			.failed = { true }, .doubtful = true },
		{ "", "", 2, "--", .connections = { 0, 1 }, .failed = { true }, .doubtful = true },
		/* ... and one that is as good is asked, too, but no more than one */
		{ "RCPT1=450 no|RCPT2=450 no", "", 2, "--", .connections = { 1, 1, 0 },
			.equal = true },
		{ "RCPT1=450 no", "RCPT1=450 no", 1, "1", .connections = { 1, 1, 0 },
			.equal = true },
		{ "RCPT1=450 no", "", 1, "1", .connections = { 1, 0 } },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		check(&rows[i]);
}

/*
 * A better host that was overtaken, and ended the connection before anybody came back to it, has
 * not failed: how long that takes is decided by the other one, which may be somebody else's.
 */
static void
test_tired_of_waiting(void **state)
{
	(void)state;
	static const char words[] = "220 here\r\n421 too long\r\n";
	begin_lane();
	listen_at(0);
	open_place(1, "", false);
	hosts_silent(&r.hosts, &c->work.exchangers.v[0], SLOW);
	queue(1);
	assert_int_equal(connect_lane(c), DONE);
	assert_int_equal(c->work.to.port, c->work.exchangers.v[1].port);
	int fd = accept(place[0].listener, NULL, NULL);
	assert_int_equal(send(fd, words, strlen(words), MSG_NOSIGNAL), strlen(words));
	close(fd);
	c->work.overtook = true;
	connect_make_way(c);
	assert_int_equal(connect_lane(c), DONE);
	assert_int_equal(c->work.to.port, c->work.exchangers.v[1].port);
	assert_int_equal(known(0).failed, 0);
	end_lane();
	close(place[0].listener);
	close_place(1);
}

/*
 * All hosts greet, and close when mail comes. The oldest message is always the first that goes to
 * the next host without a word against it; and yet it is returned in the end, though there is ever
 * new mail that has its turn in between, and the lane waits longer each time.
 */
static void
test_none_does_anything(void **state)
{
	(void)state;
	enum { VISITS = 3, NEW = 4 };
	char oldest[ID_SIZE] = "";
	struct lane_state now;
	r.common.relay.expire = -1; /* all mail is old enough */
	for (int visit = 1; visit <= VISITS; visit++) {
		struct message m;
		begin_lane();
		open_place(0, "MAIL1=close", false);
		open_place(1, "MAIL1=close", false);
		queue(NEW);
		if (visit == 1)
			memcpy(oldest, ids[0], sizeof(oldest));
		lane_state(&tour.lane, &c->work.state);
		scan();
		end_lane();
		close_place(0);
		close_place(1);
		lane_state(&tour.lane, &now);
		assert_true(now.down);
		assert_int_equal(now.attempts, visit);
		int err = message_open(&m, &tour.lane, oldest);
		assert_int_equal(err, visit < VISITS ? 0 : -ENOENT);
		message_close(&m);
	}
}

/* ---- a lane without a host ------------------------------------------------------------------ */

/*
 * No host: the lane waits, longer each time. But the connection of an extra relay may only be one
 * too many, which tells nothing of the host either.
 */
static void
test_giving_up(void **state)
{
	(void)state;
	static const struct {
		const char *host, *why;
		bool extra;
	} rows[] = {
		{ "GREETING1=554 5.7.1 not you!", "554 5.7.1 not you", false },
		{ "GREETING1=421 too many!", "421 too many", true },
		{ "GREETING1=close", "connection closed by the host", false },
		{ "GREETING1=close", "connection closed by the host", true },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct lane_state now;
		bool extra = rows[i].extra;
		begin_lane();
		c->turn.lane->couriers = extra ? 2 : 1;
		open_place(0, rows[i].host, false);
		queue(1);
		c->work.state.attempts = 2;
		assert_int_equal(connect_lane(c), SOFT);
		assert_int_equal(c->work.verdict, SOFT);
		assert_non_null(memmem(c->why.p, c->why.n, rows[i].why, strlen(rows[i].why)));
		assert_int_equal(known(0).failed != 0, !extra);
		lane_state(&tour.lane, &now);
		assert_int_equal(now.down, !extra);
		assert_int_equal(now.attempts, extra ? 0 : 3);
		lane_set_up(&tour.lane);
		end_lane();
		close_place(0);
	}
}

/* Takes one connection, which it closes at EHLO, and no second one. */
static void *
serve_once(void *context)
{
	struct place *p = context;
	const struct host_script script = { .greeting = "220 here", .ehlo = "250 hello",
		.exceptions = "HELLO1=close" };
	int fd = accept(p->listener, NULL, NULL);
	shutdown(p->listener, SHUT_RDWR);
	host_talk(&p->host, &script, fd);
	return NULL;
}

/* Nor is anything remembered if it is the second connection of an extra relay that fails. */
static void
test_giving_up_again(void **state)
{
	(void)state;
	for (int extra = 0; extra < 2; extra++) {
		begin_lane();
		c->turn.lane->couriers = extra ? 2 : 1;
		listen_at(0);
		assert_int_equal(pthread_create(&place[0].thread, NULL, serve_once, &place[0]), 0);
		queue(1);
		assert_int_equal(connect_lane(c), SOFT);
		assert_int_equal(known(0).failed != 0, !extra);
		lane_set_up(&tour.lane);
		end_lane();
		close_place(0);
	}
}

/* The login could not be read: nobody is asked, and the reason stands in the lane. */
static void
test_unable(void **state)
{
	(void)state;
	begin_lane();
	open_place(0, "", false);
	queue(1);
	buf_puts(&r.unable, "password: not there");
	assert_int_equal(connect_lane(c), SOFT);
	assert_memory_equal(c->why.p, "password: not there", 19);
	end_lane();
	close_place(0);
	assert_int_equal(place[0].connections, 0);
}

/* A lane that was down and has a host again is up; its attempts count until that does something. */
static void
test_up_again(void **state)
{
	(void)state;
	struct lane_state now;
	begin_lane();
	open_place(0, "", false);
	queue(1);
	assert_int_equal(lane_set_down(&tour.lane, 4, 0, "gone"), 0);
	lane_state(&tour.lane, &c->work.state);
	assert_int_equal(connect_lane(c), DONE);
	lane_state(&tour.lane, &now);
	assert_true(!now.down && now.attempts == 0);
	assert_true(!c->work.state.down && c->work.state.attempts == 4);
	scan();
	assert_int_equal(c->work.state.attempts, 0);
	end_lane();
	close_place(0);
}

/* ---- what a host hears ---------------------------------------------------------------------- */

/* Terms of the connection to a host, by the route, the lane, and what is known of the host. */
static void
test_terms(void **state)
{
	(void)state;
	static struct login login = { .user = (char *)"us" };
	enum { NOTHING = -1 };
	static const struct {
		const char *lane, *host;
		bool named, knows_login;
		int known; /* HOST_*, or NOTHING */
		enum conf_delivery_tls tls;

		const char *target;
		enum conf_delivery_tls policy;
		bool login, helo, single;
	} rows[] = {
		{ "d.example", "mx.e.example", false, false, NOTHING, DELIVERY_TLS_MAY,
			"d.example", DELIVERY_TLS_MAY, false, false, false },
		/* M3: a name that only the DNS told is nobody that mail is for */
		{ "route:r", "mx.e.example", false, false, NOTHING, DELIVERY_TLS_MAY, "",
			DELIVERY_TLS_MAY, false, false, false },
		{ "route:r", "mail.example", true, false, NOTHING, DELIVERY_TLS_MAY,
			"mail.example", DELIVERY_TLS_MAY, false, false, false },
		{ "route:r", "[127.0.0.1]", true, false, NOTHING, DELIVERY_TLS_MAY, "127.0.0.1",
			DELIVERY_TLS_MAY, false, false, false },
		/* S1: a login is for hosts that the operator named */
		{ "route:r", "mx.e.example", false, true, NOTHING, DELIVERY_TLS_NONE, "",
			DELIVERY_TLS_NONE, false, false, false },
		/* what failed lately is not tried, where that is allowed */
		{ "d.example", "mx", false, false, HOST_CLEAR, DELIVERY_TLS_MAY, "d.example",
			DELIVERY_TLS_NONE, false, false, false },
		{ "d.example", "mx", false, false, HOST_HELO, DELIVERY_TLS_MAY, "d.example",
			DELIVERY_TLS_MAY, false, true, false },
		{ "d.example", "mx", false, false, HOST_SINGLE, DELIVERY_TLS_MAY, "d.example",
			DELIVERY_TLS_MAY, false, false, true },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		begin_lane();
		open_place(0, "", false);
		struct exchanger *e = &c->work.exchangers.v[0];
		snprintf(tour.lane.name, sizeof(tour.lane.name), "%s", rows[i].lane);
		snprintf(e->host, sizeof(e->host), "%s", rows[i].host);
		e->named = rows[i].named;
		c->work.delivery.tls = rows[i].tls;
		r.login = rows[i].knows_login ? login : (struct login){ 0 };
		if (rows[i].known != NOTHING)
			hosts_mark(&r.hosts, e, (enum host_event)rows[i].known);
		assert_int_equal(connect_lane(c), DONE);
		const struct link_terms *t = &c->link.terms;
		assert_string_equal(t->target, rows[i].target);
		assert_int_equal(t->policy, rows[i].policy);
		assert_int_equal(t->login != NULL, rows[i].login);
		assert_int_equal(t->helo, rows[i].helo);
		assert_int_equal(t->window == 1, rows[i].single);
		end_lane();
		close_place(0);
	}
}

/*
 * How much at once a host gets, by what was learned of it (L10, L20, L21); by this relay, too, and
 * without what the site does without.
 */
static void
test_pace(void **state)
{
	(void)state;
	static const struct {
		enum host_event known;
		unsigned lessons, without;
		bool single, discards;
	} rows[] = {
		{ HOST_SINGLE, 0, 0, true, false },
		{ HOST_LOCKSTEP, 0, CAN_PIPELINING, false, false },
		{ HOST_DISCARDS, 0, 0, false, true },
		{ HOST_UNCHUNKED, 0, CAN_BDAT, false, false },
		{ HOST_UNCHUNKED, LESSON_DISCARDS, CAN_BDAT, false, false },
		{ HOST_DISCARDS, LESSON_LOCKSTEP, CAN_PIPELINING, false, true },
		{ HOST_DISCARDS, LESSON_SINGLE | LESSON_NO_CHUNKS, CAN_BDAT, true, false },
	};
	static char size[] = "size";
	for (size_t i = 0; i < ROWS(rows); i++) {
		begin_lane();
		open_place(0, "", false);
		c->work.lessons = rows[i].lessons;
		c->work.delivery.without = size;
		hosts_mark(&r.hosts, &c->work.exchangers.v[0], rows[i].known);
		assert_int_equal(connect_lane(c), DONE);
		const struct link_terms *t = &c->link.terms;
		assert_int_equal(t->without, rows[i].without | CAN_SIZE);
		assert_int_equal(t->avoided, rows[i].without);
		assert_int_equal(t->window == 1, rows[i].single);
		assert_int_equal(t->discards, rows[i].discards);
		end_lane();
		close_place(0);
	}
}

/* L16: words that the host broke off at, lately or by this relay, are left out, and that is a fallback. */
static void
test_refused_words(void **state)
{
	(void)state;
	begin_lane();
	open_place(0, "", false);
	hosts_mark_words(&r.hosts, &c->work.exchangers.v[0], CAN_SIZE);
	c->work.fewer = CAN_DSN;
	assert_int_equal(connect_lane(c), DONE);
	const struct link_terms *t = &c->link.terms;
	assert_int_equal(t->fewer, CAN_SIZE | CAN_DSN);
	assert_int_equal(t->without & t->avoided, CAN_SIZE | CAN_DSN);
	/* what is refused only now is remembered beside it */
	c->link.flow.dropped = CAN_8BITMIME;
	c->link.lessons = LESSON_FEWER;
	c->link.flow.about = REFUSAL_FALLBACK;
	connect_learn(c);
	connect_heed_refusals(c, span_of("no"));
	assert_int_equal(known(0).words, CAN_SIZE | CAN_8BITMIME);
	assert_int_equal(c->work.fewer, CAN_DSN | CAN_8BITMIME);
	/* a refusal that may be about what was left out before makes that be tried again */
	c->link.flow.dropped = c->link.flow.heeded = 0;
	connect_heed_refusals(c, span_of("no"));
	assert_int_equal(known(0).words, 0);
	end_lane();
	close_place(0);
}

/* S1: only a host that the operator named may hear the login; then EHLO is said again, too. */
static void
test_login(void **state)
{
	(void)state;
	for (int named = 0; named < 2; named++) {
		begin_lane();
		open_place(0, "", false);
		c->work.exchangers.v[0].named = named;
		r.login.user = (char *)"us";
		hosts_mark(&r.hosts, &c->work.exchangers.v[0], HOST_HELO);
		queue(1); /* the host offers no AUTH, so whom a login is for gets no mail */
		assert_int_equal(connect_lane(c), named ? SOFT : DONE);
		assert_int_equal(c->link.terms.login != NULL, named);
		assert_int_equal(c->link.terms.helo, !named); /* which knows no AUTH */
		/* that it does not take the login says nothing about the host */
		assert_int_equal(known(0).failed, 0);
		end_lane();
		close_place(0);
	}
	r.login.user = NULL;
}

/* ---- one connection, several lanes ---------------------------------------------------------- */

/*
 * A certificate that is good for one name. The linker puts the functions below in the place of those
 * of tlsclient.c; other connections here have no TLS.
 */
static const char *certificate;

bool __wrap_tlsclient_verify(struct tls *t, const char *name, struct buf *why);
void __wrap_tlsclient_free(struct tls *t);
void __wrap_tlsclient_end(struct tls *t);

bool
__wrap_tlsclient_verify(struct tls *t, const char *name, struct buf *why)
{
	(void)why;
	assert_ptr_equal(t, &certificate);
	return strcmp(name, certificate) == 0;
}

void
__wrap_tlsclient_free(struct tls *t)
{
	(void)t;
}

void
__wrap_tlsclient_end(struct tls *t)
{
	(void)t;
}

/* It is at a lane whose only host is this one, with no connection yet. */
static void
begin_first(const char *lane)
{
	begin_lane();
	open_place(0, "", false);
	snprintf(tour.lane.name, sizeof(tour.lane.name), "%s", lane);
	assert_int_equal(connect_lane(c), DONE);
	assert_string_equal(c->for_lane, lane);
}

/* It goes on with another lane, for which this host was found; NULL: the lane has not waited. */
static void
begin_next(const char *lane, const struct exchanger *offer)
{
	struct exchanger here = c->to;
	connect_end(c);
	begin_lane();
	snprintf(tour.lane.name, sizeof(tour.lane.name), "%s", lane);
	c->work.exchangers.v[c->work.exchangers.n++] = here;
	free(c->turn.offer);
	c->turn.offer = offer != NULL ? malloc(sizeof(*offer)) : NULL;
	if (offer != NULL)
		*c->turn.offer = *offer;
}

enum offer { NONE, HERE, OTHER_ADDRESS, OTHER_PORT, OTHER_TLS, SOCKET };

/* The host of the connection, as the other lane finds it under another name; or another one. */
static const struct exchanger *
offered(enum offer o, const char *lane)
{
	static struct exchanger e;
	e = c->to;
	snprintf(e.host, sizeof(e.host), "%s", lane[0] == '[' ? lane : "mx.b.example");
	if (o == OTHER_ADDRESS)
		assert_int_equal(netaddr_parse(span_of("127.0.0.2"), &e.addr), 0);
	e.port = (uint16_t)(e.port + (o == OTHER_PORT));
	e.tls_first = o == OTHER_TLS;
	e.socket = o == SOCKET;
	return o != NONE ? &e : NULL;
}

/* Whose mail may go by a connection that was made for somebody else's? */
static void
test_shared_connection(void **state)
{
	(void)state;
	static const struct {
		const char *first, *next;
		enum offer offer;
		enum conf_delivery_tls tls;
		const char *certificate; /* NULL: it goes in clear */
		bool shared;
		const char *target; /* of the certificate, then */
	} rows[] = {
		{ "a.example", "b.example", HERE, DELIVERY_TLS_MAY, NULL, true, "b.example" },
		{ "a.example", "[127.0.0.1]", HERE, DELIVERY_TLS_MAY, NULL, true, "127.0.0.1" },
		{ "a.example", "a.example", NONE, DELIVERY_TLS_MAY, NULL, true, "a.example" },
		/* it must be the same host */
		{ "a.example", "b.example", NONE, DELIVERY_TLS_MAY, NULL, true, "b.example" },
		{ "a.example", "b.example", OTHER_ADDRESS, DELIVERY_TLS_MAY, NULL, .shared = false },
		{ "a.example", "b.example", OTHER_PORT, DELIVERY_TLS_MAY, NULL, .shared = false },
		{ "a.example", "b.example", OTHER_TLS, DELIVERY_TLS_MAY, NULL, .shared = false },
		{ "a.example", "b.example", SOCKET, DELIVERY_TLS_MAY, NULL, .shared = false },
		/* what a route says is for its own mail; a literal's connection was made for no name */
		{ "route:r", "b.example", HERE, DELIVERY_TLS_MAY, NULL, .shared = false },
		{ "a.example", "route:r", HERE, DELIVERY_TLS_MAY, NULL, .shared = false },
		{ "route:r", "route:r", NONE, DELIVERY_TLS_MAY, NULL, true, "" },
		{ "route:r", "route:s", HERE, DELIVERY_TLS_MAY, NULL, .shared = false },
		{ "[127.0.0.1]", "b.example", HERE, DELIVERY_TLS_MAY, NULL, .shared = false },
		/* S15: where a certificate must be good, it is for this lane */
		{ "a.example", "b.example", HERE, DELIVERY_TLS_VERIFY, "b.example", true,
			"b.example" },
		{ "a.example", "[127.0.0.1]", HERE, DELIVERY_TLS_VERIFY, "127.0.0.1", true,
			"127.0.0.1" },
		{ "a.example", "b.example", HERE, DELIVERY_TLS_VERIFY, "a.example", .shared = false },
		{ "a.example", "b.example", HERE, DELIVERY_TLS_VERIFY, NULL, .shared = false },
		{ "a.example", "b.example", HERE, DELIVERY_TLS_MAY, "a.example", true, "b.example" },
		/* ... which was shown to its own lane when it began */
		{ "a.example", "a.example", NONE, DELIVERY_TLS_VERIFY, "c.example", true,
			"a.example" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		begin_first(rows[i].first);
		certificate = rows[i].certificate;
		c->link.proof.tls = certificate != NULL ? (struct tls *)(void *)&certificate : NULL;
		int fd = c->link.fd;
		begin_next(rows[i].next, offered(rows[i].offer, rows[i].next));
		c->work.delivery.tls = rows[i].tls;
		(void)connect_lane(c);
		bool shared = sending_is_open(&c->link) && strcmp(c->for_lane, rows[i].first) == 0 &&
			c->work.race.v == NULL;
		if (shared != rows[i].shared)
			fail_msg("row %zu: %s, %s", i, rows[i].first, rows[i].next);
		if (shared) {
			assert_int_equal(c->link.fd, fd);
			assert_string_equal(c->link.terms.target, rows[i].target);
			assert_int_equal(c->work.to.port, c->to.port);
		}
		end_lane();
		close_place(0);
		if (shared)
			assert_int_equal(place[0].connections, 1);
	}
}

/*
 * REQUIRETLS asks for a certificate that is good for the domain of the mail. That it was for the
 * domain before says nothing, nor that it was for the one between: also for the domain for which the
 * connection was made, when it gets it back.
 */
static void
test_judged_anew(void **state)
{
	(void)state;
	static const struct {
		const char *certificate;
		bool first, second;
	} rows[] = { { "a.example", true, false }, { "b.example", false, true },
		{ "c.example", false, false } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		begin_first("a.example");
		certificate = rows[i].certificate;
		c->link.proof.tls = (struct tls *)(void *)&certificate;
		assert_int_equal(link_judge(&c->link), rows[i].first);
		for (int again = 0; again < 2; again++) {
			begin_next("b.example", offered(HERE, "b.example"));
			assert_int_equal(connect_lane(c), DONE);
			assert_int_equal(link_judge(&c->link), rows[i].second);
			assert_string_equal(c->work.to.host, "mx.b.example");
			begin_next("a.example", NULL);
			assert_int_equal(connect_lane(c), DONE);
			assert_int_equal(link_judge(&c->link), rows[i].first);
			assert_string_equal(c->work.to.host, c->to.host);
		}
		end_lane();
		close_place(0);
		assert_int_equal(place[0].connections, 1);
	}
}

/* What a connection did for one lane says nothing about the next one's mail (L9, L15). */
static void
test_of_no_use_yet(void **state)
{
	(void)state;
	begin_first("a.example");
	c->link.flow.answered = 3;
	begin_next("a.example", NULL);
	assert_int_equal(connect_lane(c), DONE);
	assert_true(link_was_of_use(&c->link));
	begin_next("b.example", offered(HERE, "b.example"));
	assert_int_equal(connect_lane(c), DONE);
	assert_false(link_was_of_use(&c->link));
	end_lane();
	close_place(0);
}

/* ---- no connection now ---------------------------------------------------------------------- */

/* The host has all connections that it may have: the lane is to wait for one, and nothing counts
 * against anybody. */
static void
test_host_is_full(void **state)
{
	(void)state;
	char got[MESSAGES + 1];
	struct found found;
	begin_lane();
	open_place(0, "", false);
	r.turns.schedule.per_host = 1;
	struct schedule_host *h = turns_connect(c, &c->work.exchangers.v[0]);
	assert_non_null(h);
	queue(2);
	tour_begin(c);
	assert_false(scan_lane(c, &found));
	assert_true(c->work.parked && found.again && found.parked && !found.stop);
	assert_int_equal(c->work.to.port, c->work.exchangers.v[0].port);
	assert_int_equal(c->work.verdict, DONE);
	assert_int_equal(known(0).failed, 0);
	assert_int_equal(tour_left(&tour), 1); /* it did not go on */
	turns_disconnect(c, h, false);
	end_lane();
	describe(2, got);
	assert_string_equal(got, "00");
	close_place(0);
	assert_int_equal(place[0].connections, 0);
}

/* One of several couriers that gets no connection goes, and the messages wait for the others. */
static void
test_one_too_many(void **state)
{
	(void)state;
	char got[MESSAGES + 1];
	struct found found;
	begin_lane();
	open_place(0, "GREETING1=421 too many!", false);
	queue(2);
	c->turn.lane->couriers = 2;
	tour_begin(c);
	assert_false(scan_lane(c, &found));
	assert_true(found.again && found.parked && !c->work.parked);
	assert_int_equal(tour_left(&tour), 1);
	c->turn.lane->couriers = 1;
	end_lane();
	describe(2, got);
	assert_string_equal(got, "00");
	close_place(0);
}

/* A host that takes no further connection gets fewer: by what a greeting says, or its first word
 * after that; but not when the connection was of use. */
static void
test_refused_connection(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		bool refused;
	} rows[] = { { "GREETING1=421 too many!", true }, { "MAIL1=421 too many!", true },
		{ "MAIL2=421 enough!", false }, { "", false } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct exchanger to;
		begin_lane();
		open_place(0, rows[i].host, false);
		to = c->work.exchangers.v[0];
		r.turns.schedule.per_host = 3;
		struct schedule_host *h = turns_connect(c, &to); /* it remembers while it has one */
		queue(2);
		scan();
		lane_set_up(&tour.lane);
		end_lane();
		assert_int_equal(h->connections, 1);
		assert_int_equal(h->limit, rows[i].refused ? 1 : 3);
		turns_disconnect(c, h, false);
		char got[MESSAGES + 1];
		describe(2, got);
		close_place(0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_turns, start, stop),
		cmocka_unit_test_setup_teardown(test_tired_of_waiting, start, stop),
		cmocka_unit_test_setup_teardown(test_none_does_anything, start, stop),
		cmocka_unit_test_setup_teardown(test_giving_up, start, stop),
		cmocka_unit_test_setup_teardown(test_giving_up_again, start, stop),
		cmocka_unit_test_setup_teardown(test_unable, start, stop),
		cmocka_unit_test_setup_teardown(test_up_again, start, stop),
		cmocka_unit_test_setup_teardown(test_terms, start, stop),
		cmocka_unit_test_setup_teardown(test_pace, start, stop),
		cmocka_unit_test_setup_teardown(test_refused_words, start, stop),
		cmocka_unit_test_setup_teardown(test_login, start, stop),
		cmocka_unit_test_setup_teardown(test_shared_connection, start, stop),
		cmocka_unit_test_setup_teardown(test_judged_anew, start, stop),
		cmocka_unit_test_setup_teardown(test_of_no_use_yet, start, stop),
		cmocka_unit_test_setup_teardown(test_host_is_full, start, stop),
		cmocka_unit_test_setup_teardown(test_one_too_many, start, stop),
		cmocka_unit_test_setup_teardown(test_refused_connection, start, stop),
	};
	return cmocka_run_group_tests_name("connect", tests, NULL, NULL);
}
