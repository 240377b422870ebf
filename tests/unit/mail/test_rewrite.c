/* rewrite: what becomes of a header, wherever it is split (K1), and what stays as it is. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/limits.h"
#include "mail/rewrite.h"

#define A "\xc3\xa4"
#define DATE "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"
#define ID "Message-ID: <1@mx.example>\r\n"
#define FROM "From: s@h.example\r\n"
#define FORCED "From: me@example.org\r\n"
#define KEPT "X-Original-"

enum { ADD_ALL = REWRITE_DATE | REWRITE_MESSAGE_ID | REWRITE_FROM };

static const struct rewrite_plan add = { .add = ADD_ALL, .id = "1", .hostname = "mx.example",
	.from = { "s@h.example", 11 } };
static const struct rewrite_plan anonymous = { .add = ADD_ALL, .id = "1", .hostname = "mx.example" };
static const struct rewrite_plan beyond = { .add = REWRITE_FROM,
	.from = { A "@" A ".example", 13 } };
static const struct rewrite_plan foreign = { .add = REWRITE_FROM,
	.from = { "a@" A ".example", 12 } };
static const struct rewrite_plan masked = { .masquerade = { "h.example=example.org", "root" } };
static const struct rewrite_plan forced = { .force = { "me@example.org", 14 } };
static const struct rewrite_plan all = { .add = ADD_ALL, .id = "1", .hostname = "mx.example",
	.from = { "s@h.example", 11 }, .force = { "me@example.org", 14 },
	.masquerade = { "h.example=example.org", NULL } };

static const struct {
	const struct rewrite_plan *plan;
	const char *in;
	const char *want; /* NULL: as it came */
	const char *log;  /* NULL: nothing */
} rows[] = {
	/* what is missing comes last, and only that */
	{ &add, "", DATE ID FROM, NULL },
	{ &add, "\r\n", DATE ID FROM "\r\n", NULL },
	{ &add, "Subject: x\r\n\r\nt\r\n", "Subject: x\r\n" DATE ID FROM "\r\nt\r\n", NULL },
	{ &add, "Subject: x\r\n", "Subject: x\r\n" DATE ID FROM, NULL },
	{ &add, "Subject: x", "Subject: x\r\n" DATE ID FROM, NULL },
	{ &add, "DATE: x\r\nsubject: x\r\n\r\n", "DATE: x\r\nsubject: x\r\n" ID FROM "\r\n", NULL },
	{ &add, "Date : x\r\nmessage-id\t: y\r\nFROM:z\r\n\r\nt", NULL, NULL },
	{ &add, DATE ID "From: a\r\n b\r\n\r\n", NULL, NULL },
	{ &add, "X-Date: x\r\nDat: y\r\nDates: z\r\n\r\n",
		"X-Date: x\r\nDat: y\r\nDates: z\r\n" DATE ID FROM "\r\n", NULL },
	{ &add, "X: y\r\n Date: z\r\n\r\nDate: t\r\n", "X: y\r\n Date: z\r\n" DATE ID FROM
		"\r\nDate: t\r\n", NULL },
	{ &anonymous, "X: y\r\n\r\n", "X: y\r\n" DATE ID "\r\n", NULL },
	/* L70: a field that says nothing is as none, and one that does takes its place */
	{ &add, "Date : \r\nX: y\r\nmessage-id\t:\r\nFROM:\r\n\r\nt", DATE "X: y\r\n" ID FROM
		"\r\nt", NULL },
	{ &add, "Message-ID:\t<>\r\n" DATE "From: \r\n\t< >\r\n\r\n", ID DATE FROM "\r\n", NULL },
	{ &add, DATE FROM "Message-ID: \t\r\n \r\nX: y\r\n", DATE FROM ID "X: y\r\n", NULL },
	{ &add, DATE FROM "Message-ID:", DATE FROM ID, NULL },
	{ &add, "Message-ID:\r\nX: y", ID "X: y\r\n" DATE FROM, NULL },
	{ &add, DATE FROM "Message-ID:\r\nMessage-ID: <>\r\n", DATE FROM ID, NULL },
	{ &add, DATE FROM ID "Message-ID:\r\n", NULL, NULL },
	{ &add, DATE FROM "Message-ID: <>x\r\n\r\n", NULL, NULL },
	{ &add, DATE FROM "Message-ID: <\r\n\r\n", NULL, NULL },
	{ &add, "Date: x\r\nFrom: \"\" <>\r\nMessage-ID: x\r\n\r\n", NULL, NULL },
	{ &anonymous, "From:\r\n" DATE "Message-ID:", "From:\r\n" DATE ID, NULL },
	{ &foreign, "Date:\r\nFrom:\r\n", "Date:\r\nFrom: a@xn--4ca.example\r\n", NULL },
	{ &masked, "From: <>\r\nDate:\r\n\r\n", NULL, NULL },
	/* behind a signature nothing is: it may be one for what is not there (RFC 6376 section 8.15) */
	{ &add, "DKIM-Signature: x\r\nX: y\r\n\r\nt", NULL, NULL },
	{ &add, "X: y\r\ndkim-signature: x", NULL, NULL },
	{ &add, "DKIM-Signature: x\r\nMessage-ID:\r\n\r\n", NULL, NULL },
	/* a domain beyond ASCII needs no SMTPUTF8 */
	{ &beyond, "X: y\r\n", "X: y\r\nFrom: " A "@" A ".example\r\n", NULL },
	{ &foreign, "X: y\r\n", "X: y\r\nFrom: a@xn--4ca.example\r\n", NULL },
	/* text without a header gets one; what parts them is an empty line */
	{ &add, "hello\r\n", DATE ID FROM "\r\nhello\r\n", NULL },
	{ &add, "hello", DATE ID FROM "\r\nhello", NULL },
	{ &add, "hello: you\r\nall of\r\n", "hello: you\r\n" DATE ID FROM "\r\nall of\r\n", NULL },
	{ &add, " x\r\n", DATE ID FROM "\r\n x\r\n", NULL },
	{ &add, A ": x\r\n", DATE ID FROM "\r\n" A ": x\r\n", NULL },
	{ &add, "X: y\r\n:z\r\n", "X: y\r\n" DATE ID FROM "\r\n:z\r\n", NULL },
	{ &add, DATE ID FROM "hello\r\n", NULL, NULL },
	{ &add, DATE ID "From joe\r\n", DATE ID FROM "\r\nFrom joe\r\n", NULL },
	/* no end of a line is taken for one */
	{ &add, DATE ID "\rX", DATE ID FROM "\r\n\rX", NULL },
	{ &add, DATE ID "\r", DATE ID FROM "\r\n\r", NULL },
	{ &add, DATE ID "\nX", DATE ID FROM "\r\n\nX", NULL },

	/* other domains */
	{ &masked, "From: a@h.example\r\n\r\na@h.example\r\n", "From: a@example.org\r\n\r\n"
		"a@h.example\r\n", "From: a@h.example became @example.org" },
	{ &masked, "from :\"a\" <a@H.example>\r\nReply-to: x@y.example, b@h.example\r\n",
		"from :\"a\" <a@example.org>\r\nReply-to: x@y.example, b@example.org\r\n",
		"From: a@H.example became @example.org; Reply-To: b@h.example became @example.org" },
	{ &masked, "Sender:\r\n\t(c) a@h.example (d)\r\nTo: a@h.example\r\n\r\n",
		"Sender:\r\n\t(c) a@example.org (d)\r\nTo: a@h.example\r\n\r\n",
		"Sender: a@h.example became @example.org" },
	{ &masked, "From: g: a@h.example, J" A " <b@h.example>;\r\n\r\n",
		"From: g: a@example.org, J" A " <b@example.org>;\r\n\r\n",
		"From: a@h.example became @example.org; From: b@h.example became @example.org" },
	{ &masked, "From: a@h.example", "From: a@example.org\r\n",
		"From: a@h.example became @example.org" },
	{ &masked, "From: root@h.example\r\n\r\n", NULL, NULL },
	{ &masked, "From: a@x.h.example\r\n\r\n", NULL, NULL },
	{ &masked, "From: a@y.example", NULL, NULL },
	{ &masked, "From: a @ h.example\r\n\r\n", NULL, NULL },
	{ &masked, "From: \"a@h.example\" <b@c.example>\r\n\r\n", NULL, NULL },
	{ &masked, "From: (a@h.example) b@c.example\r\n\r\n", NULL, NULL },
	{ &masked, "From: \"a <a@h.example>\r\n\r\n", NULL, NULL },
	{ &masked, "From: <a@h.example> b\r\n\r\n", NULL, NULL },
	{ &masked, "Resent-From: a@h.example\r\nX-From: a@h.example\r\n\r\n", NULL, NULL },
	{ &masked, "hello\r\nFrom: a@h.example\r\n", NULL, NULL },
	/* whoever signed is not contradicted */
	{ &masked, "DKIM-Signature: x\r\nFrom: a@h.example\r\n\r\n", NULL, NULL },
	{ &masked, "From: a@h.example\r\nDKIM-Signature: x\r\nSender: a@h.example\r\n\r\n",
		"From: a@example.org\r\nDKIM-Signature: x\r\nSender: a@h.example\r\n\r\n",
		"From: a@h.example became @example.org" },

	/* one address for all */
	{ &forced, "From: a@h.example\r\n\r\nt", FORCED KEPT "From: a@h.example\r\n\r\nt",
		"From: a@h.example became me@example.org" },
	{ &forced, "FROM: \"A B\" <a@h.example> (c)\r\n\r\n", "FROM: \"A B\" <me@example.org> (c)\r\n"
		KEPT "FROM: \"A B\" <a@h.example> (c)\r\n\r\n",
		"From: a@h.example became me@example.org" },
	{ &forced, "From: root (Cron Daemon)\r\n\r\n", "From: me@example.org (Cron Daemon)\r\n"
		KEPT "From: root (Cron Daemon)\r\n\r\n", "From: root became me@example.org" },
	{ &forced, "From: <>\r\n\r\n", "From: <me@example.org>\r\n" KEPT "From: <>\r\n\r\n",
		"From: it became me@example.org" },
	{ &forced, "From: a@h.example,\r\n\tb@h.example\r\n\r\n", FORCED
		KEPT "From: a@h.example,\r\n\tb@h.example\r\n\r\n", "From: it became me@example.org" },
	{ &forced, "From: me@example.org, b@h.example\r\n\r\n", FORCED
		KEPT "From: me@example.org, b@h.example\r\n\r\n", "From: it became me@example.org" },
	{ &forced, "From: \"broken <a@b>\r\n\r\n", FORCED KEPT "From: \"broken <a@b>\r\n\r\n",
		"From: it became me@example.org" },
	{ &forced, "From: g: a@b.example;\r\n\r\n", FORCED KEPT "From: g: a@b.example;\r\n\r\n",
		"From: it became me@example.org" },
	{ &forced, "From:\r\n\r\n", FORCED KEPT "From:\r\n\r\n", "From: it became me@example.org" },
	{ &forced, "From: x <Me@example.org>\r\n\r\n", NULL, NULL },
	{ &forced, "From: me@example.org\r\nFrom: a@b.example\r\nFrom: me@example.org\r\n\r\n",
		FORCED KEPT "From: a@b.example\r\n" KEPT FORCED "\r\n",
		"From: a@b.example was put away; From: me@example.org was put away" },
	{ &forced, "Sender: a@b.example\r\nFrom: me@example.org\r\n\r\n",
		KEPT "Sender: a@b.example\r\n" FORCED "\r\n", "Sender: a@b.example was put away" },
	{ &forced, "Sender: me@example.org\r\nFrom: me@example.org\r\nReply-To: a@b.example\r\n\r\n",
		NULL, NULL },
	{ &forced, "DKIM-Signature: x\r\nFrom: a@b.example\r\n\r\n", "DKIM-Signature: x\r\n" FORCED
		KEPT "From: a@b.example\r\n\r\n", "From: a@b.example became me@example.org" },
	{ &forced, "X: y\r\n\r\n", "X: y\r\n" FORCED "\r\n", NULL },
	{ &forced, "hello\r\n", FORCED "\r\nhello\r\n", NULL },
	{ &forced, "From: a@b.example", FORCED KEPT "From: a@b.example\r\n",
		"From: a@b.example became me@example.org" },
	{ &forced, "From: me@example.org", NULL, NULL },

	/* all of it */
	{ &all, "Reply-To: r@h.example\r\n\r\nt", "Reply-To: r@example.org\r\n" DATE ID FORCED "\r\nt",
		"Reply-To: r@h.example became @example.org" },
	{ &all, DATE ID FORCED "\r\nt", NULL, NULL },
	{ &all, "From: a@h.example", FORCED KEPT "From: a@h.example\r\n" DATE ID,
		"From: a@h.example became me@example.org" },
	{ &all, "From: me@example.org", FORCED DATE ID, NULL },
	{ &all, "From:\r\nDate:\r\n\r\n", FORCED KEPT "From:\r\n" DATE ID "\r\n",
		"From: it became me@example.org" },
	{ &all, "DKIM-Signature: x\r\n\r\n", "DKIM-Signature: x\r\n" FORCED "\r\n", NULL },
};

