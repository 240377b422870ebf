/* fitting: which other hosts can have what one cannot (R69, R84, R67, R68, R87, G5). */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "delivery/fitting.h"

enum { HOSTS = 5, MANY = FITTING_ASKED + 5 };

static struct exchangers x;
static struct fitting f;

/* "a10 b20": hosts of these names and preferences; a name that comes twice has two addresses. */
static void
list(const char *hosts)
{
	struct span rest = span_of(hosts), word;
	x = (struct exchangers){ .v = calloc(MANY, sizeof(*x.v)), .unknown = EXCHANGER_WORST + 1 };
	assert_non_null(x.v);
	while ((word = span_word(&rest, " ")).n > 0) {
		struct exchanger *e = &x.v[x.n++];
		e->host[0] = word.p[0];
		e->port = 25;
		e->preference = (uint16_t)span_number(span_skip(word, 1));
	}
	f = (struct fitting){ 0 };
}

static void
end(void)
{
	fitting_end(&f);
	exchangers_free(&x);
}

static struct exchanger *
host(char name)
{
	size_t i = 0;
	while (x.v[i].host[0] != name)
		i++;
	return &x.v[i];
}

/* A message of so many octets was at the host, which takes at most 100, or this. */
static void
note(char name, int64_t size, bool for_now)
{
	const struct body_taker can = { .size = size };
	assert_int_equal(fitting_note(&f, &x, host(name), &can, for_now), 0);
}

static struct rcpt rcpts[2];

static struct message
message_of(uint64_t octets)
{
	rcpts[0] = rcpts[1] = (struct rcpt){ .address = span_of("u@d.example") };
	return (struct message){ .length = octets, .rcpt = rcpts, .n = 2,
		.env = { .sender = span_of("s@s.example") } };
}

static enum fitting_chance
chance(char at, uint64_t octets)
{
	struct message m = message_of(octets);
	return fitting_chance(&f, &x, host(at), &m, rcpts[0].address);
}

/* The names of those that are wanted, which are not wanted any more. */
static const char *
wanted(void)
{
	static char names[MANY + 1];
	struct exchangers some;
	assert_int_equal(fitting_wanted(&f, &x, &some), 0);
	assert_int_equal(f.seeks, some.n > 0);
	for (size_t i = 0; i < some.n; i++)
		names[i] = some.v[i].host[0];
	names[some.n] = '\0';
	exchangers_free(&some);
	fitting_forget_wanted(&f, &x);
	assert_false(f.seeks || f.due);
	return names;
}

/* All that were not asked may have it, of whatever preference; those that cannot are asked once. */
static void
test_one_after_the_other(void **state)
{
	(void)state;
	list("a10 b10 b10 c20");
	note('a', 100, false);
	assert_int_equal(chance('a', 500), FITTING_NOW);
	assert_string_equal(wanted(), "bbc");
	note('b', 200, false);
	assert_int_equal(chance('b', 500), FITTING_NOW);
	assert_string_equal(wanted(), "c");
	note('c', 300, false);
	assert_int_equal(chance('c', 500), FITTING_NEVER);
	assert_string_equal(wanted(), "");
	assert_int_equal(f.asked, 3);
	/* what is known of them is used for what comes later */
	assert_int_equal(chance('a', 150), FITTING_NOW);
	assert_string_equal(wanted(), "bbc");
	assert_int_equal(chance('a', 250), FITTING_NOW);
	assert_string_equal(wanted(), "c");
	assert_int_equal(chance('a', 500), FITTING_NEVER);
	/* and what one says later counts */
	note('b', 600, false);
	assert_int_equal(f.asked, 3);
	assert_int_equal(chance('a', 500), FITTING_NOW);
	assert_string_equal(wanted(), "bb");
	end();
}

