/* chunk: a CR or LF on its own and NUL are found, wherever the octets are cut in two (C3, C12). */
#include "tests/unit/unit.h"

#include "mail/chunk.h"

static const struct {
	const char *in;
	size_t n; /* 0: up to the NUL */
	bool bare, nul;
} rows[] = {
	{ "", 0, false, false },
	{ "a", 0, false, false },
	{ "a\r\nb\r\n", 0, false, false },
	{ "\r\n\r\n", 0, false, false },
	{ "a\r\nb", 0, false, false },
	{ "\n", 0, true, false },
	{ "\r", 0, true, false },
	{ "a\nb\r\n", 0, true, false },
	{ "a\rb\r\n", 0, true, false },
	{ "a\r\r\n", 0, true, false },
	{ "a\r\n\n", 0, true, false },
	{ "a\n\r\n", 0, true, false },
	{ "a\r\nb\r", 0, true, false },
	{ "\0", 1, false, true },
	{ "a\r\nb\0c\r\n", 8, false, true },
	{ "a\r\0\n", 4, true, true },
};

static void
test_chunk(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t n = rows[i].n > 0 ? rows[i].n : strlen(rows[i].in);
		struct span in = guarded((struct span){ rows[i].in, n });
		for (size_t split = 0; split <= in.n; split++) {
			struct chunk c = { 0 };
			chunk_feed(&c, (struct span){ in.p, split });
			chunk_feed(&c, span_skip(in, split));
			chunk_end(&c);
			if (c.bare != rows[i].bare || c.nul != rows[i].nul)
				fail_msg("row %zu at %zu: %d, %d", i, split, c.bare, c.nul);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunk),
	};
	return cmocka_run_group_tests_name("chunk", tests, NULL, NULL);
}
