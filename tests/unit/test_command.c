/* command: arguments of MAIL, RCPT and VRFY, and the table of replies; input against a guard page. */
#include "unit.h"

#include "lib/command.h"

#define A10 "aaaaaaaaaa"
#define A64 A10 A10 A10 A10 A10 A10 "aaaa"
#define D63 A10 A10 A10 A10 A10 A10 "aaa"

static const struct mail_row {
	const char *in;
	enum reply want;
	const char *sender; /* of an accepted one, as are the rest */
	int64_t size;
	bool eightbit;
} mails[] = {
	{ "FROM:<a@b.example>", R_SENDER_OK, "a@b.example", -1, false },
	{ "from:<a@b.example>", R_SENDER_OK, "a@b.example", -1, false }, /* C3 */
	{ "FROM: <a@b.example>", R_SENDER_OK, "a@b.example", -1, false }, /* D9 */
	{ "FROM:\t<a@b.example>\t", R_SENDER_OK, "a@b.example", -1, false },
	{ "FROM:<>", R_SENDER_OK, "", -1, false }, /* D16 */
	{ "FROM:<-oQ/x@x.example>", R_SENDER_OK, "-oQ/x@x.example", -1, false }, /* D3 */
	{ "FROM:<@r.example:a@b>", R_SENDER_OK, "a@b", -1, false }, /* D7 */
	{ "FROM:<\" SIZE=1\"@b> SIZE=2", R_SENDER_OK, "\" SIZE=1\"@b", 2, false },
	{ "FROM:<\">\"@b>", R_SENDER_OK, "\">\"@b", -1, false },
	{ "FROM:<a@b> SIZE=0", R_SENDER_OK, "a@b", 0, false },
	{ "FROM:<a@b> size=1000  body=8bitmime ", R_SENDER_OK, "a@b", 1000, true },
	{ "FROM:<a@b> BODY=7BIT", R_SENDER_OK, "a@b", -1, false },
	{ "FROM:<a@b> SIZE=9223372036854775807", R_SENDER_OK, "a@b", INT64_MAX, false },
	{ "FROM:<a@b> SIZE=9223372036854775808", R_SENDER_OK, "a@b", INT64_MAX, false },
	{ "FROM:<a@b> SIZE=99999999999999999999", R_SENDER_OK, "a@b", INT64_MAX, false }, /* C11 */
	{ "FROM:<a@b> SIZE=00000000000000000001", R_SENDER_OK, "a@b", 1, false },
	{ "FROM:<a@b> SIZE=100000000000000000000", R_BAD_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> SIZE=-1", R_BAD_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> SIZE=+1", R_BAD_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> SIZE=1k", R_BAD_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> SIZE=", R_BAD_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> SIZE", R_BAD_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> SIZE=1 SIZE=1", R_BAD_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> BODY", R_BAD_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> BODY=", R_BAD_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> BODY=BINARYMIME", R_BAD_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> BODY=7BIT BODY=8BITMIME", R_BAD_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> BODY=8BITMIME BODY=8BITMIME", R_BAD_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> =", R_MAIL_SYNTAX, NULL, 0, false }, /* C10 */
	{ "FROM:<a@b> \"", R_MAIL_SYNTAX, NULL, 0, false },
	{ "FROM:<a@b> AUTH=\"", R_UNKNOWN_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> =1", R_MAIL_SYNTAX, NULL, 0, false },
	{ "FROM:<a@b> -A=1", R_MAIL_SYNTAX, NULL, 0, false },
	{ "FROM:<a@b> \xc3\xa9=1", R_MAIL_SYNTAX, NULL, 0, false },
	{ "FROM:<a@b> AUTH=a+0Ax", R_UNKNOWN_PARAMETER, NULL, 0, false },  /* D20 */
	{ "FROM:<a@b> RET=X", R_UNKNOWN_PARAMETER, NULL, 0, false },       /* D21 */
	{ "FROM:<a@b> ENVID=a+0D+0Ab", R_UNKNOWN_PARAMETER, NULL, 0, false }, /* D19 */
	{ "FROM:<a@b> SMTPUTF8", R_UNKNOWN_PARAMETER, NULL, 0, false },    /* D13 */
	{ "FROM:<a@b> X-9", R_UNKNOWN_PARAMETER, NULL, 0, false },
	{ "FROM:<a@b> SIZES=1", R_UNKNOWN_PARAMETER, NULL, 0, false },
	{ "", R_MAIL_SYNTAX, NULL, 0, false },
	{ "FROM", R_MAIL_SYNTAX, NULL, 0, false },
	{ "FROM:", R_MAIL_SYNTAX, NULL, 0, false },
	{ "FROM :<a@b>", R_MAIL_SYNTAX, NULL, 0, false },
	{ "TO:<a@b>", R_MAIL_SYNTAX, NULL, 0, false },
	{ "FROM:a@b", R_MAIL_SYNTAX, NULL, 0, false }, /* D9 */
	{ "FROM:<a@b>x", R_MAIL_SYNTAX, NULL, 0, false },
	{ "FROM:<a@b>SIZE=1", R_MAIL_SYNTAX, NULL, 0, false },
	{ "FROM:<a@b>> SIZE=1", R_MAIL_SYNTAX, NULL, 0, false },
	{ "FROM:<postmaster>", R_MAIL_SYNTAX, NULL, 0, false }, /* D15: a recipient only */
	{ "FROM:<;for i in 0 1 2;do read r;done;sh;>", R_MAIL_SYNTAX, NULL, 0, false }, /* D1 */
	{ "FROM:<a\x1b[2J%n%s@x>", R_MAIL_SYNTAX, NULL, 0, false }, /* E5 */
};

static const struct rcpt_row {
	const char *in;
	enum reply want;
	const char *whole, *domain;
} rcpts[] = {
	{ "TO:<a@b.example>", R_RCPT_OK, "a@b.example", "b.example" },
	{ "to:\t <a@b.example> ", R_RCPT_OK, "a@b.example", "b.example" },
	{ "TO:<Postmaster>", R_RCPT_OK, "Postmaster", "" }, /* D15 */
	{ "TO:<starttls@x>", R_RCPT_OK, "starttls@x", "x" }, /* C16 */
	{ "TO:<-f@x>", R_RCPT_OK, "-f@x", "x" },             /* D3 */
	{ "TO:<\"xclow3n@gmail.example x\"@internal.example>", R_RCPT_OK,
		"\"xclow3n@gmail.example x\"@internal.example", "internal.example" }, /* D5 */
	{ "TO:<" A64 "@" D63 "." D63 "." D63 ">", R_RCPT_SYNTAX, NULL, NULL }, /* D10: path 258 */
	{ "TO:<" A64 "@" D63 "." D63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>",
		R_RCPT_OK, A64 "@" D63 "." D63
		".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		D63 "." D63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }, /* 256 */
	{ "TO:<>", R_RCPT_SYNTAX, NULL, NULL }, /* D16 */
	{ "TO:", R_RCPT_SYNTAX, NULL, NULL },
	{ "", R_RCPT_SYNTAX, NULL, NULL },
	{ "FROM:<a@b>", R_RCPT_SYNTAX, NULL, NULL },
	{ "TO:a@b", R_RCPT_SYNTAX, NULL, NULL },
	{ "TO:<a@b", R_RCPT_SYNTAX, NULL, NULL },
	{ "TO:<a@b> <c@d>", R_RCPT_SYNTAX, NULL, NULL },
	{ "TO:<a@b>,<c@d>", R_RCPT_SYNTAX, NULL, NULL },
	{ "TO:<a@b> =", R_RCPT_SYNTAX, NULL, NULL },
	{ "TO:<a@b> NOTIFY=NEVER,SUCCESS", R_UNKNOWN_PARAMETER, NULL, NULL }, /* D21 */
	{ "TO:<a@b> ORCPT=rfc822;a+0D+0Ab", R_UNKNOWN_PARAMETER, NULL, NULL }, /* D19 */
	{ "TO:<a@b> ORCPT=rfc822;a+2Bb", R_UNKNOWN_PARAMETER, NULL, NULL },    /* D22 */
	{ "TO:<${run{\\x2fbin\\x2fid}}@localhost>", R_RCPT_SYNTAX, NULL, NULL }, /* D2 */
};

static const struct {
	const char *in;
	bool want;
} vrfys[] = {
	{ "user", true },
	{ "a@b", true },
	{ "<a@b>", true },
	{ "<postmaster>", true },
	{ "Full Name", true },
	{ "", false },
	{ "<a@b> x", false },
	{ "<a", false },
	{ "a\tb", false },
	{ "\xc3\xa9@x", false }, /* C6 */
	{ "a\x1b", false },
	{ "a\x7f", false },
};

static void
test_mail(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(mails); i++) {
		const struct mail_row *row = &mails[i];
		struct mail_args a = { .size = 77 };
		enum reply r = command_mail(guarded(span_of(row->in)), &a);
		if (r != row->want)
			fail_msg("%s: %s", row->in, reply_row(r)->text);
		if (r != R_SENDER_OK) {
			assert_int_equal(a.size, 77); /* untouched */
			continue;
		}
		assert_true(span_eq(a.sender.whole, span_of(row->sender)));
		assert_int_equal(a.size, row->size);
		assert_int_equal(a.eightbit, row->eightbit);
	}
}

static void
test_rcpt(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rcpts); i++) {
		const struct rcpt_row *row = &rcpts[i];
		struct address a = { .whole.n = 77 };
		enum reply r = command_rcpt(guarded(span_of(row->in)), &a);
		if (r != row->want)
			fail_msg("%s: %s", row->in, reply_row(r)->text);
		if (r != R_RCPT_OK) {
			assert_int_equal(a.whole.n, 77);
			continue;
		}
		assert_true(span_eq(a.whole, span_of(row->whole)));
		assert_true(span_eq(a.domain, span_of(row->domain)));
	}
}

