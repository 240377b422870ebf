/* tlsa: records as a zone has them, of any length, with anything in them (R79, R80, B9). */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "dns/question.h"
#include "dns/tlsa.h"

enum { PACKET = 8192, TEXT = 200 };

static const dnsc_t name[] = "\3_25\4_tcp\2mx\7example";

/* A packet with these records, each of so many octets behind its three numbers; -1, -2: fewer. */
struct given {
	int usage, selector, matching, n;
};

static size_t
put_record(dnsc_t *p, const struct given *g)
{
	dnsc_t *begin = p;
	p = dns_put16(p, 0xc000 | DNS_HSIZE);
	p = dns_put16(p, TLSA_TYPE);
	p = dns_put16(p, DNS_C_IN);
	p = dns_put32(p, 300);
	int length = 3 + g->n;
	p = dns_put16(p, (unsigned)length);
	const dnsc_t head[] = { (dnsc_t)g->usage, (dnsc_t)g->selector, (dnsc_t)g->matching };
	for (int i = 0; i < length; i++)
		*p++ = i < 3 ? head[i] : (dnsc_t)i;
	return (size_t)(p - begin);
}

static void
answer_with(struct question *q, const struct given *g, size_t n)
{
	dnsc_t packet[PACKET] = { 0 }, *p = packet + DNS_HSIZE;
	packet[2] = DNS_HF1_QR;
	dns_put16(packet + 4, 1);
	dns_put16(packet + 6, (unsigned)n);
	memcpy(p, name, sizeof(name));
	p = dns_put16(p + sizeof(name), TLSA_TYPE);
	p = dns_put16(p, DNS_C_IN);
	for (size_t i = 0; i < n; i++)
		p += put_record(p, &g[i]);
	question_set(q, name, TLSA_TYPE);
	/* where the packet ends, nothing more may be read */
	struct span whole = guarded((struct span){ (char *)packet, (size_t)(p - packet) });
	answer_read(q, (dnscc_t *)whole.p, (int)whole.n);
}

