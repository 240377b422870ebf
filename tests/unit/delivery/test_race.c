/* race: in which order hosts start, which one wins, and what is remembered of the others (R49, R50,
 * R56, L14, L15). */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "delivery/race.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/wait.h"

enum { HOSTS = 4, AGE = 600, TEXT = 1000, SLOW = 20000, DRAWS = 600 };

static struct hosts hosts;
static char spool[] = "/tmp/postern-race-XXXXXX";

/* ---- hosts ---------------------------------------------------------------------------------- */

/* A host at a port of its own, on loopback. */
struct place {
	enum { SILENT, GREETS, CLOSES, REFUSES } manner;
	int listener;
	pthread_t thread;
};

static struct place places[HOSTS];
static struct exchanger exchanger[HOSTS];
static size_t n_places;

/* One connection: a greeting, or the end. The connection stays open until the listener goes. */
static void *
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

static void
open_place(size_t i, int manner, uint16_t preference)
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

static void
forget_all(void)
{
	hosts_sweep(&(struct hosts){ .dir = hosts.dir, .age = -1 });
}

static void
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
static char
letter(const struct exchanger *e)
{
	for (size_t i = 0; i < n_places; i++)
		if (exchanger[i].port == e->port)
			return (char)('a' + i);
	return '?';
}

static struct host_record
known(size_t i)
{
	struct host_record h;
	hosts_recall(&hosts, &exchanger[i], &h);
	return h;
}

static int
start(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(spool));
	auto_fd dir = open(spool, O_RDONLY | O_DIRECTORY);
	hosts_open(&hosts, dir, AGE);
	return hosts.dir < 0;
}

static int
stop(void **state)
{
	char name[sizeof(spool) + 10];
	(void)state;
	close(hosts.dir);
	snprintf(name, sizeof(name), "%s/hosts", spool);
	return rmdir(name) < 0 || rmdir(spool) < 0;
}

/* ---- the race ------------------------------------------------------------------------------- */

static char any_source[] = "", no_source[] = "192.0.2.1"; /* an address that is not ours */
static struct conf_delivery conf = { .timeout_connect = 3600, .timeout_greeting = 3600,
	.source = any_source };

static const struct race_gate *gate;

static void
begin_race(struct race *r)
{
	const struct exchangers all = { .v = exchanger, .n = n_places };
	assert_int_equal(race_begin(r, &conf, &hosts, gate, &all), 0);
}

/* The same where the client speaks first (implicit TLS): to connect is to win. */
static void
begin_race_of_clients(struct race *r)
{
	for (size_t i = 0; i < n_places; i++)
		exchanger[i].tls_first = true;
	begin_race(r);
}

/* The next winner, or '-'. */
static char
next(struct race *r, struct buf *why)
{
	struct exchanger winner;
	int fd = race_next(r, &winner, why);
	if (fd >= 0)
		close(fd);
	return fd >= 0 ? letter(&winner) : '-';
}

/*
 * To connect is to win, so each host wins when it has started. Written "a10 b20": preferences, with
 * "!" behind who failed lately and "~" behind who is slow.
 */
static void
test_order(void **state)
{
	(void)state;
	static const struct {
		const char *hosts, *want;
		enum conf_mx_order order;
	} rows[] = {
		{ "10 20 30", "abc-", MX_LATENCY },
		{ "30 20 10", "cba-", MX_LATENCY },
		{ "10 10 10", "abc-", MX_RANDOM }, /* as they were shuffled */
		{ "10! 20 30", "bca-", MX_LATENCY },
		{ "10! 20 30!", "bac-", MX_LATENCY },
		{ "10! 20! 30!", "abc-", MX_LATENCY },
		{ "10~ 20 30", "abc-", MX_LATENCY }, /* preference is more than speed */
		{ "10~ 10 20", "abc-", MX_RANDOM },
		{ "10 10!", "ab-", MX_LATENCY },
		{ "10! 10", "ba-", MX_LATENCY },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		auto_buf why = buf_new(TEXT);
		struct race r;
		char got[HOSTS + 2] = "";
		size_t n = 0;
		for (const char *p = rows[i].hosts; *p != '\0'; p += *p == ' ') {
			char *end;
			open_place(n, SILENT, (uint16_t)strtol(p, &end, 10));
			if (*end == '!')
				hosts_mark(&hosts, &exchanger[n], HOST_FAILED);
			if (*end == '~')
				hosts_silent(&hosts, &exchanger[n], SLOW);
			p = end + (*end == '!' || *end == '~');
			n++;
		}
		conf.mx_order = rows[i].order;
		begin_race_of_clients(&r);
		for (size_t k = 0; k <= n; k++) {
			assert_int_equal(race_goes_on(&r), k < n);
			got[k] = next(&r, &why);
		}
		assert_string_equal(got, rows[i].want);
		race_end(&r);
		close_places();
	}
}

