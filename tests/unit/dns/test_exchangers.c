/* exchangers: each address once by each name, as many as there may be, and the best of what is not known. */
#include "tests/unit/unit.h"

#include "dns/exchangers.h"

static struct netaddr
address_of(unsigned n)
{
	return (struct netaddr){ .ip = { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = (uint8_t)(n >> 16),
		[14] = (uint8_t)(n >> 8), [15] = (uint8_t)n } };
}

static void
add(struct exchangers *x, uint16_t preference, const char *host, unsigned n)
{
	struct netaddr a = address_of(n);
	assert_true(exchangers_make_room(x, 1));
	exchangers_add(x, preference, host, &a);
}

static void
test_once_each(void **state)
{
	(void)state;
	struct exchangers x;
	exchangers_begin(&x);
	add(&x, 10, "a.example", 1);
	add(&x, 10, "a.example", 2);
	add(&x, 20, "a.example", 1);
	add(&x, 20, "b.example", 1); /* the same machine by another name: it may show another certificate */
	assert_int_equal(x.n, 3);
	assert_string_equal(x.v[0].host, "a.example");
	assert_int_equal(x.v[0].preference, 10);
	assert_string_equal(x.v[2].host, "b.example");
	assert_int_equal(x.v[2].preference, 20);
	exchangers_free(&x);
	assert_int_equal(x.n, 0);
}

/* G5: what is beyond that is left out, and room for it is not asked for. */
static void
test_many(void **state)
{
	(void)state;
	struct exchangers x;
	exchangers_begin(&x);
	for (unsigned i = 0; i < EXCHANGER_ADDRESSES_MAX + 10; i++)
		add(&x, (uint16_t)i, "a.example", i);
	assert_int_equal(x.n, EXCHANGER_ADDRESSES_MAX);
	assert_int_equal(x.v[x.n - 1].preference, EXCHANGER_ADDRESSES_MAX - 1);
	assert_true(exchangers_make_room(&x, SIZE_MAX / sizeof(x.v[0]) / 2));
	exchangers_free(&x);
}

/* DNSSEC says that it is one of the domain's where that says who they are, and it is by MX. */
static void
test_vouched(void **state)
{
	(void)state;
	static const struct {
		bool secure, implicit, vouched;
	} rows[] = { { true, false, true }, { true, true, false }, { false, false, false } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct exchangers x;
		exchangers_begin(&x);
		x.secure = rows[i].secure;
		x.implicit = rows[i].implicit;
		add(&x, 0, "a.example", 1);
		assert_int_equal(x.v[0].vouched, rows[i].vouched);
		exchangers_free(&x);
	}
}

/* L3: the trouble of the best host is told. */
static void
test_unknown(void **state)
{
	(void)state;
	struct exchangers x;
	exchangers_begin(&x);
	assert_int_equal(x.unknown, EXCHANGER_BEYOND);
	assert_int_equal(x.own, EXCHANGER_BEYOND);
	exchangers_note_unknown(&x, EXCHANGER_WORST, "c.example", "addresses", "REFUSED");
	assert_int_equal(x.unknown, EXCHANGER_WORST);
	exchangers_note_unknown(&x, 20, "b.example", "addresses", "SERVFAIL");
	exchangers_note_unknown(&x, 20, "second.example", "addresses", "REFUSED");
	exchangers_note_unknown(&x, 30, "d.example", "TLSA", "REFUSED");
	assert_int_equal(x.unknown, 20);
	assert_string_equal(x.why, "b.example addresses: SERVFAIL");
	exchangers_explain(&x, "example", "MX", "NXDOMAIN");
	assert_string_equal(x.why, "example MX: NXDOMAIN");
	exchangers_free(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once_each),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_vouched),
		cmocka_unit_test(test_unknown),
	};
	return cmocka_run_group_tests_name("exchangers", tests, NULL, NULL);
}
