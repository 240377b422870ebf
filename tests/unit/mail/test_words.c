/* words: what becomes of header fields with 8-bit octets, and which cannot be (L59a, R68). */
#include "tests/unit/unit.h"

#include "lib/buf.h"
#include "lib/limits.h"
#include "mail/words.h"

#define U(text) "=?utf-8?Q?" text "?="
#define X(text) "=?unknown-8bit?Q?" text "?="
#define AE "\xc3\xa4"
#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10

/* want: NULL: it cannot be */
static const struct {
	const char *in, *want;
} rows[] = {
	/* text */
	{ "Subject: gr" AE "n\r\n", "Subject: " U("gr=C3=A4n") "\r\n" },
	{ "Subject:" AE "\r\n", "Subject: " U("=C3=A4") "\r\n" },
	{ "Subject : " AE "\r\n", "Subject : " U("=C3=A4") "\r\n" },
	{ "Subject: gr\xe4n?_=\r\n", "Subject: " X("gr=E4n=3F=5F=3D") "\r\n" },
	{ "X-Any: a " AE "  b\r\n", "X-Any: a " U("=C3=A4") "  b\r\n" },
	{ "Comments: " AE " " AE " c\r\n", "Comments: " U("=C3=A4") " " U("_=C3=A4") " c\r\n" },
	{ "Subject: a\r\n\t" AE "\r\n b\r\n", "Subject: a\r\n\t" U("=C3=A4") "\r\n b\r\n" },
	{ "Subject: =?a?Q?b?= " AE "\r\n", "Subject: =?a?Q?b?= " U("_=C3=A4") "\r\n" },
	{ "Subject: " AE " =?a?Q?b?=\r\n", "Subject: " U("=C3=A4") " " U("_") " =?a?Q?b?=\r\n" },
	{ "Subject: " X50 " " AE " b\r\n", "Subject: " X50 "\r\n " U("=C3=A4") " b\r\n" },
	{ "Subject: " AE " " X50 X10 "\r\n", "Subject: " U("=C3=A4") "\r\n " X50 X10 "\r\n" },
	{ "Subject: " AE X50 X10 "\r\n", "Subject: " U("=C3=A4" X10 X10 X10 X10 "xxxxxxxxx") "\r\n " U(X10 "x") "\r\n" },
	{ "Subject: xx" AE AE AE AE AE AE AE AE AE AE "\r\n", "Subject: "
		U("xx=C3=A4=C3=A4=C3=A4=C3=A4=C3=A4=C3=A4=C3=A4=C3=A4") "\r\n " U("=C3=A4=C3=A4") "\r\n" },

	/* names of who has an address */
	{ "From: J" AE "n <a@b.example>\r\n", "From: " U("J=C3=A4n") " <a@b.example>\r\n" },
	{ "From: J" AE "n<a@b.example>\r\n", "From: " U("J=C3=A4n") " <a@b.example>\r\n" },
	{ "To: \"J, \\\"" AE "\" M <a@b>, c@d (" AE ")\r\n",
		"To: " U("J=2C_=22=C3=A4") " M <a@b>, c@d (" U("=C3=A4") ")\r\n" },
	{ "Cc: " AE " " AE " <a@b>," AE "<c@d>\r\n",
		"Cc: " U("=C3=A4") " " U("_=C3=A4") " <a@b>,\r\n " U("=C3=A4") " <c@d>\r\n" },
	{ "To: a@b, " AE ", J <c@d>\r\n", "To: a@b, " U("=C3=A4") ", J <c@d>\r\n" },
	{ "To: " AE "@x <a@b>\r\n", "To: " U("=C3=A4=40x") " <a@b>\r\n" },
	{ "To: " AE ": a@b, c@d;\r\n", "To: " U("=C3=A4") ": a@b, c@d;\r\n" },
	{ "To: a@b (x (" AE ") \\)\\\xc3\xa4)\r\n",
		"To: a@b (x (" U("=C3=A4") ") " U("=29=C3=A4") ")\r\n" },
	{ "In-Reply-To: your " AE " of <a@b>\r\n", "In-Reply-To: your " U("=C3=A4") " of <a@b>\r\n" },
	{ "List-Id: " AE " <a.b>\r\n", "List-Id: " U("=C3=A4") " <a.b>\r\n" },

	/* parameters */
	{ "Content-Type: a/b; name=\"" AE ".txt\"; x=y\r\n",
		"Content-Type: a/b;\r\n name*=utf-8''%C3%A4.txt; x=y\r\n" },
	{ "Content-Disposition: attachment; filename=" AE " \\ b.txt\r\n",
		"Content-Disposition: attachment;\r\n filename*=utf-8''%C3%A4%20%5C%20b.txt\r\n" },
	{ "Content-Disposition: attachment;\r\n\tfilename=\"\xe4" X50 "\";\r\n\tsize=1\r\n",
		"Content-Disposition: attachment;\r\n\tfilename*0*=unknown-8bit''%E4" X10 X10 X10
		"xxxxxxx;\r\n filename*1*=" X10 "xxx;\r\n\tsize=1\r\n" },
	{ "Content-Description: " AE "\r\n", "Content-Description: " U("=C3=A4") "\r\n" },
	{ "Content-Type: a/b (" AE ")\r\n", "Content-Type: a/b (" U("=C3=A4") ")\r\n" },

	/* comments alone */
	{ "Received: from a (" AE " [192.0.2.1]) by b\r\n",
		"Received: from a (" U("=C3=A4") " [192.0.2.1]) by b\r\n" },
	{ "Date: 1 Jan 2026 00:00:00 +0000 (" AE ")\r\n",
		"Date: 1 Jan 2026 00:00:00 +0000 (" U("=C3=A4") ")\r\n" },

	/* what no text of a reader's is, or not whole */
	{ "From: " AE "@b.example\r\n", NULL },
	{ "From: a@" AE ".example\r\n", NULL },
	{ "From: J <" AE "@b.example>\r\n", NULL },
	{ "From: \"" AE "\"@b.example\r\n", NULL },
	{ "From: <a@b> " AE "\r\n", NULL },
	{ "From: \"" AE " <a@b>\r\n", NULL },
	{ "From: (" AE " <a@b>\r\n", NULL },
	{ "From: " AE " <a@b\r\n", NULL },
	{ "Message-ID: <" AE "@b>\r\n", NULL },
	{ "Received: from " AE "\r\n", NULL },
	{ "Date: " AE "\r\n", NULL },
	{ "ARC-Seal: " AE "\r\n", NULL },
	{ "List-Post: <mailto:" AE "@b>\r\n", NULL },
	{ "Content-Type: " AE "/b\r\n", NULL },
	{ "Content-Type: multipart/x; boundary=" AE "\r\n", NULL },
	{ "Content-Type: text/x; charset=" AE "\r\n", NULL },
	{ "Content-Type: a/b; name*=x''" AE "\r\n", NULL },
	{ "Content-Type: a/b; name=\"" AE "\r\n", NULL },
	{ "Content-Type: a/b; " AE "=x\r\n", NULL },
	{ "Content-Transfer-Encoding: " AE "\r\n", NULL },
	{ "From a" AE " Tue 00:00\r\n", NULL },
	{ "A" AE ": b\r\n", NULL },
	{ ": " AE "\r\n", NULL },
};