/* R49: who was quickest of late starts first, but for now and then. */
static void
test_quickest(void **state)
{
	(void)state;
	int first = 0;
	conf.mx_order = MX_LATENCY;
	open_place(0, SILENT, 10);
	open_place(1, SILENT, 10);
	for (int i = 0; i < DRAWS; i++) {
		auto_buf why = buf_new(TEXT);
		struct race r;
		forget_all();
		hosts_greeted(&hosts, &exchanger[0], 500);
		hosts_greeted(&hosts, &exchanger[1], 20);
		begin_race_of_clients(&r);
		first += next(&r, &why) == 'b';
		race_end(&r);
	}
	close_places();
	assert_in_range(first, DRAWS * 8 / 10, DRAWS - 1);
}

/* Of hosts of no use one after the other is passed over; it has failed, if it is its fault. */
static void
test_failing(void **state)
{
	(void)state;
	static const struct {
		int manner;
		char *source;
		const char *why;
		char want;
		bool failed;
	} rows[] = {
		{ REFUSES, any_source, ": connect: Connection refused", 'b', true },
		{ CLOSES, any_source, ": greeting: connection closed by the host", 'b', true },
		/* what is wrong on our side no host can help */
		{ GREETS, no_source, ": connect: Cannot assign requested address", '-', false },
	};
	conf.mx_order = MX_LATENCY;
	for (size_t i = 0; i < ROWS(rows); i++) {
		auto_buf why = buf_new(TEXT);
		struct race r;
		open_place(0, rows[i].manner, 10);
		open_place(1, GREETS, 20);
		conf.source = rows[i].source;
		begin_race(&r);
		assert_int_equal(next(&r, &why), rows[i].want);
		assert_non_null(memmem(why.p, why.n, rows[i].why, strlen(rows[i].why)));
		assert_int_equal(known(0).failed != 0, rows[i].failed);
		assert_int_equal(known(1).failed, 0);
		assert_false(race_is_open(&r));
		race_end(&r);
		close_places();
	}
	conf.source = any_source;
}

/* ---- overtaken (L14) ------------------------------------------------------------------------ */

/* A silent host, known as slow, and another one that greets and wins. */
static void
overtake(struct race *r, uint16_t slow, uint16_t quick, struct buf *why)
{
	open_place(0, SILENT, slow);
	open_place(1, GREETS, quick);
	hosts_silent(&hosts, &exchanger[0], SLOW);
	conf.mx_order = MX_RANDOM;
	begin_race(r);
	assert_int_equal(next(r, why), 'b');
}

/* It has not failed, and may still win. */
static void
test_overtaken(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	overtake(&r, 10, 20, &why);
	assert_true(race_is_open(&r) && race_goes_on(&r));
	assert_int_equal(known(0).failed, 0);
	assert_int_equal(known(0).latency, SLOW); /* a shorter silence tells nothing */
	auto_fd fd = accept(places[0].listener, NULL, NULL);
	assert_int_equal(send(fd, "220 at last\r\n", 13, MSG_NOSIGNAL), 13);
	assert_int_equal(next(&r, &why), 'a');
	assert_false(race_is_open(&r) || race_goes_on(&r));
	assert_int_equal(known(0).failed, 0);
	assert_true(known(0).latency < SLOW);
	race_end(&r);
	close_places();
}