/* One that cannot be asked, or may be met better, is worth waiting for. */
static void
test_later(void **state)
{
	(void)state;
	list("a10 b20 c20");
	note('a', 100, false);
	fitting_note_vain(&f, 1);
	assert_int_equal(chance('a', 500), FITTING_NOW);
	assert_string_equal(wanted(), "c");
	note('c', 100, false);
	assert_int_equal(chance('c', 500), FITTING_LATER);
	assert_string_equal(wanted(), "");
	note('b', 100, false); /* it could be, after all */
	assert_int_equal(chance('c', 500), FITTING_NEVER);
	note('b', 100, true);
	assert_int_equal(chance('c', 500), FITTING_DOUBTFUL);
	note('b', 100, false);
	assert_int_equal(chance('c', 500), FITTING_NEVER);
	fitting_note_vain(&f, 1); /* that it is out of reach now does not matter, as small as it is */
	assert_int_equal(chance('c', 500), FITTING_NEVER);
	assert_int_equal(chance('c', 50), FITTING_NOW);
	assert_string_equal(wanted(), "a");
	x.unknown = 30; /* the addresses of one cannot be had */
	assert_int_equal(chance('c', 500), FITTING_LATER);
	note('b', 100, true); /* which is worth more */
	assert_int_equal(chance('c', 500), FITTING_LATER);
	end();
}

static void
test_all_vain(void **state)
{
	(void)state;
	list("a10 b20 c30");
	note('a', 100, false);
	note('c', 1000, false);
	assert_int_equal(chance('a', 500), FITTING_NOW);
	fitting_note_all_vain(&f, &x);
	assert_string_equal(wanted(), "");
	assert_int_equal(chance('a', 500), FITTING_LATER);
	assert_int_equal(chance('a', 5000), FITTING_LATER); /* b was not asked */
	end();
}

/* A port of its own is a host of its own. */
static void
test_ports(void **state)
{
	(void)state;
	list("a10 a20");
	x.v[1].port = 26;
	note('a', 100, false);
	assert_int_equal(chance('a', 500), FITTING_NOW);
	end();
}

/* However long the list is, there is an end. */
static void
test_end(void **state)
{
	(void)state;
	list("a1");
	for (x.n = 0; x.n < MANY; x.n++) {
		x.v[x.n].host[0] = (char)('A' + x.n);
		x.v[x.n].port = 25;
	}
	for (int i = 0; i < FITTING_ASKED; i++) {
		note((char)('A' + i), 100, false);
		assert_int_equal(chance((char)('A' + i), 500),
			i + 1 < FITTING_ASKED ? FITTING_NOW : FITTING_NEVER);
		fitting_forget_wanted(&f, &x);
	}
	end();
}

/* Mail that a better host can have does not go by one that was chosen for other mail. */
static void
test_better(void **state)
{
	(void)state;
	list("a10 b20 c30");
	note('a', 100, false);
	struct message m = message_of(50), large = message_of(500);
	assert_true(fitting_has_better(&f, &x, host('b'), &m));
	assert_string_equal(wanted(), "a");
	assert_false(fitting_has_better(&f, &x, host('a'), &m));
	assert_false(fitting_has_better(&f, &x, host('b'), &large));
	note('b', 1000, false);
	assert_false(fitting_has_better(&f, &x, host('b'), &large));
	assert_true(fitting_has_better(&f, &x, host('c'), &large));
	assert_string_equal(wanted(), "b");
	/* for all who wait, and no others */
	rcpts[1].address = span_of("\xc3\xa9@d.example");
	assert_false(fitting_has_better(&f, &x, host('b'), &m));
	rcpts[1].settled = true;
	assert_true(fitting_has_better(&f, &x, host('b'), &m));
	fitting_note_vain(&f, 0);
	assert_false(fitting_has_better(&f, &x, host('b'), &m));
	fitting_end(&f);
	assert_false(fitting_has_better(&f, &x, host('b'), &m));
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_later),
		cmocka_unit_test(test_all_vain),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_better),
	};
	return cmocka_run_group_tests_name("fitting", tests, NULL, NULL);
}
