/* settle: what is learned of a host that puts off mail from whom it does not know. */
#include "tests/unit/delivery/settled.h"

/* The host put something off so many s ago, and nothing since. */
static void
put_grey_before(int64_t age)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "greyed %lld\n", (long long)(clock_wall() - age));
	auto_fd fd = openat(r.hosts.dir, "192.0.2.1-25", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, (size_t)n), n);
}

/* What is learned of a greylist, and that the next message waits for it. */
static void
test_greylist(void **state)
{
	(void)state;
	static char text[TEXT];
	const struct {
		const char *outcomes;
		int attempts;
		int64_t age;
		int64_t low, high; /* 0: nothing remains */
		int64_t grey;	   /* known behind it */
		enum { HERE, OTHER, BEFORE } where;
	} rows[] = {
		{ "G", 0, 0, RETRY * 9 / 10, RETRY, 0, HERE }, /* nothing is known */
		{ "D", 0, 700, 0, 0, 0, HERE },		 /* at the first attempt: no greylist */
		/* put off by another host, or before the message was there: not by this one */
		{ "D", 1, 700, 0, 0, 0, OTHER }, { "D", 1, 600, 0, 0, 0, BEFORE },
		{ "G", 0, 0, RETRY * 9 / 10, RETRY, 0, HERE },
		{ "D", 1, 700, 0, 0, 700, HERE }, { "G", 0, 0, 700, 700 + SLOW, 700, HERE },
		{ "S", 0, 0, RETRY * 9 / 10, RETRY, 700, HERE }, /* put off for another reason */
		{ "gS", 0, 0, RETRY * 9 / 10, RETRY, 700, HERE }, { "DG", 0, 0, 700, 700 + SLOW, 700, HERE },
		{ "G", 1, 0, RETRY2 * 9 / 10, RETRY2,
			700, HERE }, /* the wait was not enough: the schedule */
		{ "S", 1, 300, RETRY2 * 9 / 10, RETRY2, 700, HERE },
		{ "DS", 1, 50, RETRY2 * 9 / 10, RETRY2, 50, HERE },
		{ "G", 0, 0, RETRY * 9 / 10, RETRY, 50, HERE }, /* shorter than the schedule's wait */
	};
	hosts_open(&r.hosts, sp.root, 1000);
	c->work.to.port = 25;
	assert_int_equal(netaddr_parse(span_of("192.0.2.1"), &c->work.to.addr), 0);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m;
		struct host_record h;
		struct found found = { 0 };
		c->work.to.port = rows[i].where == OTHER ? 26 : 25;
		if (rows[i].where == BEFORE)
			put_grey_before(650);
		queue(&m, strlen(rows[i].outcomes),
			&(struct envelope){ .sender = span_of("s@sender.example") }, 0);
		int64_t before = clock_wall();
		m.arrived = before - rows[i].age;
		m.attempts = rows[i].attempts;
		set_outcomes(&m, rows[i].outcomes);
		settle_message(c, &m, false, &found);
		if (rows[i].high == 0)
			assert_int_equal(found.next, 0);
		else
			assert_in_range(
				found.next, before + rows[i].low, clock_wall() + rows[i].high);
		hosts_recall(&r.hosts, &c->work.to, &h);
		assert_in_range(h.grey, rows[i].grey, rows[i].grey + (rows[i].grey > 0 ? SLOW : 0));
		(void)message_remove(&tour.lane, m.id);
		message_close(&m);
	}
	take_report("sender.example", text);
	assert_string_equal(text, "");
	close(r.hosts.dir);
	r.hosts.dir = -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_greylist, start, stop),
	};
	return cmocka_run_group_tests_name("settle_greylist", tests, NULL, NULL);
}
