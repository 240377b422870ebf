/* budget: what a session that asks without end gets started. */
#include "tests/unit/unit.h"

#include "process/budget.h"

static const struct conf conf = { .receive = { .max_recipients = 100, .max_errors = 20 } };

/* How many of a kind are started, each of them gone at once. */
static int64_t
started(struct budget *b, enum request_kind kind)
{
	enum { PID = 7, ENOUGH = 1000000 };
	int64_t n = 0;
	for (; n < ENOUGH && budget_allows(b, kind); n++) {
		budget_spend(b, kind, kind == REQUEST_RELAY ? 0 : PID);
		budget_ended(b, PID);
	}
	return n;
}

static void
test_in_total(void **state)
{
	static const struct {
		enum request_kind kind;
		int64_t most;
	} rows[] = {
		{ REQUEST_RELAY, LIMIT_RELAYS_STARTED },
		{ REQUEST_TLS, 1 },
		{ REQUEST_AUTH, 21 },
		{ REQUEST_CHECK_SENDER, 10100 },
		{ REQUEST_CHECK_RECIPIENT, 10100 },
		{ REQUEST_KINDS, 0 },
		{ (enum request_kind)-1, 0 },
	};
	struct budget b;
	(void)state;
	budget_init(&b, &conf);
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(started(&b, rows[i].kind), rows[i].most);
		assert_false(budget_allows(&b, rows[i].kind));
	}
}

/* What came to nothing cost something, too; and an honest session is never told that. */
static void
test_in_vain(void **state)
{
	static const struct {
		enum request_kind kind;
		int64_t most;
	} rows[] = {
		{ REQUEST_RELAY, LIMIT_RELAYS_RUNG },
		{ REQUEST_TLS, LIMIT_HELPERS_FAILED },
		{ REQUEST_AUTH, LIMIT_HELPERS_FAILED },
		{ REQUEST_CHECK_SENDER, 10100 },
		{ REQUEST_CHECK_RECIPIENT, 10100 },
		{ REQUEST_LOG, LIMIT_LOG_LOST + 3600 },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct conf hour = conf;
		struct budget b;
		int64_t n = 0;
		hour.receive.timeout_session = 3600;
		budget_init(&b, &hour);
		for (; n <= rows[i].most && budget_allows(&b, rows[i].kind); n++)
			budget_spend_in_vain(&b, rows[i].kind);
		assert_int_equal(n, rows[i].most);
		budget_renew(&b, &hour);
		assert_true(budget_allows(&b, rows[i].kind));
	}
}

static void
test_at_once(void **state)
{
	struct budget b;
	(void)state;
	budget_init(&b, &conf);
	for (pid_t pid = 1; pid <= LIMIT_HELPERS; pid++) {
		assert_true(budget_allows(&b, REQUEST_CHECK_RECIPIENT));
		budget_spend(&b, REQUEST_CHECK_RECIPIENT, pid);
	}
	assert_false(budget_allows(&b, REQUEST_CHECK_RECIPIENT));
	assert_false(budget_allows(&b, REQUEST_TLS));
	assert_true(budget_allows(&b, REQUEST_RELAY)); /* is in nobody's way */
	budget_ended(&b, LIMIT_HELPERS + 1);           /* a relay */
	assert_false(budget_allows(&b, REQUEST_TLS));
	budget_ended(&b, 3);
	assert_true(budget_allows(&b, REQUEST_TLS));
	budget_spend(&b, REQUEST_TLS, 3);
	assert_false(budget_allows(&b, REQUEST_AUTH));
}

/* What clients before hold up is not missing to the next one. */
static void
test_anew(void **state)
{
	struct budget b;
	(void)state;
	budget_init(&b, &conf);
	for (pid_t pid = 1; pid <= LIMIT_HELPERS; pid++)
		budget_spend(&b, pid == 1 ? REQUEST_TLS : REQUEST_CHECK_SENDER, pid);
	budget_renew(&b, &conf);
	assert_true(budget_allows(&b, REQUEST_TLS));
	budget_spend(&b, REQUEST_TLS, LIMIT_HELPERS + 1);
	budget_ended(&b, 1);
	assert_false(budget_allows(&b, REQUEST_TLS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_total),
		cmocka_unit_test(test_in_vain),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_anew),
	};
	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
