/* meet: what is said to whom, and who gets no connection now (L10, L14, L20, L21, M2, M3, S1). */
#include "tests/unit/delivery/places.h"

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
		{ HOST_SINGLE, LESSON_DISCARDS, 0, true, false }, /* another one does right */
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

/* L16: words that the host broke off at, lately or by this relay, are left out: a fallback. */
static void
test_refused_words(void **state)
{
	(void)state;
	begin_lane();
	open_place(0, "", false);
	hosts_mark_words(&r.hosts, &c->work.exchangers.v[0], CAN_SIZE);
	struct exchanger other = c->work.exchangers.v[0];
	other.port++;
	withheld_note(&c->work.withheld, &c->work.exchangers.v[0], CAN_DSN);
	withheld_note(&c->work.withheld, &other, CAN_PRIORITY);
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
	assert_int_equal(withheld_from(&c->work.withheld, &c->work.to), CAN_DSN | CAN_8BITMIME);
	assert_int_equal(withheld_from(&c->work.withheld, &other), CAN_PRIORITY);
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

/*
 * What TLS this lane wants of a host, and does not get, is no fault of the host that others would
 * avoid it for: their policies are other ones, and whoever wrote this one may have named anybody's
 * hosts. But where that costs each mail a wait it is remembered (R82, L14).
 */
static void
test_policy_of_one_lane(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		bool failed;
	} rows[] = {
		{ "", false },
		{ "HELLO1=250-hello/250 STARTTLS", false },
		{ "HELLO1=250-hello/250 STARTTLS|STARTTLS1=close", false },
		{ "HELLO1=250-hello/250 STARTTLS|STARTTLS1=~", true },
		{ "HELLO1=421 not now!", true }, /* of TLS that says nothing */
	};
	enum { SHORT = 1, LONG = 60 }; /* s */
	for (size_t i = 0; i < ROWS(rows); i++) {
		begin_lane();
		open_place(0, rows[i].host, false);
		c->work.delivery.tls = DELIVERY_TLS_ENCRYPT;
		c->work.delivery.timeout_helo = strchr(rows[i].host, '~') != NULL ? SHORT : LONG;
		queue(1);
		assert_int_equal(connect_lane(c), SOFT);
		assert_int_equal(known(0).failed != 0, rows[i].failed);
		end_lane();
		close_place(0);
	}
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
		cmocka_unit_test_setup_teardown(test_terms, start, stop),
		cmocka_unit_test_setup_teardown(test_pace, start, stop),
		cmocka_unit_test_setup_teardown(test_refused_words, start, stop),
		cmocka_unit_test_setup_teardown(test_login, start, stop),
		cmocka_unit_test_setup_teardown(test_policy_of_one_lane, start, stop),
		cmocka_unit_test_setup_teardown(test_tired_of_waiting, start, stop),
		cmocka_unit_test_setup_teardown(test_host_is_full, start, stop),
		cmocka_unit_test_setup_teardown(test_one_too_many, start, stop),
		cmocka_unit_test_setup_teardown(test_refused_connection, start, stop),
	};
	return cmocka_run_group_tests_name("meet", tests, NULL, NULL);
}
