/* hops: Received fields are counted (E3, H5), wherever the input is split. */
#include "tests/unit/unit.h"

#include "mail/hops.h"

static const struct {
	const char *in;
	int want;
	bool body;
} rows[] = {
	{ "", 0, false },
	{ "Received: by a\r\n", 1, false },
	{ "received:\r\nRECEIVED:x\r\n\r\n", 2, true },
	{ "Received: a\r\n\tReceived: b\r\n Received: c\r\n\r\n", 1, true },
	{ "X-Received: a\r\nReceived-SPF: b\r\nReceive: c\r\nReceived\r\n: d\r\n\r\n", 0, true },
	{ "Subject: Received: a\r\nReceived:Received:\r\n\r\n", 1, true },
	{ "\r\nReceived: a\r\n", 0, true },
	{ "A: b\r\n\r\nReceived: a\r\n\r\nReceived: b\r\n", 0, true },
	{ "Received: a\r\nReceived: b\r\nReceived: c\r\n\r\n.", 3, true },
	{ "RReceived: a\r\nrec\r\neived: b\r\n\r\n", 0, true },
};

static void
test_hops(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span in = guarded(span_of(rows[i].in));
		for (size_t split = 0; split <= in.n; split++) {
			struct hops h = { 0 };
			hops_feed(&h, (struct span){ in.p, split });
			hops_feed(&h, span_skip(in, split));
			if (h.received != rows[i].want || h.body != rows[i].body)
				fail_msg("%s at %zu: %d", rows[i].in, split, h.received);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hops),
	};
	return cmocka_run_group_tests_name("hops", tests, NULL, NULL);
}
