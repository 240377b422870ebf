/* flight: what becomes of messages that are on their way together (R57, F10, F12, I14,
 * L8, L9). */
#include "tests/unit/delivery/at_work.h"

#include <errno.h>
#include <fcntl.h>

#include "lib/clock.h"
#include "queue/draft.h"
#include "tests/unit/sending/host.h"

enum { MESSAGES = 3, RETRY = 100, HOUR = 3600 };

static struct host host;
static char ids[MESSAGES][ID_SIZE];

static int
start(void **state)
{
	static char hostname[] = "us.example";
	if (setup(state) < 0)
		return -1;
	log_open(LOG_TO_NONE, "test");
	r = (struct relay){ .common = { .who.hostname = hostname,
		.relay = { .retry = { { RETRY }, 1 }, .expire = 10000, .max_connections = 1,
			.window_messages = MESSAGES } } };
	if (hire() < 0)
		return -1;
	/* Long times: replies come, and none is late. */
	c->work.delivery = (struct conf_delivery){ .timeout_helo = HOUR,
		.timeout_mail = HOUR,
		.timeout_rcpt = HOUR,
		.timeout_data_start = HOUR,
		.timeout_data_block = HOUR,
		.timeout_data_end = HOUR,
		.timeout_quit = HOUR };
	c->work.to.port = 25;
	c->link.text = buf_new(LIMIT_REPLY_TEXT);
	hosts_open(&r.hosts, sp.root, 1000);
	return 0;
}

static int
stop(void **state)
{
	close(r.hosts.dir);
	dismiss();
	return teardown(state);
}

/* A connection to a host that was greeted already, with or without a window. */
static void
connect_to(const struct host_script *script, bool window)
{
	c->link.terms = (struct link_terms){
		.name = "mx", .conf = &c->work.delivery, .hostname = r.common.who.hostname,
		.min_data_rate = 1, .window = window ? MESSAGES : 1, .window_size = 1 << 20,
		.discards = true,
	};
	c->link.fd = host_start(&host, script);
	c->link.host = (struct link_host){ .can = window ? CAN_PIPELINING | CAN_CHUNKING : 0 };
	c->link.flow = (struct link_flow){ 0 };
	c->link.bye = c->link.hung_up = false;
	stream_init(&c->link.stream, c->link.fd, c->link.fd, true, NULL);
	link_attend(&c->link);
	c->work.lost = 0;
}

static void
part(void)
{
	link_quit(&c->link, INT64_MAX);
	host_join(&host);
}

static void
queue(int rcpts)
{
	char address[64];
	for (int i = 0; i < MESSAGES; i++) {
		assert_int_equal(
			draft_begin(&d, &sp, &(struct envelope){ .sender = { "", 0 } }), 0);
		for (int k = 0; k < rcpts; k++) {
			snprintf(address, sizeof(address), "u%d@d.example", k);
			assert_int_equal(draft_recipient(&d, "d.example", span_of(address),
						 &(struct terms){ 0 }),
				0);
		}
		draft_body(&d, span_of("Subject: x\r\n\r\nx\r\n"));
		assert_int_equal(draft_commit(&d), 0);
		memcpy(ids[i], d.id, ID_SIZE);
	}
	lane_close(&tour.lane);
	assert_int_equal(lane_open(&tour.lane, &sp, "d.example"), 0);
}

/* Opens a message, and sends it as far as there is no need to wait. */
static void
take_off(const char *id, struct found *found)
{
	struct flight *f = flight_take(c, id);
	assert_non_null(f);
	assert_int_equal(message_open(&f->m, &tour.lane, id), 0);
	flight_take_off(c, f, found);
}

static int64_t
unused(void)
{
	int64_t n = 0;
	for (struct flight *f = c->flights.free; f != NULL; f = f->free)
		n++;
	return n;
}

/* For each message "gone", or how many attempts it has behind it, and how many recipients left;
 * takes it away. */
static void
describe(char out[static 64])
{
	struct lane other;
	size_t n = 0;
	assert_int_equal(lane_open(&other, &sp, "d.example"), 0);
	for (int i = 0; i < MESSAGES; i++) {
		struct message m;
		int left = 0;
		int err = message_open(&m, &other, ids[i]);
		for (int k = 0; err == 0 && k < m.n; k++)
			left += !m.rcpt[k].settled;
		n += (size_t)snprintf(out + n, 64 - n, err == 0 ? "%s%d/%d" : "%sgone",
			i > 0 ? " " : "", m.attempts, left);
		message_close(&m);
		if (err == 0)
			assert_int_equal(message_remove(&other, ids[i]), 0);
		else
			assert_int_equal(err, -ENOENT);
	}
	lane_close(&other);
}

