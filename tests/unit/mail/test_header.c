/*
 * header: the walk over its fields, wherever the input is split, and what is taken of a field's
 * value.
 */
#include "tests/unit/unit.h"

#include "lib/buf.h"
#include "mail/header.h"

#define X10 "xxxxxxxxxx"
#define X70 X10 X10 X10 X10 X10 X10 X10

/* Parts as they are told: F name, all up to the colon; V, T, E; neighbours of one kind are one. */
static const struct {
	const char *in;
	const char *want;
	bool over;
} rows[] = {
	{ "", "E{}", false },
	{ "A: b\r\n", "F<A>{A:}V{ b\r\n}E{}", false },
	{ "A: b\r\n\r\n", "F<A>{A:}V{ b\r\n}E{\r\n}", true },
	{ "A: b\r\nCc:d\r\n\r\ntext: x\r\n", "F<A>{A:}V{ b\r\n}F<Cc>{Cc:}V{d\r\n}E{\r\n}", true },
	{ "A \t: b\r\n\tc\r\n \r\n d\r\n\r\n",
		"F<A>{A \t:}V{ b\r\n\tc\r\n \r\n d\r\n}E{\r\n}", true },
	{ "A:\r\n\r\n", "F<A>{A:}V{\r\n}E{\r\n}", true },
	{ "A:b:c", "F<A>{A:}V{b:c}E{}", false },
	{ "A:", "F<A>{A:}E{}", false },
	{ "\r\nA: b\r\n", "E{\r\n}", true },
	/* a line that is no field, and those behind it */
	{ "A", "T{A}", false },
	{ "A ", "T{A }", false },
	{ "A b\r\nC: d\r\n\r\n", "T{A b\r\n}F<C>{C:}V{ d\r\n}E{\r\n}", true },
	{ "A\r\n\r\n", "T{A\r\n}E{\r\n}", true },
	{ " a\r\nC: d\r\n", "T{ a\r\n}F<C>{C:}V{ d\r\n}E{}", false },
	{ "A: b\r\nc\r\n d\r\nE:\r\n f\r\n",
		"F<A>{A:}V{ b\r\n}T{c\r\n d\r\n}F<E>{E:}V{\r\n f\r\n}E{}", false },
	{ ":a\r\n", "T{:a\r\n}E{}", false },
	{ "A\x80: b\r\n", "T{A\x80: b\r\n}E{}", false },
	{ "\xff: b\r\n", "T{\xff: b\r\n}E{}", false },
	{ "A\x7f: b\r\n", "T{A\x7f: b\r\n}E{}", false },
	{ "A\r:b\nC:\r\r\nD:\n\te\n", "T{A\r:b\n}F<C>{C:}V{\r\r\n}F<D>{D:}V{\n\te\n}E{}", false },
	/* no empty line, and no field behind it */
	{ "A: b\n\nC: d\n", "F<A>{A:}V{ b\n}T{\n}", true },
	{ "A: b\r\n\rC: d\n", "F<A>{A:}V{ b\r\n}T{\r}", true },
	{ "A: b\r\n\r\r\n", "F<A>{A:}V{ b\r\n}T{\r}", true },
	{ "\r", "T{\r}", false },
	/* a name that is too long is none, but what is behind it is a value */
	{ X70 "1234567: b\r\n", "F<" X70 "1234567>{" X70 "1234567:}V{ b\r\n}E{}", false },
	{ X70 "12345678: b\r\n", "F<>{" X70 "12345678}F<>{:}V{ b\r\n}E{}", false },
	{ X70 "12345    : b\r\n", "F<>{" X70 "12345   }F<>{ :}V{ b\r\n}E{}", false },
	{ X70 "12345  : b\r\n", "F<" X70 "12345>{" X70 "12345  :}V{ b\r\n}E{}", false },
	{ X70 "123456789", "F<>{" X70 "12345678}T{9}", false },
	{ X70 "12345678 9: b\r\nC: d\r\n",
		"F<>{" X70 "12345678}T{ 9: b\r\n}F<C>{C:}V{ d\r\n}E{}", false },
	{ X70 "12345678", "F<>{" X70 "12345678}E{}", false },
	{ X70 "12345678\r\n", "F<>{" X70 "12345678}T{\r\n}E{}", false },
	{ X70 X70 X70 ": b\r\nC: d\r\n",
		"F<>{" X70 "xxxxxxxx}F<>{" X70 "xxxxxxxx}F<>{" X10 X10 X10 X10 X10 "xxxx:}"
		"V{ b\r\n}F<C>{C:}V{ d\r\n}E{}", false },
};

/* What is heard is told behind what was; all octets of the header, in order. */
struct told {
	struct buf text, octets;
	enum header_kind last;
};