static struct buf out;

static void
collect(void *ctx, struct span piece)
{
	assert_ptr_equal(ctx, &out);
	assert_true(piece.n > 0);
	buf_add(&out, piece);
}

static void
feed(struct header *h, struct rewrite *r, struct span in)
{
	struct header_part part;
	while (header_next(h, &in, &part))
		rewrite_hear(r, &part);
	if (in.n > 0)
		collect(&out, in);
}

static void
end(struct header *h, struct rewrite *r)
{
	struct header_part last = header_end(h);
	rewrite_hear(r, &last);
}

static void
check(const struct rewrite *r, struct span got, struct span want, const char *log, const char *in,
	size_t split)
{
	struct span said = rewrite_changes(r);
	if (out.err != 0 || !span_eq(got, want))
		fail_msg("\"%s\" at %zu: \"%.*s\"", in, split, (int)got.n, got.p);
	if (!span_eq(said, span_of(log != NULL ? log : "")))
		fail_msg("\"%s\" at %zu: log \"%.*s\"", in, split, (int)said.n, said.p);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span in = guarded(span_of(rows[i].in));
		struct span want = span_of(rows[i].want != NULL ? rows[i].want : rows[i].in);
		assert_true(rewrite_needed(rows[i].plan));
		for (size_t split = 0; split <= in.n; split++) {
			struct header h = { 0 };
			struct rewrite r = { 0 };
			out = buf_new(64 * 1024);
			rewrite_begin(&r, rows[i].plan, collect, &out);
			feed(&h, &r, (struct span){ in.p, split });
			feed(&h, &r, span_skip(in, split));
			end(&h, &r);
			check(&r, buf_span(&out), want, rows[i].log, rows[i].in, split);
			rewrite_free(&r);
			buf_free(&out);
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
		struct span want = span_of(rows[i].want != NULL ? rows[i].want : rows[i].in);
		struct header h = { 0 };
		struct rewrite r = { 0 };
		out = buf_new(64 * 1024);
		rewrite_begin(&r, rows[i].plan, collect, &out);
		for (size_t at = 0; at < in.n; at++)
			feed(&h, &r, (struct span){ in.p + at, 1 });
		end(&h, &r);
		check(&r, buf_span(&out), want, rows[i].log, rows[i].in, 1);
		rewrite_free(&r);
		buf_free(&out);
	}
}