static void
collect(void *ctx, struct span piece)
{
	buf_add(ctx, piece);
}

static void
test_rows(void **state)
{
	struct buf out = buf_new(4096);
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		buf_reset(&out);
		bool done = words_put(guarded(span_of(rows[i].in)), collect, &out);
		if (done != (rows[i].want != NULL))
			fail_msg("%s: %d", rows[i].in, done);
		if (done && !span_eq(buf_span(&out), span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].in, (int)out.n, out.p);
	}
	buf_free(&out);
}

/* However long what stands in a row is, lines are not longer than mail may have. */
static void
test_long(void **state)
{
	static const char *const heads[] = { "Subject: ", "To: ", "To: \xe4,", "To: (\xe4)", "To: \xe4:",
		"Content-Type: a/b; name=\xe4;" };
	static const char *const runs[] = { "x", "\xe4", "x ", "\xe4 ", "x,", "\xe4,", "(x)", "(\xe4)", "\"x\"" };
	struct buf in = buf_new(LIMIT_MIME_FIELD), out = buf_new(64 * 1024);
	(void)state;
	for (size_t i = 0; i < ROWS(heads) * ROWS(runs); i++) {
		const char *run = runs[i % ROWS(runs)];
		buf_reset(&in);
		buf_reset(&out);
		buf_puts(&in, heads[i / ROWS(runs)]);
		for (size_t k = 0; k < 990 / strlen(run); k++)
			buf_puts(&in, run);
		buf_puts(&in, "\r\n");
		if (!words_put(guarded(buf_span(&in)), collect, &out))
			continue;
		struct span rest = buf_span(&out);
		assert_true(span_is_ascii(rest));
		while (rest.n > 0)
			assert_true(span_line(&rest).n <= LIMIT_TEXT_LINE + 1);
	}
	buf_free(&in);
	buf_free(&out);
}

/* A field that is too long cannot be. */
static void
test_too_long(void **state)
{
	struct buf in = buf_new(2 * LIMIT_MIME_FIELD), out = buf_new(8 * LIMIT_MIME_FIELD);
	(void)state;
	for (int more = 0; more < 2; more++) {
		buf_reset(&in);
		buf_puts(&in, "Subject: \xe4\r\n");
		while (in.n < LIMIT_MIME_FIELD - 4)
			buf_puts(&in, in.n % 64 == 0 ? "\r\n x" : "x");
		buf_puts(&in, more ? "yy\r\n" : "y\r\n");
		while (!more && in.n > LIMIT_MIME_FIELD)
			in.n--;
		assert_int_equal(words_put(guarded(buf_span(&in)), collect, &out), in.n <= LIMIT_MIME_FIELD);
	}
	buf_free(&in);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_too_long),
	};
	return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