static void
tell(struct told *t, const struct header_part *part)
{
	static const char letters[] = "FVTE";
	bool more = t->text.n > 0 && part->kind == t->last && part->kind != HEADER_FIELD;
	buf_add(&t->octets, part->text);
	if (part->kind == HEADER_TEXT && part->text.n == 0)
		return; /* it says only that a long name was none */
	if (more)
		t->text.n--;
	else
		buf_printf(&t->text, "%c", letters[part->kind]);
	if (part->kind == HEADER_FIELD)
		buf_printf(&t->text, "<%.*s>", (int)part->name.n, part->name.p);
	buf_puts(&t->text, more ? "" : "{");
	buf_add(&t->text, part->text);
	buf_puts(&t->text, "}");
	t->last = part->kind;
}

/* What is left behind the header. */
static struct span
feed(struct header *h, struct told *t, struct span in)
{
	struct header_part part;
	while (header_next(h, &in, &part))
		tell(t, &part);
	return in;
}

static void
check(size_t i, struct header *h, struct told *t, struct span text, size_t split)
{
	struct header_part last = header_end(h);
	if (!rows[i].over)
		tell(t, &last);
	assert_int_equal(last.text.n > 0 && rows[i].over, 0);
	buf_add(&t->octets, text);
	if (!span_eq(buf_span(&t->text), span_of(rows[i].want)))
		fail_msg("\"%s\" at %zu: \"%.*s\"", rows[i].in, split, (int)t->text.n, t->text.p);
	if (!span_eq(buf_span(&t->octets), span_of(rows[i].in)))
		fail_msg("\"%s\" at %zu: octets are lost", rows[i].in, split);
	buf_free(&t->text);
	buf_free(&t->octets);
}

static void
test_parts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span in = guarded(span_of(rows[i].in));
		for (size_t split = 0; split <= in.n; split++) {
			struct header h = { 0 };
			struct told t = { buf_new(4096), buf_new(4096), HEADER_END };
			struct span first = feed(&h, &t, (struct span){ in.p, split });
			struct span second = feed(&h, &t, span_skip(in, split));
			assert_int_equal(h.over, rows[i].over);
			check(i, &h, &t, span_skip(in, in.n - first.n - second.n), split);
		}
	}
}

/* An octet at a time, which is how a pipe may be read. */
static void
test_octets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span in = guarded(span_of(rows[i].in));
		struct header h = { 0 };
		struct told t = { buf_new(4096), buf_new(4096), HEADER_END };
		size_t left = 0;
		for (size_t at = 0; at < in.n; at++)
			left += feed(&h, &t, (struct span){ in.p + at, 1 }).n;
		check(i, &h, &t, span_skip(in, in.n - left), 1);
	}
}

static const struct {
	const char *in, *want;
	unsigned fields;
} taken[] = {
	{ "A: b\r\nSub: x\r\n", "x", 1 },
	{ "sub: x\r\nSub: y\r\n", "x", 2 },
	{ "SUB :\t x y \r\n\tz\r\n\r\n", "x y \tz", 1 },
	{ "Sub:\r\n \r\n x\r\n\r\n", "x", 1 },
	{ "Sub:\r\nSub: y\r\n", "", 2 },
	{ "Sub: x\r\ny\r\nSub: z", "x", 2 },
	{ "Sub: x\r\nA: y\r\n z\r\nSub:\r\nSub: a", "x", 3 },
	{ "Sub: 12345678\r\n\r\n", "12345678", 1 },
	{ "Sub: 123456789\r\n\r\n", "12345678", 1 },
	{ "Sub: 1234567 \r\n 8\r\n\r\n", "1234567 ", 1 },
	{ "Subs: x\r\nSu: y\r\nX: Sub: z\r\n Sub: a\r\n\r\nSub: b\r\n", "", 0 },
	{ X70 X70 ": x\r\nSub: y\r\n\r\n", "y", 1 },
	{ X70 "xxxxxxxxSub: x\r\n\r\n", "", 0 },
	{ "Sub\r\n: x\r\n", "", 0 },
};

static void
test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(taken); i++) {
		struct span in = guarded(span_of(taken[i].in));
		for (size_t split = 0; split <= in.n; split++) {
			struct header h = { 0 };
			struct header_value v = { 0 };
			struct header_part part;
			struct span sub = span_of("Sub");
			char room[9] = "........";
			struct span pieces[] = { { in.p, split }, span_skip(in, split) };
			for (size_t k = 0; k < ROWS(pieces); k++)
				while (header_next(&h, &pieces[k], &part))
					header_take(&v, &part, sub, room, 8);
			struct span got = { room, v.n };
			if (!span_eq(got, span_of(taken[i].want)) || v.fields != taken[i].fields)
				fail_msg("%s at %zu: %.*s", taken[i].in, split, (int)got.n, got.p);
			assert_int_equal(room[8], '\0');
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_values),
	};
	return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}
