/* hops: Received fields are counted (E3, H5), wherever the input is split. */
#include "tests/unit/unit.h"

#include "mail/hops.h"

#define X13 "xxxxxxxxxxxxx"
#define X78 X13 X13 X13 X13 X13 X13

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
	/* text does not end them */
	{ "From joe\r\nReceived: a\r\n>x\r\n y\r\nReceived: b\r\n\r\nReceived: c\r\n", 2, true },
	/* RFC 5322 section 4.5.8: blanks before the colon */
	{ "Received : a\r\nRECEIVED \t:b\r\n\r\n", 2, true },
	{ "Received a: b\r\nReceived-SPF : c\r\nX Received: d\r\n\r\n", 0, true },
	{ X78 "Received: a\r\n" X78 X78 "Received: b\r\nReceived: c\r\n\r\n", 1, true },
	{ "RReceived: a\r\nrec\r\neived: b\r\n\r\n", 0, true },
};

static void
feed(struct header *h, int *hops, struct span in)
{
	struct header_part part;
	while (header_next(h, &in, &part))
		hops_hear(hops, &part);
}

static void
test_hops(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span in = guarded(span_of(rows[i].in));
		for (size_t split = 0; split <= in.n; split++) {
			struct header h = { 0 };
			int hops = 0;
			feed(&h, &hops, (struct span){ in.p, split });
			feed(&h, &hops, span_skip(in, split));
			if (hops != rows[i].want || h.over != rows[i].body)
				fail_msg("%s at %zu: %d", rows[i].in, split, hops);
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