/* Whatever an accepted command is cut to, or whichever byte becomes NUL, reading stays inside. */
static void
test_hurt(void **state)
{
	(void)state;
	struct mail_args m;
	struct address a;
	for (size_t i = 0; i < ROWS(mails); i++) {
		char text[512];
		size_t n = strlen(mails[i].in);
		memcpy(text, mails[i].in, n);
		for (size_t cut = 0; cut < n; cut++) {
			struct span part = guarded((struct span){ text, cut });
			(void)command_mail(part, &m);
			(void)command_rcpt(part, &a);
			(void)command_vrfy(part);
			char was = text[cut];
			text[cut] = '\0';
			assert_int_not_equal(command_mail(guarded((struct span){ text, n }), &m),
				R_SENDER_OK); /* a NUL is nowhere in the grammar (C2) */
			text[cut] = was;
		}
	}
}

static void
test_vrfy(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(vrfys); i++)
		if (command_vrfy(guarded(span_of(vrfys[i].in))) != vrfys[i].want)
			fail_msg("%s", vrfys[i].in);
	char text[LIMIT_PATH + 1];
	memset(text, 'a', sizeof(text));
	assert_true(command_vrfy(guarded((struct span){ text, LIMIT_PATH })));
	assert_false(command_vrfy(guarded((struct span){ text, LIMIT_PATH + 1 })));
}

