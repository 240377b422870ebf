/*
 * stslane: when a policy of MTA-STS is fetched, and what is in force meanwhile (R81, R82, R83). The
 * clock is the test's, and so is what fetch says.
 */
#include "tests/unit/delivery/at_work.h"

#include <sys/eventfd.h>
#include <sys/socket.h>

#include "delivery/fetching.h"
#include "delivery/resolvers.h"
#include "delivery/stslane.h"
#include "lib/cleanup.h"
#include "lib/wait.h"

enum { TEXT = 4096, BEGIN = 1000000, DAY = 24 * 3600, MINUTE = 60 };

#define ENFORCE "version: STSv1\nmode: enforce\nmx: mx.d.example\nmax_age: 864000\n"
#define OTHER "version: STSv1\nmode: enforce\nmx: mx.e.example\nmax_age: 864000\n"
#define SHORT "version: STSv1\nmode: testing\nmx: mx.e.example\nmax_age: 1000\n"
#define BRIEF "version: STSv1\nmode: enforce\nmx: mx.e.example\nmax_age: 90\n"
#define INSTANT "version: STSv1\nmode: enforce\nmx: mx.e.example\nmax_age: 0\n"

/* ---- what the world says --------------------------------------------------------------------- */

static int64_t now;
static int fetches;         /* so far */
static const char *web;     /* what the web server says; NULL: nothing */
static uint32_t status;
static const char *type;
static bool busy;           /* others need the courier while it waits */

static bool none;           /* no fetch comes to be there */

static bool late;           /* whatever has a deadline */
static int first[2];        /* a socket to the first process, and its end, where nobody listens */

int64_t __wrap_clock_wall(void);
int64_t __real_clock_deadline(int64_t seconds);
int64_t __wrap_clock_deadline(int64_t seconds);
int __wrap_fetching_connect(struct resolver *resolver, const struct conf *conf, const char *host,
	uint16_t port, int64_t deadline, struct buf *why);
enum fetch_trouble __wrap_fetching_ask(int fd, const struct fetch_question *q, const char *post,
	int64_t deadline, struct fetch_reply *reply, struct buf *body, struct buf *why);

int64_t
__wrap_clock_wall(void)
{
	return now;
}

int64_t
__wrap_clock_deadline(int64_t seconds)
{
	return late ? clock_ms() : __real_clock_deadline(seconds);
}

int
__wrap_fetching_connect(struct resolver *resolver, const struct conf *conf, const char *host,
	uint16_t port, int64_t deadline, struct buf *why)
{
	(void)resolver;
	(void)conf;
	fetches++;
	assert_string_equal(host, "mta-sts.d.example");
	assert_int_equal(port, 443);
	assert_true(clock_left(deadline) <= FETCH_TIME * 1000);
	if (web != NULL)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	buf_puts(why, "nobody there");
	if (none)
		return FETCHING_UNABLE;
	if (busy)
		wait_tell(c->turn.told);
	return -1;
}

enum fetch_trouble
__wrap_fetching_ask(int fd, const struct fetch_question *q, const char *post, int64_t deadline,
	struct fetch_reply *reply, struct buf *body, struct buf *why)
{
	(void)fd;
	(void)deadline;
	(void)why;
	assert_string_equal(q->path, "/.well-known/mta-sts.txt");
	assert_true(post == NULL && q->post == 0 && q->ms <= FETCH_TIME * 1000);
	*reply = (struct fetch_reply){ .status = status };
	snprintf(reply->type, sizeof(reply->type), "%s", type);
	buf_puts(body, web);
	if (busy)
		wait_tell(c->turn.told);
	return none ? FETCH_NONE : FETCH_DONE;
}

/* ---- a lane ---------------------------------------------------------------------------------- */