/* Which of them a certificate can be compared with. */
static void
test_usable(void **state)
{
	(void)state;
	static const struct {
		struct given g;
		bool usable;
	} rows[] = {
		{ { 3, 1, 1, 32 }, true },
		{ { 3, 1, 2, 64 }, true },
		{ { 3, 0, 1, 32 }, true },
		{ { 3, 0, 0, 500 }, true },
		{ { 2, 0, 1, 32 }, true },
		{ { 2, 1, 2, 64 }, true },
		{ { 2, 1, 0, 1 }, true },
		/* what PKIX says is not for mail (RFC 7672 section 3.1.3) */
		{ { 0, 0, 1, 32 }, false },
		{ { 1, 1, 1, 32 }, false },
		{ { 4, 1, 1, 32 }, false },
		{ { 255, 1, 1, 32 }, false },
		{ { 3, 2, 1, 32 }, false },
		{ { 3, 255, 1, 32 }, false },
		{ { 3, 1, 3, 32 }, false },
		{ { 3, 1, 255, 32 }, false },
		/* B9: of a length that its matching type cannot have */
		{ { 3, 1, 1, 0 }, false },
		{ { 3, 1, 1, 16 }, false },
		{ { 3, 1, 1, 31 }, false },
		{ { 3, 1, 1, 33 }, false },
		{ { 3, 1, 1, 64 }, false },
		{ { 3, 1, 2, 32 }, false },
		{ { 3, 1, 2, 63 }, false },
		{ { 3, 1, 0, 0 }, false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct given *g = &rows[i].g;
		struct question q;
		const char *trouble;
		answer_with(&q, g, 1);
		struct tlsa *t = tlsa_read(&q, &trouble);
		assert_non_null(t);
		assert_int_equal(t->n, 1);
		assert_int_equal(t->v[0].usage, g->usage);
		assert_int_equal(t->v[0].selector, g->selector);
		assert_int_equal(t->v[0].matching, g->matching);
		assert_int_equal(t->v[0].n, g->n);
		for (int k = 0; k < g->n; k++)
			assert_int_equal(t->v[0].data[k], (uint8_t)(k + 3));
		if (tlsa_is_usable(&t->v[0]) != rows[i].usable)
			fail_msg("%d %d %d, %d octets", g->usage, g->selector, g->matching, g->n);
		assert_int_equal(tlsa_has_usable(t), rows[i].usable);
		tlsa_drop(t);
		free(q.packet);
	}
}

/* Several: one is enough. B9: one without its three numbers makes nobody the wiser. */
static void
test_several(void **state)
{
	(void)state;
	static const struct {
		struct given g[3];
		size_t n;
		const char *words; /* NULL: garbage */
		bool usable;
	} rows[] = {
		{ { { 3, 1, 1, 32 }, { 3, 1, 1, 32 } }, 2, "3 1 1 of mx.example", true },
		{ { { 3, 1, 1, 32 }, { 2, 0, 1, 32 } }, 2, "3 1 1 and 2 0 1 of mx.example", true },
		{ { { 1, 0, 1, 32 }, { 3, 1, 1, 7 }, { 2, 0, 2, 64 } }, 3,
			"1 0 1 and 3 1 1 and 2 0 2 of mx.example", true },
		{ { { 1, 0, 1, 32 }, { 3, 1, 1, 7 }, { 0, 0, 1, 32 } }, 3,
			"1 0 1 and 3 1 1 and 0 0 1 of mx.example", false },
		{ { { 3, 1, 1, -3 } }, 1, NULL, false },
		{ { { 3, 1, 1, -1 } }, 1, NULL, false },
		{ { { 3, 1, 1, 32 }, { 3, 1, 1, -1 } }, 2, NULL, false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct question q;
		const char *trouble;
		char text[TEXT];
		struct buf words = buf_new(TEXT);
		answer_with(&q, rows[i].g, rows[i].n);
		struct tlsa *t = tlsa_read(&q, &trouble);
		free(q.packet);
		assert_int_equal(t != NULL, rows[i].words != NULL);
		if (t == NULL) {
			assert_string_equal(trouble, "garbage in the answer");
			continue;
		}
		assert_int_equal(t->n, rows[i].n);
		assert_int_equal(tlsa_has_usable(t), rows[i].usable);
		snprintf(t->base, sizeof(t->base), "mx.example");
		tlsa_describe(t, &words);
		snprintf(text, sizeof(text), "%.*s", (int)words.n, words.p);
		assert_string_equal(text, rows[i].words);
		buf_free(&words);
		tlsa_drop(t);
	}
}

/* More than anybody has: so many are kept, and described in a few words. */
static void
test_many(void **state)
{
	(void)state;
	struct given g[100];
	struct question q;
	const char *trouble;
	struct buf words = buf_new(TEXT);
	for (size_t i = 0; i < ROWS(g); i++)
		g[i] = (struct given){ 3, 1, (int)i, 32 };
	answer_with(&q, g, ROWS(g));
	struct tlsa *t = tlsa_read(&q, &trouble);
	free(q.packet);
	assert_non_null(t);
	assert_int_equal(t->n, TLSA_RECORDS_MAX);
	assert_ptr_equal(tlsa_hold(t), t);
	tlsa_drop(t);
	tlsa_describe(t, &words); /* it is still held */
	assert_int_equal(words.err, 0);
	assert_true(words.n < 60);
	buf_free(&words);
	tlsa_drop(t);
	tlsa_drop(NULL);
	assert_null(tlsa_hold(NULL));
}

/* ... of those that can be used, wherever they stand: without one any certificate would do (R80). */
static void
test_many_of_no_use(void **state)
{
	(void)state;
	struct given g[100];
	struct question q;
	const char *trouble;
	for (size_t at = 0; at < ROWS(g); at += 33) {
		for (size_t i = 0; i < ROWS(g); i++)
			g[i] = (struct given){ i == at ? 3 : 1, 1, 1, 32 };
		answer_with(&q, g, ROWS(g));
		struct tlsa *t = tlsa_read(&q, &trouble);
		free(q.packet);
		assert_non_null(t);
		assert_int_equal(t->n, TLSA_RECORDS_MAX);
		assert_true(tlsa_has_usable(t));
		tlsa_drop(t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usable),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_many_of_no_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