/* RFC 5321 section 4.2, RFC 2034: the code and the enhanced code say the same, and a reply that
 * counts as an error has the code of one. */
static void
test_replies(void **state)
{
	(void)state;
	static const enum reply all[] = {
#define ID(id, code, text, kind) R_##id,
		REPLY_TABLE(ID)
#undef ID
	};
	for (size_t i = 0; i < ROWS(all); i++) {
		const struct reply_row *row = reply_row(all[i]);
		const char *code = row->code, *text = row->text;
		assert_int_equal(strlen(code), 3);
		assert_true(code[0] >= '2' && code[0] <= '5');
		assert_true(text[0] != '\0');
		if (text[0] >= '0' && text[0] <= '9' && text[1] == '.')
			assert_int_equal(code[0], text[0]);
		if (row->kind == REPLY_ERROR)
			assert_true(code[0] >= '4');
		if (row->kind == REPLY_OK)
			assert_true(code[0] < '4');
		for (const char *c = text; *c != '\0'; c++) {
			assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
			if (*c == '%')
				assert_non_null(strchr("hzi", c[1]));
		}
		assert_true(strlen(text) < 450); /* with a host name: 512 octets, section 4.5.3.1.5 */
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_rcpt),
		cmocka_unit_test(test_hurt),
		cmocka_unit_test(test_vrfy),
		cmocka_unit_test(test_replies),
	};
	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