/*
 * Whoever won may have been talked to for long, by a will of its own: the other one is not the
 * slower for it.
 */
static void
test_kept_waiting(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	overtake(&r, 10, 20, &why);
	assert_false(race_kept_waiting(&r));
	auto_fd fd = accept(places[0].listener, NULL, NULL);
	assert_int_equal(send(fd, "220 long ago\r\n", 14, MSG_NOSIGNAL), 14);
	forget_all();
	hosts_greeted(&hosts, &exchanger[0], 1);
	assert_int_equal(next(&r, &why), 'a');
	assert_true(race_kept_waiting(&r));
	assert_int_equal(known(0).latency, 1);
	race_end(&r);
	close_places();
}

/* When its own time is over it has failed. */
static void
test_too_late(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	conf.timeout_greeting = 1;
	conf.mx_order = MX_RANDOM;
	open_place(0, SILENT, 10);
	open_place(1, SILENT, 20);
	exchanger[1].tls_first = true; /* it need not be in time with a greeting */
	hosts_silent(&hosts, &exchanger[0], SLOW);
	begin_race(&r);
	assert_int_equal(next(&r, &why), 'b');
	assert_int_equal(next(&r, &why), '-');
	conf.timeout_greeting = 3600;
	assert_non_null(memmem(why.p, why.n, "greeting: timed out", 19));
	assert_true(known(0).failed != 0);
	race_end(&r);
	close_places();
}

/* One that is as good as the winner is no better. */
static void
test_equal(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	overtake(&r, 10, 10, &why);
	assert_true(!race_is_open(&r) && race_has_equal(&r));
	assert_int_equal(known(0).failed, 0);
	race_end(&r);
	assert_int_equal(known(0).failed, 0);
	assert_false(race_is_open(&r) || race_has_equal(&r));
	close_places();
}

/* Who is left of those that are as good as the one that won? */
static void
test_has_equal(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	conf.mx_order = MX_RANDOM;
	open_place(0, SILENT, 10);
	open_place(1, SILENT, 10);
	open_place(2, SILENT, 20);
	open_place(3, SILENT, 20);
	hosts_mark(&hosts, &exchanger[3], HOST_FAILED);
	begin_race_of_clients(&r);
	assert_false(race_has_equal(&r)); /* nobody has won */
	for (size_t i = 0; i < HOSTS; i++) {
		assert_int_equal(next(&r, &why), 'a' + (char)i);
		assert_int_equal(race_has_equal(&r), i == 0);
		assert_false(race_is_open(&r));
	}
	race_end(&r);
	close_places();
}

/*
 * A better one that failed lately has its turn to come (L14); but behind all others, and they are
 * not all asked because of it.
 */
static void
test_well_again(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	conf.mx_order = MX_RANDOM;
	for (size_t i = 0; i < 3; i++)
		open_place(i, SILENT, (uint16_t)(10 + i));
	hosts_mark(&hosts, &exchanger[0], HOST_FAILED);
	begin_race_of_clients(&r);
	assert_false(race_is_open(&r)); /* nobody has won */
	assert_int_equal(next(&r, &why), 'b');
	assert_false(race_is_open(&r));
	assert_int_equal(next(&r, &why), 'c');
	assert_true(race_is_open(&r));
	assert_int_equal(next(&r, &why), 'a');
	assert_false(race_is_open(&r));
	race_end(&r);
	close_places();
}

/* ---- connections that came to nothing (L15) ------------------------------------------------- */