static int
arrange(void **state)
{
	static const char *const options[] = { "max_connections=1", "hostname=us.example" };
	auto_buf why = buf_new(TEXT);
	now = BEGIN;
	if (setup(state) < 0)
		return -1;
	log_open(LOG_TO_NONE, "test");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, first) < 0)
		return -1;
	r = (struct relay){ .hosts = { .dir = -1 } };
	const struct conf_args args = { .options = options, .n = 2 };
	if (conf_load(&r.common, &args, NULL, &why) < 0 || hire() < 0)
		return -1;
	r.keeper = first[0];
	stscache_open(&r.stscache, sp.root);
	fetchless_begin(&r.fetchless, r.stscache.dir, conf_longest_retry(&r.common));
	r.fetches = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	r.resolvers = resolvers_open(&r.common.relay.nameserver, "/nonexistent", "us.example");
	snprintf(tour.lane.name, sizeof(tour.lane.name), "d.example");
	conf_delivery_of(&c->work.delivery, &r.common, NULL);
	c->why = buf_new(TEXT);
	wait_until_told(c->turn.told);
	fetches = 0;
	web = ENFORCE;
	status = 200;
	type = "text/plain";
	busy = late = none = false;
	return 0;
}

static int
finish(void **state)
{
	wait_until_told(-1);
	stslane_free(&c->work.sts);
	dismiss();
	resolvers_close(r.resolvers);
	stscache_close(&r.stscache);
	close(r.fetches);
	close(first[0]);
	close(first[1]);
	conf_free(&r.common);
	return teardown(state);
}

/* Mail, some seconds after what was before. The record has this id; NULL: there is none. */
static enum outcome
mail(int64_t later, const char *id)
{
	struct stslane *s = &c->work.sts;
	now += later;
	stslane_free(s);
	s->asked = stslane_is_wanted(&r.common, &c->work.delivery, tour.lane.name);
	s->record.texts = buf_new(TEXT);
	if (id != NULL) {
		buf_printf(&s->record.texts, "v=STSv1; id=%s;", id);
		buf_add(&s->record.texts, (struct span){ "", 1 });
	}
	buf_reset(&c->why);
	return stslane_find(c);
}

/* ... and so many fetches there were by now; NULL: nothing is in force. */
static void
expect(enum outcome got, enum outcome o, int n, const char *in_force)
{
	const struct sts_policy *p = work_sts(&c->work);
	assert_int_equal(got, o);
	assert_int_equal(fetches, n);
	assert_int_equal(p != NULL, in_force != NULL);
	if (p != NULL)
		assert_string_equal(c->work.sts.entry.id, in_force);
	assert_true(o == DONE ? c->why.n == 0 : c->why.n > 0);
}

/* A minute before a fetch is due, and a minute later: the courier that has left does it. */
static void
expect_refresh(bool due, int n)
{
	assert_int_equal(c->refresh.domain[0] != '\0', due);
	stslane_refresh(c);
	assert_int_equal(fetches, n);
	assert_string_equal(c->refresh.domain, "");
}

static void
test_first(void **state)
{
	(void)state;
	expect(mail(0, NULL), DONE, 0, NULL);
	expect(mail(0, "1"), DONE, 1, "1");
	expect(mail(MINUTE, "1"), DONE, 1, "1");
	expect(mail(DAY / 2, NULL), DONE, 1, "1"); /* without a record */
	expect_refresh(false, 1);
	web = OTHER; /* of which nobody knows */
	expect(mail(MINUTE, "1"), DONE, 1, "1");
	expect(mail(0, "2"), DONE, 2, "2");
	web = ENFORCE; /* ids have no order */
	expect(mail(0, "1"), DONE, 3, "1");
}

static void
test_refresh(void **state)
{
	(void)state;
	expect(mail(0, "1"), DONE, 1, "1");
	expect(mail(DAY - 1, "1"), DONE, 1, "1");
	expect_refresh(false, 1);
	expect(mail(1, NULL), DONE, 1, "1");
	expect_refresh(false, 1);
	expect(mail(0, "1"), DONE, 1, "1");
	expect_refresh(true, 2);
	expect(mail(DAY - 1, "1"), DONE, 2, "1");
	expect_refresh(false, 2);
	web = NULL;
	expect(mail(1, "1"), DONE, 2, "1");
	expect_refresh(true, 3);
	expect(mail(1, "1"), DONE, 3, "1"); /* it stays, and is tried later */
	expect_refresh(false, 3);
	expect(mail(8 * DAY, NULL), DONE, 3, "1");
	expect(mail(DAY - 1, NULL), DONE, 3, NULL); /* ten days are over */
}