/* What becomes of a header; to be freed. */
static struct buf
rewritten(const struct rewrite_plan *plan, struct span in, unsigned *added)
{
	struct header h = { 0 };
	struct rewrite r = { 0 };
	out = buf_new(256 * 1024);
	rewrite_begin(&r, plan, collect, &out);
	feed(&h, &r, in);
	end(&h, &r);
	*added = r.added;
	rewrite_free(&r);
	return out;
}

/* What the log says was added, and what was not. */
static void
test_added(void **state)
{
	char names[REWRITE_NAMES];
	unsigned added;
	(void)state;
	struct buf b = rewritten(&add, span_of("Date: x\r\n\r\n"), &added);
	buf_free(&b);
	assert_int_equal(added, REWRITE_MESSAGE_ID | REWRITE_FROM);
	rewrite_names(added, names);
	assert_string_equal(names, "Message-ID, From");
	b = rewritten(&anonymous, span_of("From: x\r\n\r\n"), &added);
	buf_free(&b);
	rewrite_names(added, names);
	assert_string_equal(names, "Date, Message-ID");
	b = rewritten(&forced, span_of("\r\n"), &added);
	buf_free(&b);
	assert_int_equal(added, REWRITE_FROM);
	rewrite_names(~0U, names);
	assert_string_equal(names, "Date, Message-ID, From, Sender, Reply-To, DKIM-Signature");
	assert_false(rewrite_needed(&(struct rewrite_plan){ 0 }));
}