/* Only what was noted is convicted, and only once. */
static void
test_convict(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	conf.mx_order = MX_RANDOM;
	for (size_t i = 0; i < 3; i++)
		open_place(i, SILENT, (uint16_t)(10 + i));
	begin_race_of_clients(&r);
	race_note_loss(&r); /* nobody has won */
	race_convict(&r);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(next(&r, &why), 'a' + (char)i);
		if (i == 1)
			race_note_loss(&r);
		assert_int_equal(known(i).failed, 0);
	}
	race_convict(&r);
	assert_true(known(0).failed == 0 && known(1).failed != 0 && known(2).failed == 0);
	forget_all();
	race_convict(&r);
	assert_int_equal(known(1).failed, 0);
	/* of one courier of several, a connection may only be one too many */
	r.extra = true;
	race_note_loss(&r);
	race_convict(&r);
	assert_int_equal(known(2).failed, 0);
	race_end(&r);
	close_places();
}

/* Whom there was no talking to: who did not greet, or did and led to nothing (R69). */
static void
test_vain(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	conf.mx_order = MX_RANDOM;
	open_place(0, REFUSES, 10);
	open_place(1, CLOSES, 20);
	open_place(2, GREETS, 30);
	open_place(3, GREETS, 40);
	begin_race(&r);
	race_note_vain(&r); /* nobody has won */
	for (size_t i = 0; i < HOSTS; i++)
		assert_false(race_was_vain(&r, &exchanger[i]));
	assert_int_equal(next(&r, &why), 'c');
	assert_true(race_was_vain(&r, &exchanger[0]) && race_was_vain(&r, &exchanger[1]));
	assert_false(race_was_vain(&r, &exchanger[2]) || race_was_vain(&r, &exchanger[3]));
	race_note_vain(&r);
	assert_true(race_was_vain(&r, &exchanger[2]));
	assert_int_equal(next(&r, &why), 'd');
	assert_false(race_was_vain(&r, &exchanger[3]));
	race_end(&r);
	assert_false(race_was_vain(&r, &exchanger[0]));
	close_places();
}

/* ---- who may connect ------------------------------------------------------------------------ */

/* The porter keeps away whom `full` names, and counts the others. */
static struct {
	const char *full;
	int inside[HOSTS], refused[HOSTS];
} porter;

static void *
enter(void *context, const struct exchanger *to)
{
	assert_ptr_equal(context, &porter);
	char name = letter(to);
	if (strchr(porter.full, name) != NULL)
		return NULL;
	porter.inside[name - 'a']++;
	return &porter.inside[name - 'a'];
}

static void
leave(void *context, void *place, bool refused)
{
	assert_ptr_equal(context, &porter);
	int *inside = place;
	--*inside;
	porter.refused[inside - porter.inside] += refused;
}

static const struct race_gate guarded_gate = { .context = &porter, .enter = enter, .leave = leave };

static int
guard(void **state)
{
	(void)state;
	memset(&porter, 0, sizeof(porter));
	porter.full = "";
	gate = &guarded_gate;
	conf.mx_order = MX_RANDOM;
	return 0;
}

static int
unguard(void **state)
{
	(void)state;
	gate = NULL;
	return 0;
}

/* Those that stand in for one that has enough connections are as good; nobody goes to worse ones. */
static void
test_full(void **state)
{
	(void)state;
	static const struct {
		uint16_t preference[3];
		const char *full, *want;
		char known; /* as the one that is full; 0: none */
	} rows[] = {
		{ { 10, 10, 20 }, "", "abc-", 0 },
		{ { 10, 10, 20 }, "a", "b-", 'a' },
		{ { 10, 10, 20 }, "b", "a-", 'b' },
		{ { 10, 10, 20 }, "ab", "-", 'b' },
		{ { 10, 10, 20 }, "c", "ab-", 'c' },
		{ { 10, 20, 30 }, "a", "-", 'a' },
		{ { 10, 20, 30 }, "b", "a-", 'b' },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		auto_buf why = buf_new(TEXT);
		struct race r;
		char got[HOSTS + 2] = "";
		for (size_t k = 0; k < 3; k++)
			open_place(k, SILENT, rows[i].preference[k]);
		porter.full = rows[i].full;
		begin_race_of_clients(&r);
		size_t n = 0;
		do
			got[n] = next(&r, &why);
		while (got[n++] != '-');
		const struct exchanger *full = race_full(&r);
		assert_string_equal(got, rows[i].want);
		assert_int_equal(full != NULL ? letter(full) : 0, rows[i].known);
		race_end(&r);
		for (size_t k = 0; k < 3; k++) { /* whatever came of it, the places are free */
			assert_int_equal(porter.inside[k], 0);
			assert_int_equal(known(k).failed, 0);
		}
		close_places();
	}
}