/* Half of its time, where that is shorter. */
static void
test_short(void **state)
{
	(void)state;
	web = SHORT;
	expect(mail(0, "1"), DONE, 1, "1");
	expect(mail(499, "1"), DONE, 1, "1");
	expect_refresh(false, 1);
	expect(mail(1, "1"), DONE, 1, "1");
	expect_refresh(true, 2);
	expect(mail(1000, NULL), DONE, 2, NULL);
	web = INSTANT;
	expect(mail(0, "1"), DONE, 3, NULL);
	expect(mail(59, "1"), DONE, 3, NULL); /* not with each mail */
	expect(mail(1, "1"), DONE, 4, NULL);
	web = BRIEF; /* no mail goes without it meanwhile */
	expect(mail(60, "1"), DONE, 5, "1");
	expect(mail(89, "1"), DONE, 5, "1");
	expect(mail(1, "1"), DONE, 6, "1");
}

/*
 * J12: what was fetched while the clock was ten years ahead is in force, and not for ten years
 * without another look.
 */
static void
test_clock_was_ahead(void **state)
{
	(void)state;
	expect(mail(3650 * DAY, "1"), DONE, 1, "1");
	expect(mail(-3650 * DAY, "1"), DONE, 1, "1");
	web = NULL;
	expect_refresh(true, 2);
	expect(mail(5 * MINUTE - 1, "1"), DONE, 2, "1"); /* not with each mail */
	expect_refresh(false, 2);
	web = SHORT;
	expect(mail(1, "1"), DONE, 2, "1");
	expect_refresh(true, 3);
	expect(mail(1000, NULL), DONE, 3, NULL); /* by its own time */
}

enum way { NEW_IDS, NEW_IDS_IN_VAIN, TWO_IDS };

/* Mail that much later, when the record tells the n-th id. Is it fetched? */
static bool
changes(enum way way, int64_t later, int n)
{
	char id[16];
	int before = fetches;
	snprintf(id, sizeof(id), "x%d", way == TWO_IDS ? n % 2 : n);
	assert_int_equal(mail(later, id), DONE);
	assert_int_equal(work_sts(&c->work) != NULL, way != NEW_IDS_IN_VAIN);
	return fetches > before;
}

/*
 * Another id is fetched at once, five times in all; then after a pause that grows, as behind what
 * comes to nothing. What is in force stays so meanwhile. After a day without another one it is as it
 * was.
 */
static void
check_changes(enum way way)
{
	int n = 0;
	int64_t pause = 5 * MINUTE;
	web = way == NEW_IDS_IN_VAIN ? NULL : ENFORCE;
	for (int i = 0; i < 5; i++)
		assert_true(changes(way, i, n++));
	for (int i = 0; i < 9; i++, pause = i < 7 ? 2 * pause : pause) {
		assert_false(changes(way, pause - 1, n));
		assert_true(changes(way, 1, n++));
	}
	assert_true(changes(way, DAY - 1, n++));
	assert_false(changes(way, 0, n));
	for (int i = 0; i < 5; i++)
		assert_true(changes(way, i == 0 ? DAY : 0, n++));
	assert_false(changes(way, 0, n));
	now -= DAY; /* the clock is set back: not for ever */
	assert_true(changes(way, 0, n++));
	assert_false(changes(way, 0, n));
}

static void
test_new_ids(void **state)
{
	(void)state;
	check_changes(NEW_IDS);
}

static void
test_new_ids_in_vain(void **state)
{
	(void)state;
	check_changes(NEW_IDS_IN_VAIN);
}

/* As of two nameservers of which one has an old zone. */
static void
test_two_ids(void **state)
{
	(void)state;
	check_changes(TWO_IDS);
}

