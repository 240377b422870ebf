/* connect: who gets the mail of a lane, and whose fault it is if nothing comes of it (L8, L9, L14,
 * L15). */
#include "tests/unit/delivery/places.h"

/* ---- time ----------------------------------------------------------------------------------- */

/*
 * Hosts that are equal start one after the other, a moment apart, unless one has greeted. How many of
 * them do is not to be decided by how fast a host of the test is: for this, time stands still. The
 * linker puts the function below in the place of clock_ms; what is waited for ends all the same.
 */
static int64_t stands_at; /* 0: it passes */
int64_t __real_clock_ms(void);
int64_t __wrap_clock_ms(void);

int64_t
__wrap_clock_ms(void)
{
	return stands_at != 0 ? stands_at : __real_clock_ms();
}

/* ---- whose fault? --------------------------------------------------------------------------- */

enum { SILENCE = 5 }; /* s */

#define SMALL "HELLO1=250-hello/250 SIZE 10" /* it takes nothing as large as what is sent */

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
	if (silent && t->failed[0]) /* its time is to be over; there is enough for the other one */
		c->work.delivery.timeout_greeting = SILENCE;
	stands_at = t->equal ? __real_clock_ms() : 0;
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
	stands_at = 0;
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
		/* L15: trouble of the host's own is what worse ones are for, as long as there are
		   any; and each is asked once */
		{ "MAIL1=452 full", "", 2, "--", .connections = { 1, 1 } },
		{ "DATA1=451 trouble", "", 2, "--", .connections = { 1, 1 } },
		{ "END1=451 trouble", "", 2, "--", .connections = { 1, 1 } },
		{ "MAIL1=452 full|MAIL2=452 full", "MAIL1=452 full", 2, "1-",
			.connections = { 1, 1 } },
		{ "MAIL1=452 full", "GREETING1=close", 1, "1", .connections = { 2, 1 },
			.failed = { false, true } },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		check(&rows[i]);
}

/*
 * R69, F12: what a host cannot have is for another one, and is returned when none can; it waits for
 * one that cannot be asked, and other hosts are not asked again.
 */
static void
test_what_hosts_lack(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ SMALL, "", 2, "--", .connections = { 1, 1 } },
		{ SMALL, SMALL, 2, "--", .connections = { 1, 1 } },
		{ SMALL, "GREETING1=close", 2, "11", .connections = { 2, 1 },
			.failed = { false, true } },
		{ "GREETING1=close", SMALL, 2, "11", .connections = { 1, 1 }, .failed = { true } },
		{ "HELLO1=421 bye!", SMALL, 2, "11", .connections = { 1, 1 }, .failed = { true } },
		{ SMALL, "RCPT1=450 no|RCPT2=450 no", 2, "11", .connections = { 1, 1 } },
		{ SMALL, SMALL, 1, "-", .connections = { 1, 1, 1 }, .equal = true },
		{ SMALL, "MAIL1=close", 1, "1", .connections = { 1, 1 } },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		check(&rows[i]);
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
		end_place(0);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_turns, start, stop),
		cmocka_unit_test_setup_teardown(test_what_hosts_lack, start, stop),
		cmocka_unit_test_setup_teardown(test_none_does_anything, start, stop),
		cmocka_unit_test_setup_teardown(test_giving_up, start, stop),
		cmocka_unit_test_setup_teardown(test_giving_up_again, start, stop),
		cmocka_unit_test_setup_teardown(test_unable, start, stop),
		cmocka_unit_test_setup_teardown(test_up_again, start, stop),
	};
	return cmocka_run_group_tests_name("connect", tests, NULL, NULL);
}
