/* eightbit: whether a header is in ASCII (L1), and where it ends, wherever the input is split. */
#include "tests/unit/unit.h"

#include "mail/eightbit.h"

#define A "\xc3\xa4"

static const struct {
	const char *in;
	bool over, eightbit;
} rows[] = {
	{ "", false, false },
	{ "Subject: x\r\n", false, false },
	{ "Subject: x\r\n\r\n", true, false },
	{ "Subject: " A "\r\n", false, true },
	{ "Subject: x\r\n\t" A "\r\n\r\n", false, true },
	{ "Subject:" A "\r\n\r\nx", false, true },
	{ "Subject : " A "\r\n\r\n", false, true },
	{ "X: \xff\r\n\r\n", false, true },
	{ "A: b\r\nSubject: " A "\r\n\r\n", false, true },
	/* the text does not count */
	{ "Subject: x\r\n\r\n" A "\r\n", true, false },
	{ "Subject: x\r\n\r\nSubject: " A "\r\n\r\n", true, false },
	{ "\r\nSubject: " A "\r\n", true, false },
	{ "A: b\n\nSubject: " A "\r\n", true, false },
	/* nor does text that has no header, or a line that is no field */
	{ A, true, false },
	{ "h" A "llo\r\n\r\n", true, false },
	{ "hello " A "\r\n\r\n", true, false },
	{ "hello: \r\nthere " A "\r\n\r\n", true, false },
	{ "Subject: x\r\n" A ": y\r\n\r\n", true, false },
	{ "Subject: x\r\nS" A ": y\r\n\r\n", true, false },
	{ " " A "\r\n", true, false }, /* continues nothing */
	{ ":" A "\r\n", true, false },
	{ "X\r\n" A "\r\n\r\n", true, false },
	{ "A: b\r\ntext\r\nSubject: " A "\r\n\r\n", true, false },
};

static void
feed(struct header *h, struct eightbit *e, struct span in)
{
	struct header_part part;
	while (header_next(h, &in, &part))
		eightbit_hear(e, &part);
}

static void
test_eightbit(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span in = guarded(span_of(rows[i].in));
		for (size_t split = 0; split <= in.n; split++) {
			struct header h = { 0 };
			struct eightbit e = { 0 };
			feed(&h, &e, (struct span){ in.p, split });
			feed(&h, &e, span_skip(in, split));
			/* what comes behind a header that is known not to be ASCII is of no matter */
			if (e.found != rows[i].eightbit || (!e.found && e.over != rows[i].over))
				fail_msg("%s at %zu: %d %d", rows[i].in, split, e.over, e.found);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eightbit),
	};
	return cmocka_run_group_tests_name("eightbit", tests, NULL, NULL);
}