/* A field as long as may be held is rewritten; a longer one is passed, and forced all the same. */
static void
test_long_fields(void **state)
{
	static const char end[] = "<a@h.example>\r\n\r\nt";
	unsigned added;
	(void)state;
	for (size_t size = LIMIT_MIME_FIELD - 1; size <= LIMIT_MIME_FIELD + 1; size++) {
		char *in = malloc(size + 3);
		assert_non_null(in);
		memset(in, 'x', size);
		memcpy(in, "From:", 5);
		for (size_t at = 70; at + sizeof(end) < size; at += 70)
			memcpy(in + at, "\r\n ", 3);
		memcpy(in + size - (sizeof(end) - 4), end, sizeof(end) - 1);
		struct span s = guarded((struct span){ in, size + 3 });
		struct buf b = rewritten(&masked, s, &added);
		bool fits = size <= LIMIT_MIME_FIELD;
		assert_int_equal(b.n, fits ? s.n + 2 : s.n);
		assert_int_equal(span_eq(buf_span(&b), s), !fits);
		buf_free(&b);
		b = rewritten(&forced, s, &added);
		if (!fits) {
			assert_int_equal(b.n, s.n + sizeof(FORCED KEPT) - 1);
			assert_memory_equal(b.p, FORCED KEPT, sizeof(FORCED KEPT) - 1);
			assert_memory_equal(b.p + sizeof(FORCED KEPT) - 1, s.p, s.n);
		}
		assert_memory_equal(b.p, "From:", 5);
		assert_non_null(memmem(b.p, b.n, "me@example.org", 14));
		buf_free(&b);
		free(in);
	}
}

