/* resolver: copies of one, which threads use, and one that is told to end (S2). */
#include "tests/unit/dns/looked_up.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/wait.h"

static const struct zone zone[] = {
	HOSTS
	{ "alias.example", "*", "@ CNAME b.example\nb.example A 192.0.2.3" },
	{ "ours", "MX", "@ MX 40 Us.Example\n@ MX 30 b.example\n@ MX 20 us.example\n@ MX 10 a.example" },
	{ "implicit6", "AAAA", "@ AAAA 2001:db8::9" },
	{ "mxcname", "MX", "@ MX 10 alias.example" },
	{ "numbers", "MX", "@ MX 10 10.0.0.1." },
	{ "10.0.0.1", "A", "@ A 192.0.2.10" },
	{ "silent", "*", "!silent" },
	{ "tc", "MX", "!tc\n@ MX 10 b.example" },
	{ "tcempty", "MX", "!tc" },
	{ "tcempty", "A", "!tc\n@ A 192.0.2.9" },
};

/* Nothing that a copy learns is the other's, and each may be used alone. */
static void
test_copy(void **state)
{
	(void)state;
	struct exchangers x;
	char path[] = "/tmp/hosts-XXXXXX", found[1000];
	int fd = mkstemp(path);
	assert_int_equal(write(fd, "192.0.2.66 mail.lan\n", 20), 20);
	close(fd);
	struct resolver *r = resolver_open(&ns.addr, 1, "us.example");
	resolver_use_tcp(r);
	resolver_use_hosts(r, path);
	unlink(path);
	struct resolver *first = resolver_copy(r), *second = resolver_copy(r);
	assert_true(first != NULL && second != NULL);
	int udp = ns.counts->udp, tcp = ns.counts->tcp;
	assert_int_equal(resolver_exchangers(first, "ours", FAMILY_ANY, clock_deadline(60), &x), ANSWER_FOUND);
	assert_int_equal(x.own, 20); /* it has our name, */
	exchangers_free(&x);
	assert_int_equal(ns.counts->udp, udp); /* asks as the first one does, */
	assert_true(ns.counts->tcp > tcp);
	resolver_close(first);
	assert_int_equal(resolver_named(second, "mail.lan", FAMILY_ANY, &x), ANSWER_FOUND);
	render(&x, found, sizeof(found)); /* and has its file, which the end of another does not close */
	assert_string_equal(found, "0 mail.lan 192.0.2.66");
	exchangers_free(&x);
	resolver_close(second);
	assert_int_equal(resolver_named(r, "mail.lan", FAMILY_ANY, &x), ANSWER_FOUND);
	exchangers_free(&x);
	resolver_close(r);
}

/* S2: that a look-up was given up for others says nothing about the servers. */
static void
test_told(void **state)
{
	(void)state;
	struct exchangers x;
	struct resolver *r = resolver_open(&ns.addr, 1, "us.example");
	int told = eventfd(1, EFD_CLOEXEC);
	int64_t deadline = clock_deadline(60);
	wait_until_told(told);
	assert_int_equal(resolver_exchangers(r, "silent", FAMILY_ANY, deadline, &x), ANSWER_TEMPORARY);
	assert_false(x.unreached);
	exchangers_free(&x);
	wait_until_told(-1);
	assert_true(clock_ms() < deadline);
	assert_int_equal(resolver_exchangers(r, "implicit", FAMILY_ANY, deadline, &x), ANSWER_FOUND);
	exchangers_free(&x);
	resolver_close(r);
	close(told);
}

enum { THREADS = 8, TIMES = 100, LINES = 300 };

/* What one thread asks for, again and again, and the first thing that was not as it should be. */
struct asker {
	pthread_t thread;
	struct resolver *r;
	int number;
	char wrong[1200];
};

/* True: it is this, and nothing else. */
static bool
is(struct asker *a, enum answer got, struct exchangers *x, const char *want)
{
	char found[1000];
	render(x, found, sizeof(found));
	bool same = got == ANSWER_FOUND && strcmp(found, want) == 0;
	if (!same)
		snprintf(a->wrong, sizeof(a->wrong), "%s and not %s", found, want);
	exchangers_free(x);
	return same;
}

static void *
ask(void *asker)
{
	static const struct {
		const char *domain, *hosts;
	} domains[] = {
		{ "implicit6", "0 implicit6 2001:db8::9" },
		{ "tc", "10 b.example 192.0.2.3" }, /* over TCP, too */
		{ "numbers", "10 10.0.0.1 192.0.2.10" },
		{ "tcempty", "0 tcempty 192.0.2.9" },
		{ "mxcname", "10 alias.example 192.0.2.3" },
	};
	struct asker *a = asker;
	struct exchangers x;
	for (int i = 0; i < TIMES && a->wrong[0] == '\0'; i++) {
		char name[32], want[100];
		int line = (a->number * 37 + i * 7) % LINES;
		snprintf(name, sizeof(name), "h%d.lan", line);
		snprintf(want, sizeof(want), "0 %s 10.0.%d.%d", name, line / 250, line % 250);
		enum answer got = resolver_named(a->r, name, FAMILY_ANY, &x);
		if (!is(a, got, &x, want) || i % 5 != 0)
			continue;
		size_t d = (size_t)(a->number + i / 5) % ROWS(domains);
		got = resolver_exchangers(a->r, domains[d].domain, FAMILY_ANY, clock_deadline(60), &x);
		(void)is(a, got, &x, domains[d].hosts);
	}
	return NULL;
}

/* Copies of one resolver that are used at once, each by a thread, know what one alone knows. */
static void
test_threads(void **state)
{
	(void)state;
	char path[] = "/tmp/hosts-XXXXXX";
	struct asker askers[THREADS] = { { .number = 0 } };
	int fd = mkstemp(path);
	for (int i = 0; i < LINES; i++)
		dprintf(fd, "10.0.%d.%d h%d.lan  # so that a line is not all too short\n", i / 250,
			i % 250, i);
	close(fd);
	struct resolver *r = resolver_open(&ns.addr, 1, "us.example");
	resolver_use_hosts(r, path);
	unlink(path);
	for (int i = 0; i < THREADS; i++) {
		askers[i].number = i;
		askers[i].r = resolver_copy(r);
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
		resolver_close(askers[i].r);
	}
	resolver_close(r);
	for (int i = 0; i < THREADS; i++)
		assert_string_equal(askers[i].wrong, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_threads),
	};
	serve(zone, ROWS(zone));
	return cmocka_run_group_tests_name("resolver", tests, start, stop);
}
