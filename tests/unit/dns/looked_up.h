/*
 * looked_up: look-ups by a server of our own, and what they bring: for a group of tests, each with
 * the zone that it needs.
 *
 * Each look-up must end within its deadline, and most much sooner.
 */
#ifndef POSTERN_LOOKED_UP_H
#define POSTERN_LOOKED_UP_H

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "dns.h"
#include "lib/clock.h"
#include "tests/unit/dns/nameserver.h"

/* What each zone begins with. */
#define HOSTS \
	{ "a.example", "A", "@ A 192.0.2.1\n@ A 192.0.2.2" }, \
	{ "a.example", "AAAA", "@ AAAA 2001:db8::1" }, \
	{ "b.example", "A", "@ A 192.0.2.3" }, \
	{ "c.example", "AAAA", "@ AAAA 2001:db8::c" }, \
	{ "gone.example", "*", "!rcode 3" }, \
	{ "fail.example", "*", "!rcode 2" }, \
	{ "quiet.example", "*", "!silent" }, \
	{ "two", "MX", "@ MX 20 b.example\n@ MX 10 A.Example" }, \
	{ "null", "MX", "@ MX 0 ." }, \
	{ "implicit", "A", "@ A 192.0.2.9" },

static struct nameserver ns;
static struct resolver *resolver; /* of that server */

/*
 * ms. Who ends when its deadline says so and SLACK later at most does not wait for as long as the
 * rounds of question.c would take, 21 s. AGAIN, PROBE: as question.c has them.
 */
enum { MUCH = 60000, SHORT = 300, LONG = 6000, SLACK = 15000, AGAIN = 3000, PROBE = 3000 };

/* A domain that is asked for, and what that brings. */
struct row {
	const char *domain;
	enum answer want;
	const char *hosts; /* of FOUND: "preference host address, ..." */
	const char *why;   /* a part of it, of anything else */
	int wait;          /* deadline, ms; 0: MUCH */
	int asked;         /* questions over UDP that this takes; 0: any number */
};

static const char *const answer_name[] = { "FOUND", "NULL_MX", "NO_NAME", "NO_DATA", "NO_HOST",
	"TEMPORARY" };

static inline void
render(const struct exchangers *x, char *out, size_t size)
{
	char addr[NETADDR_TEXT];
	size_t n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < x->n && n < size; i++) {
		netaddr_text(&x->v[i].addr, addr);
		n += (size_t)snprintf(out + n, size - n, "%s%d %s %s", i > 0 ? ", " : "",
			x->v[i].preference, x->v[i].host, addr);
	}
}

/*
 * So many questions since, and no more; but one that had no answer for long, because this machine
 * has much to do, is asked again, and rightly.
 */
static inline bool
asked_since(int before, int want, int64_t start)
{
	int asked = ns.counts->udp - before;
	return asked == want || (asked > want && clock_ms() - start >= AGAIN);
}

/* What nobody waited for is counted now, too: the server takes one question after the other. */
static inline void
let_it_catch_up(void)
{
	struct exchangers x;
	assert_int_equal(resolver_exchangers(resolver, "null", FAMILY_ANY, clock_ms() + MUCH, &x),
		ANSWER_NULL_MX);
	exchangers_free(&x);
}

/* With a resolver of its own: one remembers what its servers choke on. */
static inline void
run(const struct row *row)
{
	struct exchangers x;
	char hosts[4000];
	struct resolver *fresh = resolver_open(&ns.addr, 1, "us.example");
	assert_non_null(fresh);
	int before = ns.counts->udp;
	int64_t start = clock_ms(), deadline = start + (row->wait > 0 ? row->wait : MUCH);
	enum answer a = resolver_exchangers(fresh, row->domain, FAMILY_ANY, deadline, &x);
	int64_t took = clock_ms() - start;
	render(&x, hosts, sizeof(hosts));
	if (a != row->want || (a == ANSWER_FOUND && strcmp(hosts, row->hosts) != 0) ||
		(a != ANSWER_FOUND && strstr(x.why, row->why) == NULL))
		fail_msg("%s: %s: %s: %s", row->domain, answer_name[a], hosts, x.why);
	int sign_of_life = a == ANSWER_TEMPORARY;
	if (row->asked > 0 && !asked_since(before, row->asked + sign_of_life, start))
		fail_msg("%s: %d questions", row->domain, ns.counts->udp - before);
	assert_true(took < (row->wait > 0 ? row->wait : MUCH) + SLACK);
	assert_true(!x.unreached || took >= PROBE);
	exchangers_free(&x);
	resolver_close(fresh);
	if (row->wait > 0)
		let_it_catch_up();
}

static inline void
run_all(const struct row *row, size_t n)
{
	for (size_t i = 0; i < n; i++)
		run(&row[i]);
}

/* What the server of this group says; start and stop are of the whole group. */
static const struct zone *served;
static size_t n_served;

static inline void
serve(const struct zone *zone, size_t rows)
{
	served = zone;
	n_served = rows;
}

static inline int
start(void **state)
{
	(void)state;
	/* What udns and the C library would listen to (G8, K2). */
	setenv("LOCALDOMAIN", "evil.test", 1);
	setenv("NAMESERVERS", "192.0.2.53", 1);
	setenv("RES_OPTIONS", "ndots:9", 1);
	nameserver_start(&ns, served, n_served);
	resolver = resolver_open(&ns.addr, 1, "us.example");
	return resolver == NULL ? -1 : 0;
}

static inline int
stop(void **state)
{
	(void)state;
	resolver_close(resolver);
	nameserver_stop(&ns);
	return 0;
}

#endif