/* No line becomes longer than may be (D12), and what cannot be rewritten so stays. */
static void
test_long_lines(void **state)
{
	char in[LIMIT_TEXT_LINE + 3];
	unsigned added;
	(void)state;
	for (size_t n = LIMIT_TEXT_LINE - 4; n <= LIMIT_TEXT_LINE; n++) {
		memset(in, 'x', n);
		memcpy(in, "From: ", 6);
		memcpy(in + n - 13, "<a@h.example>", 13);
		in[n - 14] = ' ';
		memcpy(in + n, "\r\n", 2);
		struct span s = guarded((struct span){ in, n + 2 });
		struct buf b = rewritten(&masked, s, &added);
		assert_int_equal(b.n, n + 2 <= LIMIT_TEXT_LINE ? n + 4 : n + 2);
		buf_free(&b);
		b = rewritten(&forced, s, &added);
		for (struct span rest = buf_span(&b); rest.n > 0;)
			assert_true(span_line(&rest).n <= LIMIT_TEXT_LINE);
		assert_non_null(memmem(b.p, b.n, "\r\nX-Original-From:\r\n xxx", 24));
		buf_free(&b);
	}
}

/* A name that is too long is none. */
static void
test_long_names(void **state)
{
	char in[HEADER_NAME + 16];
	unsigned added;
	(void)state;
	for (size_t n = HEADER_NAME - 2; n <= HEADER_NAME + 1; n++) {
		memset(in, 'x', n);
		memcpy(in + n, ": y\r\n", 5);
		struct span s = guarded((struct span){ in, n + 5 });
		struct buf b = rewritten(&add, s, &added);
		bool name = n + 1 <= HEADER_NAME;
		assert_int_equal(b.n, s.n + sizeof(DATE ID FROM) - 1 + (name ? 0 : 2));
		assert_memory_equal(name ? b.p : b.p + b.n - s.n, s.p, s.n);
		buf_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_added),
		cmocka_unit_test(test_long_fields),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_long_names),
	};
	return cmocka_run_group_tests_name("rewrite", tests, NULL, NULL);
}