/* What comes to nothing: the next one after five minutes, and then after twice as long. */
static void
test_failures(void **state)
{
	(void)state;
	int64_t wait = 5 * MINUTE;
	web = NULL;
	expect(mail(0, "1"), DONE, 1, NULL);
	for (int n = 1; n < 7; n++, wait *= 2) {
		expect(mail(wait - 1, "1"), DONE, n, NULL);
		expect(mail(1, "1"), DONE, n + 1, NULL);
	}
	expect(mail(wait - 1, "1"), DONE, 7, NULL);
	expect(mail(1, "1"), DONE, 8, NULL);
	expect(mail(wait - 1, "1"), DONE, 8, NULL); /* and no longer than that */
	expect(mail(1, "1"), DONE, 9, NULL);
	expect(mail(1, "2"), DONE, 10, NULL); /* another one at once */
	expect(mail(5 * MINUTE, "2"), DONE, 11, NULL);
	web = ENFORCE;
	expect(mail(DAY, "2"), DONE, 12, "2");
	web = NULL;
	expect(mail(1, "3"), DONE, 13, "2");
	expect(mail(1, "3"), DONE, 13, "2");
}

/* What is not a policy is none. */
static void
test_replies(void **state)
{
	(void)state;
	static const struct {
		uint32_t status;
		const char *type, *text;
		bool good;
	} rows[] = {
		{ 200, "text/plain; charset=utf-8", ENFORCE, true },
		{ 201, "text/plain", ENFORCE, false },
		{ 301, "text/plain", ENFORCE, false },
		{ 304, "text/plain", ENFORCE, false },
		{ 0, "text/plain", ENFORCE, false },
		{ 200, "text/html", ENFORCE, false },
		{ 200, "", ENFORCE, false },
		{ 200, "text/plain", "", false },
		{ 200, "text/plain", "version: STSv1\n", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		char id[8];
		snprintf(id, sizeof(id), "x%zu", i);
		status = rows[i].status;
		type = rows[i].type;
		web = rows[i].text;
		expect(mail(6 * 60 * MINUTE, id), DONE, (int)i + 1, "x0");
		assert_int_equal(c->work.sts.entry.tried == 0, rows[i].good);
	}
}

/* Whose time is over knows nothing: without a policy that is kept no mail goes. */
static void
test_given_up(void **state)
{
	(void)state;
	web = NULL;
	busy = true;
	assert_int_equal(mail(0, "1"), SOFT);
	assert_true(work_sts(&c->work) == NULL && c->why.n > 0);
	assert_int_equal(c->work.sts.entry.tried, 0);
	wait_forget(c->turn.told);
	busy = false;
	web = ENFORCE;
	expect(mail(0, "1"), DONE, 2, "1");
	web = NULL;
	busy = true;
	expect(mail(0, "2"), DONE, 3, "1");
	wait_forget(c->turn.told);
	assert_int_equal(c->work.sts.entry.tried, 0);
}

/* For a lane whose host was found before, what is kept counts. */
static void
test_recall(void **state)
{
	(void)state;
	stslane_recall(c);
	assert_true(c->work.sts.known && work_sts(&c->work) == NULL);
	expect(mail(0, "1"), DONE, 1, "1");
	stslane_free(&c->work.sts);
	stslane_recall(c);
	assert_non_null(work_sts(&c->work));
	now += 10 * DAY;
	stslane_recall(c); /* it is known */
	assert_non_null(work_sts(&c->work));
	stslane_free(&c->work.sts);
	stslane_recall(c);
	assert_null(work_sts(&c->work));
}

/* ... and what was fetched and cannot be kept, for the disk is full: this relay knows it. */
static void
test_recall_of_what_is_not_written(void **state)
{
	(void)state;
	int dir = r.stscache.dir;
	r.stscache.dir = -ENOSPC;
	expect(mail(0, "1"), DONE, 1, "1");
	stslane_free(&c->work.sts);
	stslane_recall(c);
	assert_non_null(work_sts(&c->work));
	expect(mail(0, "1"), DONE, 1, "1"); /* nor is it fetched each time */
	web = NULL;
	expect(mail(0, "2"), DONE, 2, "1");
	expect(mail(0, "2"), DONE, 2, "1");
	r.stscache.dir = dir;
}

/*
 * All places are taken by others, whose web servers may be slow on purpose: the mail waits, and does
 * not go without a policy; and that is no failure of this domain's web server.
 */
static void
test_crowd(void **state)
{
	(void)state;
	wait_forget(r.fetches);
	late = true;
	expect(mail(0, "1"), SOFT, 0, NULL);
	assert_int_equal(c->work.sts.entry.tried, 0);
	late = false;
	wait_tell(r.fetches);
	expect(mail(1, "1"), DONE, 1, "1");
	/* what is in force is enough */
	wait_forget(r.fetches);
	late = true;
	expect(mail(60 * 60, "2"), DONE, 1, "1");
	late = false;
	wait_tell(r.fetches);
	expect(mail(1, "2"), DONE, 2, "2");
}

/* Nobody starts a fetch: that is no word about the domain, so its mail waits, as it was. */
static void
test_nobody_fetches(void **state)
{
	(void)state;
	r.keeper = -1;
	expect(mail(0, "1"), SOFT, 1, NULL);
	assert_int_equal(c->work.sts.entry.tried, 0);
	r.keeper = first[0];
	assert_int_equal(shutdown(first[1], SHUT_RDWR), 0);
	expect(mail(1, "1"), SOFT, 2, NULL);
	assert_int_equal(c->work.sts.entry.tried, 0);
}

/* ... or the first process cannot: no program, no memory, no authorities. */
static void
test_no_fetch(void **state)
{
	(void)state;
	none = true;
	expect(mail(0, "1"), SOFT, 1, NULL);
	assert_int_equal(c->work.sts.entry.tried, 0);
	const char *there = web;
	web = NULL; /* nor has it a connection */
	expect(mail(1, "1"), SOFT, 2, NULL);
	assert_int_equal(c->work.sts.entry.tried, 0);
	web = there;
	none = false;
	expect(mail(2, "1"), DONE, 3, "1");
}

/* What is kept counts all the same where nothing can be fetched, and where nothing is mail goes. */
static void
test_nothing_to_fetch_with(void **state)
{
	(void)state;
	r.fetchless.missing = true;
	expect(mail(0, "1"), DONE, 0, NULL);
	r.fetchless.missing = false;
	expect(mail(1, "1"), DONE, 1, "1");
	r.fetchless.missing = true;
	expect(mail(2, "2"), DONE, 1, "1");
	expect(mail(2 * DAY, "1"), DONE, 1, "1"); /* nor is it fetched again behind the mail */
	expect_refresh(false, 1);
}

/*
 * None ever comes to be there: mail waits for that for an hour, and then goes; of the domain
 * nothing is noted, so its policy is there with the first fetch that is. What is kept counts all
 * the time.
 */
static void
test_never_there(void **state)
{
	(void)state;
	web = OTHER;
	expect(mail(0, "1"), DONE, 1, "1");
	none = true;
	expect(mail(1, "2"), DONE, 2, "1");
	expect(mail(10 * DAY, "2"), SOFT, 3, NULL); /* that one's time is over */
	expect(mail(MINUTE, "2"), SOFT, 4, NULL);
	expect(mail(5 * MINUTE, "2"), SOFT, 5, NULL);
	expect(mail(15 * MINUTE, "2"), SOFT, 6, NULL);
	expect(mail(60 * MINUTE, "2"), DONE, 7, NULL);
	expect(mail(5 * MINUTE - 1, "2"), DONE, 7, NULL); /* it does not try with each mail */
	expect(mail(1, "2"), DONE, 8, NULL);
	expect(mail(DAY, "2"), DONE, 9, NULL);
	assert_int_equal(c->work.sts.entry.tried, 0);
	web = NULL; /* whatever else goes wrong meanwhile */
	expect(mail(DAY, "2"), DONE, 10, NULL);
	web = OTHER;
	none = false;
	expect(mail(5 * MINUTE, "2"), DONE, 11, "2");
	none = true;
	expect(mail(DAY, "3"), DONE, 12, "2");
	expect(mail(60 * MINUTE, "3"), DONE, 13, "2");
	expect(mail(MINUTE, "3"), DONE, 14, "2");
	expect(mail(MINUTE, "3"), DONE, 14, "2"); /* it is kept to, tried or not */
}

/* ... that others have the places for so long is nothing of the kind: somebody may be behind it. */
static void
test_crowd_for_long(void **state)
{
	(void)state;
	wait_forget(r.fetches);
	late = true;
	for (int i = 0; i < 9; i++)
		expect(mail(60 * MINUTE, "1"), SOFT, 0, NULL);
	late = false;
	wait_tell(r.fetches);
	r.keeper = -1; /* nor is it that nobody can be asked */
	for (int i = 0; i < 9; i++)
		expect(mail(60 * MINUTE, "1"), SOFT, i + 1, NULL);
	r.keeper = first[0];
	none = busy = true; /* ... or nobody has the time to wait for it */
	for (int i = 0; i < 9; i++) {
		expect(mail(60 * MINUTE, "1"), SOFT, i + 10, NULL);
		wait_forget(c->turn.told);
	}
	none = false;
	expect(mail(60 * MINUTE, "1"), DONE, 19, "1");
	wait_forget(c->turn.told);
}

static const struct {
	const char *lane, *option;
	bool wanted;
} lanes[] = {
	{ "d.example", "mta_sts=yes", true },
	{ "d.example", "mta_sts=no", false },
	{ "d.example", "delivery_tls=none", false },
	{ "d.example", "delivery_tls=verify", true },
	{ "[192.0.2.1]", "mta_sts=yes", false },
	{ "route:r", "mta_sts=yes", false },
};

static void
test_wanted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(lanes); i++) {
		struct conf conf = { 0 };
		struct conf_delivery delivery;
		auto_buf why = buf_new(TEXT);
		assert_int_equal(conf_load(&conf, &(struct conf_args){
			.options = &lanes[i].option, .n = 1 }, NULL, &why), 0);
		conf_delivery_of(&delivery, &conf, NULL);
		assert_int_equal(stslane_is_wanted(&conf, &delivery, lanes[i].lane),
			lanes[i].wanted);
		conf_free(&conf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first, arrange, finish),
		cmocka_unit_test_setup_teardown(test_refresh, arrange, finish),
		cmocka_unit_test_setup_teardown(test_short, arrange, finish),
		cmocka_unit_test_setup_teardown(test_clock_was_ahead, arrange, finish),
		cmocka_unit_test_setup_teardown(test_new_ids, arrange, finish),
		cmocka_unit_test_setup_teardown(test_new_ids_in_vain, arrange, finish),
		cmocka_unit_test_setup_teardown(test_two_ids, arrange, finish),
		cmocka_unit_test_setup_teardown(test_failures, arrange, finish),
		cmocka_unit_test_setup_teardown(test_replies, arrange, finish),
		cmocka_unit_test_setup_teardown(test_given_up, arrange, finish),
		cmocka_unit_test_setup_teardown(test_recall, arrange, finish),
		cmocka_unit_test_setup_teardown(test_recall_of_what_is_not_written, arrange,
			finish),
		cmocka_unit_test_setup_teardown(test_crowd, arrange, finish),
		cmocka_unit_test_setup_teardown(test_nobody_fetches, arrange, finish),
		cmocka_unit_test_setup_teardown(test_no_fetch, arrange, finish),
		cmocka_unit_test_setup_teardown(test_nothing_to_fetch_with, arrange, finish),
		cmocka_unit_test_setup_teardown(test_never_there, arrange, finish),
		cmocka_unit_test_setup_teardown(test_crowd_for_long, arrange, finish),
		cmocka_unit_test(test_wanted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