/* ---- what is in hand ----------------------------------------------------------------------- */

/* The linker puts the function below in the place of log_event. */
static int settled;
void __wrap_log_event(int priority, const struct log_fields *f, const char *fmt, ...);

/* Is this message in hand? With "": is none? */
static bool
is_in_hand(const char *id)
{
	struct hands_suspect s = { .number = 0 };
	while (hands_next(r.hands, &s))
		if (id[0] == '\0' || strcmp(s.id, id) == 0)
			return id[0] != '\0';
	return id[0] == '\0';
}

/* I14: whoever settles a message has that one in hand. */
void
__wrap_log_event(int priority, const struct log_fields *f, const char *fmt, ...)
{
	(void)priority;
	(void)fmt;
	if (strcmp(f->event, "delivered") != 0)
		return;
	assert_true(is_in_hand(f->queue_id));
	settled++;
}

static void
test_in_hand(void **state)
{
	(void)state;
	static const unsigned ways[] = { 0, CAN_PIPELINING, CAN_PIPELINING | CAN_CHUNKING };
	const struct host_script script = { .ehlo = "250-mx/250 CHUNKING" };
	for (size_t i = 0; i < ROWS(ways); i++) {
		struct found found = { 0 };
		queue(1);
		connect_to(&script, ways[i] == (CAN_PIPELINING | CAN_CHUNKING));
		c->link.host.can = ways[i];
		settled = 0;
		for (int k = 0; k < MESSAGES; k++) { /* as scan.c does */
			while (sending_full(&c->link))
				flight_land(c, &found);
			take_off(ids[k], &found);
		}
		flight_land_all(c, &found);
		assert_int_equal(settled, MESSAGES);
		assert_true(is_in_hand(""));
		part();
	}
}

/* ---- what becomes of them ------------------------------------------------------------------ */

struct row {
	const char *host; /* what it does beside what is usual (host.h) */
	bool window;
	int rcpts;
	const char *want;
	bool again;    /* some are due at once */
	bool single;   /* the host gets one at a time, for a while */
	bool lost;     /* the connection brought nothing to an end */
};

static const struct row landings[] = {
	{ "", .window = false, .rcpts = 1, .want = "gone gone gone" },
	{ "", .window = true, .rcpts = 1, .want = "gone gone gone" },
	{ "RCPT2=550 no", .window = true, .rcpts = 1, .want = "gone gone gone" },
	{ "RCPT2=450 later", .window = true, .rcpts = 1, .want = "gone 1/1 gone" },
	{ "RCPT2=450 later", .window = false, .rcpts = 2, .want = "1/1 gone gone" },
	/* recipients for whom there was no room have another transaction at once */
	{ "RCPT2=452 full", .window = false, .rcpts = 2, .want = "gone gone gone" },
	{ "RCPT2=452 full", .window = true, .rcpts = 2, .want = "gone gone gone" },
	{ "RCPT1=452 full|RCPT2=452 full", .window = false, .rcpts = 2,
		.want = "1/2 gone gone" },
	/* ... unless none was delivered to in this one */
	{ "RCPT2=452 full|END1=450 later", .window = false, .rcpts = 2,
		.want = "1/2 gone gone" },
	/* lost in a message: that one is to blame; the others are as they were, and due */
	{ "END1=close", .window = true, .rcpts = 1, .want = "1/1 0/1 0/1", .again = true,
		.single = true, .lost = true },
	{ "END2=close", .window = true, .rcpts = 1, .want = "gone 1/1 0/1", .again = true,
		.single = true },
	{ "END3=close", .window = true, .rcpts = 1, .want = "gone gone 1/1",
		.single = true },
	/* one at a time: it was the only one on its way, and the host may well go on so */
	{ "END1=close", .window = false, .rcpts = 1, .want = "1/1 0/1 0/1", .lost = true },
	{ "END2=close", .window = false, .rcpts = 1, .want = "gone 1/1 0/1" },
	/* L8: a refusal that may be about the connection is none of the message */
	{ "MAIL2=550 enough", .window = false, .rcpts = 1, .want = "gone 0/1 0/1",
		.again = true },
	{ "MAIL2=450 enough", .window = true, .rcpts = 1, .want = "gone 0/1 gone",
		.again = true },
	/* L9: nor is the end of a connection that was of use, before it was heard of; but
	   what was sent already may have been taken */
	{ "MAIL2=close", .window = false, .rcpts = 1, .want = "gone 0/1 0/1",
		.again = true },
	{ "RSET1=close", .window = true, .rcpts = 1, .want = "gone 0/1 0/1", .again = true,
		.single = true },
	{ "RCPT1=421 bye!", .window = false, .rcpts = 1, .want = "1/1 0/1 0/1",
		.lost = true },
};

