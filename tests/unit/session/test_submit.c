/* submit: what stands in the envelope of mail of our own, what the log says of it, and what is refused. */
#include "tests/unit/spooled.h"

#include "session/arguments.h"
#include "session/transaction.h"
#include "tests/unit/session/configured.h"

#define A "\xc3\xa4"

static struct conf conf;
static struct transaction t;

static enum reply
approve(void *ctx, struct span address)
{
	(void)ctx;
	(void)address;
	return R_FINE;
}

enum { RECIPIENTS = 3 };

static const struct row {
	const char *conf, *map;
	const char *mail;                /* argument of MAIL */
	const char *rcpt[RECIPIENTS];    /* ... of RCPT */
	enum reply replies[RECIPIENTS];
	const char *head;                /* of the draft, from "From:" on */
	const char *changes;             /* for the log */
} rows[] = {
	{ "", "", "<a@b.example>", { "<u@d.example>" }, { R_RCPT_OK },
		"From: a@b.example\nTo: d.example u@d.example\n", "" },
	{ "masquerade = b.example=example.org\n", "", "<a@B.example>", { "<u@b.example>" },
		{ R_RCPT_OK }, "From: a@example.org\nTo: b.example u@b.example\n",
		"sender <a@B.example> became <a@example.org>" },
	{ "force_from = me@example.org\n", "", "<>", { "<u@d.example>" }, { R_RCPT_OK },
		"From: \nTo: d.example u@d.example\n", "" },
	{ "force_from = me@example.org\n", "", "<me@example.org>", { "<u@d.example>" },
		{ R_RCPT_OK }, "From: me@example.org\nTo: d.example u@d.example\n", "" },
	/* who the mail of others goes to, and by which lane */
	{ "[route x]\ndomains = c.example\nsenders = example.org\nhosts = h.example\n",
		"root: u@c.example v@C.example\n", "<a@example.org>",
		{ "<root@mx.test.example> NOTIFY=NEVER", "<root@localhost> ORCPT=rfc822;x",
			"<u@c.example>" }, { R_RCPT_OK, R_RCPT_OK, R_RCPT_OK },
		"From: a@example.org\nTo: route:x u@c.example\nNotify: NEVER\n"
		"Orcpt: rfc822;root@mx.test.example\nTo: route:x v@C.example\nNotify: NEVER\n"
		"Orcpt: rfc822;root@mx.test.example\nTo: route:x u@c.example\n",
		"recipient <root@mx.test.example> became <u@c.example> <v@C.example>; "
		"recipient <root@localhost> became <u@c.example> <v@C.example>" },
	{ "", "@d.example: u@c.example\n", "<a@b.example> SMTPUTF8", { "<" A "@d.example>" },
		{ R_RCPT_OK }, "From: a@b.example\nSmtputf8: yes\nTo: c.example u@c.example\n",
		"recipient <\\xc3\\xa4@d.example> became <u@c.example>" },
	{ "", "@d.example: u@c.example\n", "<a@b.example>", { "<a+b=c@d.example>" }, { R_RCPT_OK },
		"From: a@b.example\nTo: c.example u@c.example\nOrcpt: rfc822;a+2Bb+3Dc@d.example\n",
		"recipient <a+b=c@d.example> became <u@c.example>" },
	/* where it may go */
	{ "guard = allow d.example b.example\n", "x: u@c.example\ny: u@d.example u@c.example\n",
		"<a@b.example>", { "<u@c.example>", "<x@localhost>", "<y@localhost>" },
		{ R_GUARDED, R_GUARDED, R_GUARDED }, "From: a@b.example\n", "" },
	{ "guard = allow d.example\n", "", "<a@b.example>", { "<u@d.example> NOTIFY=SUCCESS" },
		{ R_RCPT_OK }, "From: a@b.example\nTo: d.example u@d.example\nNotify: NEVER\n", "" },
	{ "guard = allow d.example\n", "", "<>", { "<u@d.example> NOTIFY=DELAY" }, { R_RCPT_OK },
		"From: \nTo: d.example u@d.example\nNotify: DELAY\n", "" },
	{ "guard = redirect me@e.example\n", "", "<me@e.example>",
		{ "<u@c.example>", "<me@e.example>", "<v@c.example>" },
		{ R_RCPT_OK, R_RCPT_OK, R_RCPT_OK }, "From: me@e.example\n"
		"To: e.example me@e.example\nOrcpt: rfc822;u@c.example\nTo: e.example me@e.example\n",
		"recipient <u@c.example> became <me@e.example>; "
		"recipient <v@c.example> became <me@e.example>" },
	{ "guard = sink /a\n", "", "<a@b.example>", { "<u@c.example>", "<v@[192.0.2.1]>" },
		{ R_RCPT_OK, R_RCPT_OK }, "From: a@b.example\nTo: route:guard u@c.example\n"
		"Notify: NEVER\nTo: route:guard v@[192.0.2.1]\nNotify: NEVER\n", "" },
};

