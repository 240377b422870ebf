/* share: whose mail goes by a connection that was made for somebody else's (S1, S15, R80, L9, L15). */
#include "tests/unit/delivery/places.h"

#include "dns/tlsa.h"

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

/* What the DNS says of it, and how it came about. */
static enum dane_verdict verdict;
static bool strong;

enum dane_verdict __wrap_tlsclient_match(struct tls *t, const struct tlsa *records,
	const char *const *names, struct buf *why);
bool __wrap_tlsclient_is_strong(const struct tls *t);

enum dane_verdict
__wrap_tlsclient_match(struct tls *t, const struct tlsa *records, const char *const *names,
	struct buf *why)
{
	(void)why;
	assert_ptr_equal(t, &certificate);
	assert_string_equal(names[0], records->base);
	assert_string_equal(names[1], "b.example");
	return verdict;
}

bool
__wrap_tlsclient_is_strong(const struct tls *t)
{
	assert_ptr_equal(t, &certificate);
	return strong;
}

void __wrap_tlsclient_describe(const struct tls *t, struct buf *out);

void
__wrap_tlsclient_describe(const struct tls *t, struct buf *out)
{
	assert_ptr_equal(t, &certificate);
	buf_puts(out, "TLS");
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
	exchanger_free(c->turn.offer);
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

struct sharing {
	const char *first, *next;
	enum offer offer;
	enum conf_delivery_tls tls;
	const char *certificate; /* NULL: it goes in clear */
	bool shared;
	const char *target; /* of the certificate, then */
};

static void
check_sharing(const struct sharing *row)
{
	begin_first(row->first);
	certificate = row->certificate;
	c->link.proof.tls = certificate != NULL ? (struct tls *)(void *)&certificate : NULL;
	int fd = c->link.fd;
	begin_next(row->next, offered(row->offer, row->next));
	c->work.delivery.tls = row->tls;
	(void)connect_lane(c);
	bool shared = sending_is_open(&c->link) && strcmp(c->for_lane, row->first) == 0 &&
		c->work.race.v == NULL;
	if (shared != row->shared)
		fail_msg("%s, %s", row->first, row->next);
	if (shared) {
		assert_int_equal(c->link.fd, fd);
		assert_string_equal(c->link.terms.target, row->target);
		if (row->offer != NONE) /* another lane's now, and so the log says */
			assert_int_equal(c->link.terms.policy, row->tls);
		assert_int_equal(c->work.to.port, c->to.port);
	}
	end_lane();
	close_place(0);
	if (shared)
		assert_int_equal(place[0].connections, 1);
}

/* Whose mail may go by a connection that was made for somebody else's? */
static void
test_shared_connection(void **state)
{
	(void)state;
	static const struct sharing rows[] = {
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
	for (size_t i = 0; i < ROWS(rows); i++)
		check_sharing(&rows[i]);
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

/* R80: what the DNS says for the next lane, it has to be; whatever was asked for when it began. */
static void
test_dane(void **state)
{
	(void)state;
	enum usage { NO_RECORD = -1, UNUSABLE = 1, USABLE = 3 };
	static const struct {
		bool tls, strong;
		int usage;
		enum dane_verdict verdict;
		bool shared;
	} rows[] = {
		{ false, false, NO_RECORD, DANE_BAD, true },
		{ true, false, NO_RECORD, DANE_BAD, true },
		{ false, false, USABLE, DANE_GOOD, false },
		{ true, true, USABLE, DANE_GOOD, true },
		{ true, true, USABLE, DANE_BAD, false },
		{ true, false, USABLE, DANE_GOOD, false },
		{ false, false, UNUSABLE, DANE_BAD, false },
		{ true, false, UNUSABLE, DANE_BAD, false },
		{ true, true, UNUSABLE, DANE_BAD, true },
		{ true, true, USABLE, DANE_UNUSABLE, true }, /* as OpenSSL finds out */
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct tlsa *t = calloc(1, sizeof(*t));
		assert_non_null(t);
		*t = (struct tlsa){ .holders = 2, .base = "mx.b.example", .n = 1 };
		t->v[0] = (struct tlsa_record){ (uint8_t)rows[i].usage, 1, 1, 32, NULL };
		begin_first("a.example");
		certificate = "none.example";
		verdict = rows[i].verdict;
		strong = rows[i].strong;
		c->link.proof.tls = rows[i].tls ? (struct tls *)(void *)&certificate : NULL;
		struct exchanger offer = *offered(HERE, "b.example");
		offer.tlsa = rows[i].usage != NO_RECORD ? t : NULL; /* the offer holds it, too */
		begin_next("b.example", &offer);
		(void)connect_lane(c);
		bool shared = sending_is_open(&c->link) &&
			strcmp(c->for_lane, "a.example") == 0 && c->work.race.v == NULL;
		if (shared != rows[i].shared)
			fail_msg("row %zu", i);
		if (shared) {
			bool held = rows[i].usage == USABLE;
			assert_ptr_equal(c->link.terms.tlsa, held ? t : NULL);
			assert_int_equal(link_judge(&c->link), held && verdict == DANE_GOOD);
			begin_next("a.example", NULL); /* which drops the offer */
			assert_int_equal(t->holders, 1 + held + (rows[i].usage == NO_RECORD));
			assert_int_equal(connect_lane(c), DONE);
			assert_null(c->link.terms.tlsa);
			assert_false(link_judge(&c->link));
		}
		end_lane();
		close_place(0);
		exchanger_free(c->turn.offer);
		c->turn.offer = NULL;
		assert_int_equal(t->holders, 1 + (rows[i].usage == NO_RECORD));
		free(t);
	}
}

/*
 * A policy of MTA-STS asks for a certificate that is good for the host's name. That mail to that very
 * name went by this connection, for which any certificate was good, or none, says nothing.
 */
static void
test_sts(void **state)
{
	(void)state;
	static const char text[] = "version: STSv1\nmode: enforce\nmax_age: 86400\n"
		"mx: mx.b.example\n";
	static const struct {
		const char *first, *next;
		const char *certificate; /* NULL: it goes in clear */
		bool strong, shared;
	} rows[] = {
		{ "mx.b.example", "b.example", NULL, true, false },
		{ "mx.b.example", "b.example", "none.example", true, false },
		{ "mx.b.example", "b.example", "mx.b.example", false, false },
		{ "mx.b.example", "b.example", "mx.b.example", true, true },
		{ "a.example", "b.example", NULL, true, false },
		{ "a.example", "b.example", "mx.b.example", true, true },
		/* its policy was found since then */
		{ "mx.b.example", "mx.b.example", NULL, true, false },
		{ "mx.b.example", "mx.b.example", "mx.b.example", true, true },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		begin_first(rows[i].first);
		snprintf(c->to.host, sizeof(c->to.host), "mx.b.example");
		certificate = rows[i].certificate;
		strong = rows[i].strong;
		c->link.proof.tls = certificate != NULL ? (struct tls *)(void *)&certificate : NULL;
		/* twice: behind the first mail it is the connection's own policy */
		for (int again = 0; again < 2; again++) {
			begin_next(rows[i].next, offered(HERE, "b.example"));
			c->work.sts.known = c->work.sts.in_force = true;
			assert_null(sts_policy(span_of(text), &c->work.sts.entry.policy));
			(void)connect_lane(c);
			bool shared = sending_is_open(&c->link) && c->work.race.v == NULL &&
				strcmp(c->for_lane, rows[i].first) == 0;
			if (again == 0 && shared != rows[i].shared)
				fail_msg("row %zu", i);
			if (!rows[i].shared)
				break;
			assert_true(shared);
			assert_string_equal(c->link.terms.target, "mx.b.example");
		}
		end_lane();
		close_place(0);
	}
}

/*
 * The lane waited for a connection to this host, so its hosts are not looked up again: the policy
 * that is kept counts, or the one that could not be written.
 */
static void
test_sts_of_a_lane_that_waited(void **state)
{
	(void)state;
	static const char text[] = "version: STSv1\nmode: enforce\nmax_age: 86400\n"
		"mx: mx.b.example\n";
	static const struct {
		bool written;
		const char *certificate;
		bool shared;
	} rows[] = { { true, "none.example", false }, { true, "mx.b.example", true },
		{ false, "none.example", false }, { false, "mx.b.example", true } };
	r.common.relay.mta_sts = CONF_YES;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct stscache_entry e = { .id = "1", .fetched = clock_wall(),
			.text = { .max = STS_TEXT } };
		buf_puts(&e.text, text);
		assert_null(sts_policy(buf_span(&e.text), &e.policy));
		stscache_open(&r.stscache, sp.root);
		int dir = r.stscache.dir;
		if (!rows[i].written)
			r.stscache.dir = -ENOSPC;
		assert_int_equal(stscache_save(&r.stscache, "b.example", &e),
			rows[i].written ? 0 : -ENOSPC);
		r.stscache.dir = dir;
		begin_first("a.example");
		certificate = rows[i].certificate;
		strong = true;
		c->link.proof.tls = (struct tls *)(void *)&certificate;
		begin_next("b.example", offered(HERE, "b.example"));
		(void)connect_lane(c);
		bool shared = sending_is_open(&c->link) && c->work.race.v == NULL &&
			strcmp(c->for_lane, "a.example") == 0;
		if (shared != rows[i].shared)
			fail_msg("row %zu", i);
		end_lane();
		close_place(0);
		stscache_close(&r.stscache);
		assert_int_equal(unlinkat(sp.root, "sts/b.example", 0), rows[i].written ? 0 : -1);
		stscache_free(&e);
	}
	r.common.relay.mta_sts = CONF_NO;
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

/* R84: mail that has to be sure of its host is, by each name that somebody vouches for. */
static void
test_vouched(void **state)
{
	(void)state;
	static const struct {
		const char *certificate, *also;
		bool judged;
	} names[] = {
		{ "b.example", "", true },
		{ "mx.b.example", "", true },
		{ "mx2.b.example", "", false },
		{ "mx2.b.example", "mx2.b.example", true },
		{ "mx2.b.example", "mx1.b.example mx2.b.example mx3.b.example", true },
		{ "mx3.b.example", "mx1.b.example mx2.b.example mx3.b.example", true },
		{ "mx1.b.example mx2.b.example", "mx1.b.example mx2.b.example", false },
	};
	for (size_t i = 0; i < ROWS(names); i++) {
		begin_first("a.example");
		certificate = names[i].certificate;
		c->link.proof.tls = (struct tls *)(void *)&certificate;
		struct exchanger here = *offered(HERE, "b.example");
		here.vouched = true;
		snprintf(here.also, sizeof(here.also), "%s", names[i].also);
		begin_next("b.example", &here);
		assert_int_equal(connect_lane(c), DONE);
		assert_string_equal(c->for_lane, "a.example");
		assert_int_equal(link_judge(&c->link), names[i].judged);
		end_lane();
		close_place(0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_vouched, start, stop),
		cmocka_unit_test_setup_teardown(test_shared_connection, start, stop),
		cmocka_unit_test_setup_teardown(test_judged_anew, start, stop),
		cmocka_unit_test_setup_teardown(test_dane, start, stop),
		cmocka_unit_test_setup_teardown(test_sts, start, stop),
		cmocka_unit_test_setup_teardown(test_sts_of_a_lane_that_waited, start, stop),
		cmocka_unit_test_setup_teardown(test_of_no_use_yet, start, stop),
	};
	return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