static void
test_landing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(landings); i++) {
		struct found found = { 0 };
		struct host_script script = { .exceptions = landings[i].host,
			.ehlo = "250-mx/250 CHUNKING" };
		struct host_record known;
		char text[64];
		queue(landings[i].rcpts);
		connect_to(&script, landings[i].window);
		for (int k = 0; k < MESSAGES; k++) {
			while (sending_full(&c->link))
				flight_land(c, &found);
			if (sending_is_open(&c->link)) /* or there would be another */
				take_off(ids[k], &found);
		}
		flight_land_all(c, &found);
		assert_int_equal(sending_jobs(&c->link), 0);
		assert_int_equal(unused(), c->flights.used);
		part();
		describe(text);
		if (strcmp(text, landings[i].want) != 0)
			fail_msg("%s: %s, not %s", landings[i].host, text, landings[i].want);
		hosts_recall(&r.hosts, &c->work.to, &known);
		assert_int_equal(known.single != 0, landings[i].single);
		hosts_sweep(&(struct hosts){ .dir = r.hosts.dir, .age = -1 });
		assert_int_equal(found.again, landings[i].again);
		assert_int_equal(c->work.lost, landings[i].lost ? 1 : 0);
	}
}

/*
 * L15: the host ends the connection at a recipient. The next attempts begin with others, and have
 * fewer of them in a transaction, so that in the end he waits alone.
 */
static void
test_cut(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		const char *asked[3]; /* in this order */
	} attempts[] = {
		{ "RCPT2=close", { "RCPT TO:<u0@", "RCPT TO:<u1@", "" } },
		{ "RCPT1=421 bye!", { "RCPT TO:<u1@", "", "" } },
		{ "RCPT3=close", { "RCPT TO:<u2@", "DATA", "RCPT TO:<u0@" } },
	};
	char text[64];
	queue(3);
	for (size_t i = 0; i < ROWS(attempts); i++) {
		struct found found = { 0 };
		struct host_script script = { .exceptions = attempts[i].host };
		connect_to(&script, false);
		take_off(ids[0], &found);
		flight_land_all(c, &found);
		part();
		const char *log = host.log;
		for (int k = 0; k < 3; k++) {
			log = strstr(log, attempts[i].asked[k]);
			if (log == NULL)
				fail_msg("%s: %s", attempts[i].host, host.log);
		}
		assert_false(found.again);
	}
	describe(text);
	assert_string_equal(text, "3/1 0/3 0/3");
}

/* ... but a refusal of a whole transaction, or of a text, is nothing of that kind. */
static void
test_not_cut(void **state)
{
	(void)state;
	static const struct { const char *host; int cuts; bool window; } rows[] = {
		{ "MAIL1=421 bye!", 0, false },
		{ "MAIL1=close", 0, false },
		{ "RCPT1=450 no|RCPT2=450 no", 0, false },
		{ "RCPT1=450 no|RCPT2=450 no!", 0, false }, /* each had his word */
		{ "DATA1=554 5.5.3 many", 1, false }, /* the next attempt has fewer */
		{ "END1=550 Too many recipients", 1, false },
		{ "DATA1=451 no!", 0, false },
		{ "DATA1=close", 1, false },
		{ "END1=close", 0, false },
		{ "END1=421 bye!", 0, false },
		{ "END1=close", 0, true },
		{ "RCPT2=close", 1, true },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct found found = { 0 };
		struct host_script script = { .exceptions = rows[i].host };
		struct message m;
		char text[64];
		queue(2);
		connect_to(&script, rows[i].window);
		take_off(ids[0], &found);
		flight_land_all(c, &found);
		part();
		assert_int_equal(message_open(&m, &tour.lane, ids[0]), 0);
		if (m.attempts != 1 || m.cuts != rows[i].cuts)
			fail_msg("%s: %d, %d", rows[i].host, m.attempts, m.cuts);
		message_close(&m);
		describe(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_hand, start, stop),
		cmocka_unit_test_setup_teardown(test_landing, start, stop),
		cmocka_unit_test_setup_teardown(test_cut, start, stop),
		cmocka_unit_test_setup_teardown(test_not_cut, start, stop),
	};
	return cmocka_run_group_tests_name("flight", tests, NULL, NULL);
}
