/*
 * Mail that says TLS-Required: No, where no host has what the lane's domain asks for (R85).
 *
 * What a domain asks for is decided by the test: the linker puts the function below in the place of
 * policy_decide. TLS is asked for, and the hosts have none.
 */
#include "tests/unit/delivery/places.h"

static enum whose { OPERATOR, DOMAIN } asks[HOSTS]; /* for TLS, of this host */
static bool encrypt[HOSTS];

void __real_policy_decide(struct policy *p, const struct policy_facts *f);
void __wrap_policy_decide(struct policy *p, const struct policy_facts *f);

void
__wrap_policy_decide(struct policy *p, const struct policy_facts *f)
{
	int i = f->to->host[2] - '0'; /* mx0.example */
	__real_policy_decide(p, f);
	bool asked = encrypt[i] && !(asks[i] == DOMAIN && f->relaxed);
	p->source = asked && asks[i] == DOMAIN ? POLICY_SETTING + 1 : POLICY_SETTING;
	p->tls = asked ? DELIVERY_TLS_ENCRYPT : DELIVERY_TLS_MAY;
}

/* The hosts that are looked for anew are those that the test has opened. */
static struct exchangers found;

enum outcome __wrap_destinations_find(struct resolver *resolver, const struct conf *conf,
	const struct conf_delivery *way, const char *lane, struct exchangers *out, struct buf *why);
struct resolver *__wrap_resolvers_take(struct resolvers *all);
void __wrap_resolvers_give_back(struct resolvers *all, struct resolver *resolver);

enum outcome
__wrap_destinations_find(struct resolver *resolver, const struct conf *conf,
	const struct conf_delivery *way, const char *lane, struct exchangers *out, struct buf *why)
{
	(void)resolver, (void)conf, (void)lane, (void)why;
	assert_int_equal(way->dane, c->work.relaxed ? CONF_DANE_OFF : r.common.delivery.dane);
	*out = found;
	out->v = calloc(found.n, sizeof(*out->v));
	assert_non_null(out->v);
	memcpy(out->v, found.v, found.n * sizeof(*out->v));
	return DONE;
}

struct resolver *
__wrap_resolvers_take(struct resolvers *all)
{
	(void)all;
	return (struct resolver *)&found;
}

void
__wrap_resolvers_give_back(struct resolvers *all, struct resolver *resolver)
{
	(void)all, (void)resolver;
}

/* A message for each letter: n with the field, p without. */
static void
queue_each(const char *kinds)
{
	for (int i = 0; kinds[i] != '\0'; i++) {
		begin("");
		add("d.example", "u@d.example");
		draft_body(&d, span_of(kinds[i] == 'n' ? "TLS-Required: No\r\n" BODY : BODY));
		assert_int_equal(draft_commit(&d), 0);
		memcpy(ids[i], d.id, ID_SIZE);
	}
	open_lane(&tour.lane, "d.example");
}

static const struct row {
	const char *queue;
	const char *hosts[2]; /* what they do beside what is usual (host.h) */
	enum whose whose[2];
	bool asked[2];
	const char *want;     /* describe() */
	int connections[2];
	bool down;
} rows[] = {
	/* such mail goes, and no other */
	{ "pnp", { "", "" }, { DOMAIN, DOMAIN }, { true, true }, "0-0", { 2, 1 }, true },
	{ "npn", { "", "" }, { DOMAIN, DOMAIN }, { true, true }, "-0-", { 2, 1 }, true },
	/* a host that has what is asked for comes first, for all */
	{ "pnp", { "", "" }, { DOMAIN, DOMAIN }, { true, false }, "---", { 1, 1 }, false },
	/* what the operator asks for counts for all */
	{ "pnp", { "", "" }, { OPERATOR, OPERATOR }, { true, true }, "000", { 1, 1 }, true },
	{ "pn", { "", "" }, { OPERATOR, DOMAIN }, { true, true }, "0-", { 2, 2 }, true },
	/* it is not the domain that keeps it */
	{ "pn", { "GREETING1=close", "GREETING1=554 no!" }, { DOMAIN, DOMAIN }, { true, true }, "00",
		{ 1, 1 }, true },
	/* a host of no use, or that puts it off, is left in the end, by that mail alone */
	{ "nnp", { "MAIL1=close", "MAIL1=close" }, { DOMAIN, DOMAIN }, { true, true }, "010", { 3, 1 },
		true },
	{ "nnp", { "RCPT1=450 no|RCPT2=450 no", "" }, { DOMAIN, DOMAIN }, { true, true }, "110",
		{ 2, 1 }, true },
	{ "nnp", { "MAIL1=452 full|MAIL2=452 full", "" }, { DOMAIN, DOMAIN }, { true, true }, "110",
		{ 2, 1 }, true },
	{ "np", { "RCPT1=550 no", "" }, { DOMAIN, DOMAIN }, { true, true }, "-0", { 2, 1 }, true },
	/* and what one lacks another may have (R69) */
	{ "np", { "HELLO1=250-hello/250 SIZE 10", "" }, { DOMAIN, DOMAIN }, { true, true }, "-0",
		{ 2, 2 }, true },
	{ "np", { "HELLO1=250-hello/250 SIZE 10", "HELLO1=250-hello/250 SIZE 10" },
		{ DOMAIN, DOMAIN }, { true, true }, "-0", { 2, 2 }, true },
};

static void
check(size_t row)
{
	const struct row *t = &rows[row];
	char got[MESSAGES + 1];
	int n = (int)strlen(t->queue);
	begin_lane();
	for (size_t i = 0; i < 2; i++) {
		asks[i] = t->whose[i];
		encrypt[i] = t->asked[i];
		open_place(i, t->hosts[i], false);
	}
	struct exchanger v[HOSTS];
	found = c->work.exchangers;
	memcpy(v, found.v, 2 * sizeof(v[0]));
	found.v = v;
	queue_each(t->queue);
	scan();
	assert_int_equal(c->work.verdict == SOFT, t->down);
	lane_set_up(&tour.lane);
	connect_end(c);
	assert_true(c->link.fd < 0 || !t->down); /* nobody else's mail goes by it */
	end_lane();
	describe(n, got);
	for (size_t i = 0; i < 2; i++) {
		close_place(i);
		if (place[i].connections != t->connections[i])
			fail_msg("row %zu: host %zu: %d connections", row, i, place[i].connections);
	}
	if (strcmp(got, t->want) != 0)
		fail_msg("row %zu: %s", row, got);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		check(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, start, stop),
	};
	return cmocka_run_group_tests_name("relaxed", tests, NULL, NULL);
}