/* Says all of a row; false where a reply is another one. */
static bool
say(const struct row *row, unsigned submitter)
{
	struct rights may = { .any_domain = true, .submitter = submitter };
	char arg[256];
	configure(&conf, row->conf);
	conf.submission.map = buf_new(1024);
	buf_puts(&conf.submission.map, row->map);
	transaction_drop(&t);
	snprintf(arg, sizeof(arg), "FROM:%s", row->mail);
	if (transaction_mail(&t, &sp, &conf, &may, guarded(span_of(arg)), approve, NULL) !=
		R_SENDER_OK)
		return false;
	for (int i = 0; i < RECIPIENTS && row->rcpt[i] != NULL; i++) {
		snprintf(arg, sizeof(arg), "TO:%s", row->rcpt[i]);
		enum reply r = transaction_rcpt(&t, &conf, &may, guarded(span_of(arg)), approve,
			NULL);
		if (submitter != 0 && r != row->replies[i])
			return false;
	}
	return true;
}

/* Without the line that all have, for these clients may send anywhere. */
static struct span
head(void)
{
	static const char ours[] = "Ours: yes\n";
	static char text[4096];
	struct span all = buf_span(&t.draft.head);
	const char *from = memmem(all.p, all.n, "From: ", 6);
	const char *line = memmem(all.p, all.n, ours, strlen(ours));
	assert_true(from != NULL && line != NULL);
	struct span before = span_from(from, line);
	struct span behind = span_from(line + strlen(ours), all.p + all.n);
	assert_true(before.n + behind.n < sizeof(text));
	memcpy(text, before.p, before.n);
	memcpy(text + before.n, behind.p, behind.n);
	return (struct span){ text, before.n + behind.n };
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf changes = buf_new(4096);
		if (!say(&rows[i], SUBMITTER_LOCAL))
			fail_msg("row %zu: another reply", i);
		if (!span_eq(head(), span_of(rows[i].head)))
			fail_msg("row %zu: %.*s", i, (int)head().n, head().p);
		submit_changes(&t.submit, &changes);
		if (!span_eq(buf_span(&changes), span_of(rows[i].changes)))
			fail_msg("row %zu: %.*s", i, (int)changes.n, changes.p);
		buf_free(&changes);
	}
}

static bool
is_guarded(const struct row *row)
{
	return strncmp(row->conf, "guard", 5) == 0;
}

/* Whoever is no submitter is not touched, although there are the same rights. */
static void
test_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		if (is_guarded(&rows[i]))
			continue;
		assert_true(say(&rows[i], 0));
		assert_int_equal(t.submit.changes.n, 0);
		assert_false(t.submit.rewrites);
		struct span given = { rows[i].mail + 1, strcspn(rows[i].mail + 1, ">") };
		assert_true(span_starts(span_skip(head(), strlen("From: ")), given));
	}
}

/* ... but where mail may go is the same for all; a map is none of theirs. */
static void
test_guard_of_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		if (!is_guarded(&rows[i]))
			continue;
		assert_true(say(&rows[i], 0));
		if (!span_eq(head(), span_of(rows[i].head)))
			fail_msg("row %zu: %.*s", i, (int)head().n, head().p);
	}
}

/* What is to be done to the header, of whom. */
static void
test_plan(void **state)
{
	static const struct row plain = { "", "", "<a@b.example>", { NULL }, { 0 }, "", "" };
	static const struct row none = { "add_missing = no\n", "", "<>", { NULL }, { 0 }, "", "" };
	(void)state;
	assert_true(say(&plain, SUBMITTER_AUTH));
	assert_true(t.submit.rewrites);
	assert_ptr_equal(t.submit.rewrite.plan.id, t.draft.id);
	assert_true(span_eq(t.submit.rewrite.plan.from, span_of("a@b.example")));
	assert_true(say(&plain, SUBMITTER_NETS));
	assert_false(t.submit.rewrites);
	assert_true(say(&none, SUBMITTER_LOCAL));
	assert_false(t.submit.rewrites);
}

/* The lanes of a recipient who is refused are given back, and so are those behind them. */
static void
test_too_many(void **state)
{
	static struct row row = { "max_recipients = 100\n", NULL, "<a@b.example>",
		{ "<one@localhost>", "<all@localhost>", "<one@localhost>" },
		{ R_RCPT_OK, R_TOO_MANY_RCPT, R_RCPT_OK }, NULL, NULL };
	char map[1000] = "one: u@d.example\nall:";
	int n = (int)strlen(map);
	(void)state;
	for (int i = 0; i < 100; i++)
		n += snprintf(map + n, sizeof(map) - (size_t)n, " u@d%d", i);
	row.map = map;
	assert_true(say(&row, SUBMITTER_LOCAL));
	assert_int_equal(t.draft.recipients, 1);
	assert_int_equal(t.draft.lanes, 1);
	assert_null(memmem(t.submit.changes.p, t.submit.changes.n, "all@", 4));
	transaction_drop(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rows),
		TEST(test_others),
		TEST(test_guard_of_others),
		TEST(test_plan),
		TEST(test_too_many),
	};
	return cmocka_run_group_tests_name("submit", tests, NULL, NULL);
}