/* The place of the winner is the caller's, once he took it. */
static void
test_place(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	for (int taken = 0; taken < 2; taken++) {
		struct race r;
		open_place(0, SILENT, 10);
		begin_race_of_clients(&r);
		assert_int_equal(next(&r, &why), 'a');
		assert_int_equal(porter.inside[0], 1);
		if (taken) {
			assert_ptr_equal(race_take_place(&r), &porter.inside[0]);
			assert_null(race_take_place(&r));
		}
		race_end(&r);
		assert_int_equal(porter.inside[0], taken);
		close_places();
	}
}

/* Which failures say that the host took no further connection? */
static void
test_refused(void **state)
{
	(void)state;
	static const struct {
		int manner;
		char *source;
		bool refused;
	} rows[] = { { REFUSES, any_source, true }, { CLOSES, any_source, true },
		{ SILENT, any_source, false }, { GREETS, no_source, false } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		auto_buf why = buf_new(TEXT);
		struct race r;
		conf.timeout_greeting = rows[i].manner == SILENT ? 1 : 3600;
		memset(porter.refused, 0, sizeof(porter.refused));
		open_place(0, rows[i].manner, 10);
		conf.source = rows[i].source;
		begin_race(&r);
		assert_int_equal(next(&r, &why), '-');
		assert_int_equal(porter.refused[0], rows[i].refused);
		assert_int_equal(porter.inside[0], 0);
		assert_null(race_full(&r));
		race_end(&r);
		close_places();
	}
	conf.source = any_source;
	conf.timeout_greeting = 3600;
}

/* A socket of this host is no host that could have too many connections. */
static void
test_socket_needs_no_place(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	open_place(0, SILENT, 10);
	exchanger[0].socket = true;
	snprintf(exchanger[0].host, sizeof(exchanger[0].host), "%s/none", spool);
	porter.full = "a";
	begin_race(&r);
	assert_int_equal(next(&r, &why), '-');
	assert_null(race_full(&r));
	race_end(&r);
	close_places();
}

/* Whoever is told to end that gives all of them up at once, and asks nobody else. */
static void
test_told_to_end(void **state)
{
	(void)state;
	auto_buf why = buf_new(TEXT);
	struct race r;
	const uint64_t one = 1;
	auto_fd told = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(write(told, &one, sizeof(one)), sizeof(one));
	open_place(0, SILENT, 10);
	open_place(1, GREETS, 20);
	wait_until_told(told);
	begin_race(&r);
	assert_int_equal(next(&r, &why), '-');
	wait_until_told(-1);
	assert_true(known(0).failed != 0 && known(1).failed == 0);
	assert_int_equal(porter.inside[0] + porter.inside[1], 0);
	assert_non_null(memmem(why.p, why.n, "timed out", 9));
	race_end(&r);
	close_places();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_quickest),
		cmocka_unit_test(test_failing),
		cmocka_unit_test(test_overtaken),
		cmocka_unit_test(test_kept_waiting),
		cmocka_unit_test(test_too_late),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_has_equal),
		cmocka_unit_test(test_well_again),
		cmocka_unit_test(test_convict),
		cmocka_unit_test(test_vain),
		cmocka_unit_test_setup_teardown(test_full, guard, unguard),
		cmocka_unit_test_setup_teardown(test_place, guard, unguard),
		cmocka_unit_test_setup_teardown(test_refused, guard, unguard),
		cmocka_unit_test_setup_teardown(test_socket_needs_no_place, guard, unguard),
		cmocka_unit_test_setup_teardown(test_told_to_end, guard, unguard),
	};
	return cmocka_run_group_tests_name("race", tests, start, stop);
}
