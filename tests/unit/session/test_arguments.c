/* arguments: those of MAIL, RCPT and VRFY, and the table of replies; input against a guard page. */
#include "tests/unit/unit.h"

#include "session/arguments.h"

#define A10 "aaaaaaaaaa"
#define A64 A10 A10 A10 A10 A10 A10 "aaaa"
#define D63 A10 A10 A10 A10 A10 A10 "aaa"

static const struct mail_row {
	const char *in;
	enum reply want;
	const char *sender; /* of an accepted one, as are the rest */
	int64_t size;
	const char *env;    /* as it stands in the queue */
} mails[] = {
	{ "FROM:<a@b.example>", R_SENDER_OK, "a@b.example", -1, "" },
	{ "from:<a@b.example>", R_SENDER_OK, "a@b.example", -1, "" }, /* C3 */
	{ "FROM: <a@b.example>", R_SENDER_OK, "a@b.example", -1, "" }, /* D9 */
	{ "FROM:\t<a@b.example>\t", R_SENDER_OK, "a@b.example", -1, "" },
	{ "FROM:<>", R_SENDER_OK, "", -1, "" }, /* D16 */
	{ "FROM:<-oQ/x@x.example>", R_SENDER_OK, "-oQ/x@x.example", -1, "" }, /* D3 */
	{ "FROM:<@r.example:a@b>", R_SENDER_OK, "a@b", -1, "" }, /* D7 */
	{ "FROM:<\" SIZE=1\"@b> SIZE=2", R_SENDER_OK, "\" SIZE=1\"@b", 2, "" },
	{ "FROM:<\">\"@b>", R_SENDER_OK, "\">\"@b", -1, "" },
	{ "FROM:<a@b> SIZE=0", R_SENDER_OK, "a@b", 0, "" },
	{ "FROM:<a@b> size=1000  body=8bitmime ", R_SENDER_OK, "a@b", 1000, "Body: 8BITMIME\n" },
	{ "FROM:<a@b> BODY=7BIT", R_SENDER_OK, "a@b", -1, "Body: 7BIT\n" },
	{ "FROM:<a@b> SIZE=9223372036854775807", R_SENDER_OK, "a@b", INT64_MAX, "" },
	{ "FROM:<a@b> SIZE=9223372036854775808", R_SENDER_OK, "a@b", INT64_MAX, "" },
	{ "FROM:<a@b> SIZE=99999999999999999999", R_SENDER_OK, "a@b", INT64_MAX, "" }, /* C11 */
	{ "FROM:<a@b> SIZE=00000000000000000001", R_SENDER_OK, "a@b", 1, "" },
	{ "FROM:<a@b> SIZE=100000000000000000000", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> SIZE=-1", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> SIZE=+1", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> SIZE=1k", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> SIZE=", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> SIZE", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> SIZE=1 SIZE=1", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BODY", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BODY=", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BODY=BINARYMIME", R_SENDER_OK, "a@b", -1, "Body: BINARYMIME\n" },
	{ "FROM:<a@b> BODY=7BIT BODY=8BITMIME", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BODY=8BITMIME BODY=8BITMIME", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> =", R_MAIL_SYNTAX, NULL, 0, "" }, /* C10 */
	{ "FROM:<a@b> \"", R_MAIL_SYNTAX, NULL, 0, "" },
	{ "FROM:<a@b> AUTH=\"", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> =1", R_MAIL_SYNTAX, NULL, 0, "" },
	{ "FROM:<a@b> -A=1", R_MAIL_SYNTAX, NULL, 0, "" },
	{ "FROM:<a@b> \xc3\xa9=1", R_MAIL_SYNTAX, NULL, 0, "" },
	{ "FROM:<a@b> AUTH=a+0Ax", R_BAD_PARAMETER, NULL, 0, "" },  /* D20 */
	{ "FROM:<a@b> RET=X", R_BAD_PARAMETER, NULL, 0, "" },       /* D21 */
	{ "FROM:<a@b> ENVID=a+0D+0Ab", R_BAD_PARAMETER, NULL, 0, "" }, /* D19 */
	{ "FROM:<a@b> SMTPUTF8", R_SENDER_OK, "a@b", -1, "Smtputf8: yes\n" },    /* D13 */
	{ "FROM:<a@b> X-9", R_UNKNOWN_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> SIZES=1", R_UNKNOWN_PARAMETER, NULL, 0, "" },
	{ "", R_MAIL_SYNTAX, NULL, 0, "" },
	{ "FROM", R_MAIL_SYNTAX, NULL, 0, "" },
	{ "FROM:", R_MAIL_SYNTAX, NULL, 0, "" },
	{ "FROM :<a@b>", R_MAIL_SYNTAX, NULL, 0, "" },
	{ "TO:<a@b>", R_MAIL_SYNTAX, NULL, 0, "" },
	{ "FROM:a@b", R_MAIL_SYNTAX, NULL, 0, "" }, /* D9 */
	{ "FROM:<a@b>x", R_MAIL_SYNTAX, NULL, 0, "" },
	{ "FROM:<a@b>SIZE=1", R_MAIL_SYNTAX, NULL, 0, "" },
	{ "FROM:<a@b>> SIZE=1", R_MAIL_SYNTAX, NULL, 0, "" },
	{ "FROM:<postmaster>", R_MAIL_SYNTAX, NULL, 0, "" }, /* D15: a recipient only */
	{ "FROM:<;for i in 0 1 2;do read r;done;sh;>", R_MAIL_SYNTAX, NULL, 0, "" }, /* D1 */
	{ "FROM:<a\x1b[2J%n%s@x>", R_MAIL_SYNTAX, NULL, 0, "" }, /* E5 */
	{ "FROM:<a@b> RET=full ENVID=QQ+2B1", R_SENDER_OK, "a@b", -1, "Ret: FULL\nEnvid: QQ+2B1\n" },
	{ "FROM:<a@b> RET=HDRS", R_SENDER_OK, "a@b", -1, "Ret: HDRS\n" },
	{ "FROM:<a@b> RET=FULL RET=FULL", R_BAD_PARAMETER, NULL, 0, "" }, /* D21, R72 */
	{ "FROM:<a@b> ENVID=", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> ENVID=+4", R_BAD_PARAMETER, NULL, 0, "" }, /* D19 */
	{ "FROM:<a@b> ENVID=+ZZ", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> ENVID=+00", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> ENVID=+2b", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> ENVID=\xc3\xa9", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> ENVID=" A10 A10 A10 A10 A10 A10 A10 A10 A10 A10, R_SENDER_OK, "a@b", -1,
		"Envid: " A10 A10 A10 A10 A10 A10 A10 A10 A10 A10 "\n" },
	{ "FROM:<a@b> ENVID=x" A10 A10 A10 A10 A10 A10 A10 A10 A10 A10, R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> AUTH=<>", R_SENDER_OK, "a@b", -1, "Auth: <>\n" },
	{ "FROM:<a@b> AUTH=x+40y", R_SENDER_OK, "a@b", -1, "Auth: x+40y\n" },
	{ "FROM:<a@b> AUTH=", R_BAD_PARAMETER, NULL, 0, "" }, /* C10 */
	/* R70: what it stands for is an address, or <> (RFC 4954 section 5) */
	{ "FROM:<a@b> AUTH=e+3Dmc2@example.com", R_SENDER_OK, "a@b", -1,
		"Auth: e+3Dmc2@example.com\n" },
	{ "FROM:<a@b> AUTH=\"x+20y\"@[192.0.2.1]", R_SENDER_OK, "a@b", -1,
		"Auth: \"x+20y\"@[192.0.2.1]\n" },
	{ "FROM:<a@b> AUTH=+3C+3E", R_SENDER_OK, "a@b", -1, "Auth: +3C+3E\n" },
	{ "FROM:<a@b> AUTH", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> AUTH=a", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> AUTH=<a@b>", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> AUTH=<>x", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> AUTH=a@b+20x", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> AUTH=a@b+", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BY=120;R", R_SENDER_OK, "a@b", -1, "By: 1120 R\n" },
	{ "FROM:<a@b> by=-5;nt", R_SENDER_OK, "a@b", -1, "By: 995 NT\n" },
	{ "FROM:<a@b> BY=+22;NT", R_SENDER_OK, "a@b", -1, "By: 1022 NT\n" }, /* L57 */
	{ "FROM:<a@b> BY=+22;R", R_SENDER_OK, "a@b", -1, "By: 1022 R\n" },
	{ "FROM:<a@b> BY=+;R", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BY=+-2;N", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BY=;R", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BY=+0;R", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BY=0;R", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BY=-1;R", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BY=1", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BY=1;", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BY=1;X", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BY=1;RX", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> BY=1234567890;R", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDFOR=60", R_SENDER_OK, "a@b", -1, "Hold: 1060\n" }, /* R88 */
	{ "FROM:<a@b> HOLDFOR=86400", R_SENDER_OK, "a@b", -1, "Hold: 87400\n" },
	{ "FROM:<a@b> HOLDFOR=86401", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDFOR=-1", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDFOR=1 HOLDUNTIL=1970-01-01T01:00:00Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T01:00:00Z", R_SENDER_OK, "a@b", -1, "Hold: 3600\n" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01t00:30:00.25z", R_SENDER_OK, "a@b", -1, "Hold: 1800\n" },
	/* L59: a leap second ends a month (RFC 3339 section 5.7) */
	{ "FROM:<a@b> HOLDUNTIL=1969-12-31T23:59:60Z", R_SENDER_OK, "a@b", -1, "" },
	{ "FROM:<a@b> HOLDUNTIL=1968-02-29T23:59:60.5Z", R_SENDER_OK, "a@b", -1, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T23:59:59Z", R_SENDER_OK, "a@b", -1, "Hold: 86399\n" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T23:59:60Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1968-02-28T23:59:60Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1969-12-31T22:59:60Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1969-12-31T23:58:60Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1969-12-31T23:59:61Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1968-02-29T00:00:00Z", R_SENDER_OK, "a@b", -1, "" },
	/* L59: days that are, in UTC */
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T01:00:00+00:30", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T01:00:00+00:00", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T01:00:00.Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T01:00:00ZZ", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-00T01:00:00Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-00-01T01:00:00Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1969-11-31T01:00:00Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1969-02-29T01:00:00Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T24:00:00Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T01:60:00Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T01:00:61Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T00:00:00Z", R_SENDER_OK, "a@b", -1, "" }, /* over */
	{ "FROM:<a@b> HOLDUNTIL=0000-01-01T00:00:00Z", R_SENDER_OK, "a@b", -1, "" },
	{ "FROM:<a@b> HOLDFOR=1", R_SENDER_OK, "a@b", -1, "Hold: 1001\n" },
	{ "FROM:<a@b> HOLDFOR=0", R_BAD_PARAMETER, NULL, 0, "" }, /* L59: the first digit is 1 to 9 */
	{ "FROM:<a@b> HOLDFOR=007", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDFOR=+7", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDFOR=", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDFOR", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-03T00:00:00Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-13-01T01:00:00Z", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T01:00:00", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> HOLDUNTIL=1970-01-01T01:00", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> MT-PRIORITY=-9", R_SENDER_OK, "a@b", -1, "Priority: -9\n" },
	{ "FROM:<a@b> MT-PRIORITY=0", R_SENDER_OK, "a@b", -1, "" },
	{ "FROM:<a@b> MT-PRIORITY=-0", R_BAD_PARAMETER, NULL, 0, "" }, /* RFC 6710 section 7 */
	{ "FROM:<a@b> MT-PRIORITY=+3", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> MT-PRIORITY=10", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> MT-PRIORITY=", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> REQUIRETLS", R_SENDER_OK, "a@b", -1, "Require-Tls: yes\n" },
	{ "FROM:<a@b> REQUIRETLS=1", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<a@b> SMTPUTF8=1", R_BAD_PARAMETER, NULL, 0, "" },
	{ "FROM:<\xc3\xa9@b>", R_NEED_UTF8, NULL, 0, "" }, /* D13, R69 */
	{ "FROM:<\xc3\xa9@b> SMTPUTF8", R_SENDER_OK, "\xc3\xa9@b", -1, "Smtputf8: yes\n" },
	{ "FROM:<a@b\xc3\xa9.x> SMTPUTF8", R_SENDER_OK, "a@b\xc3\xa9.x", -1, "Smtputf8: yes\n" },
	{ "FROM:<\xc0\xaf@b> SMTPUTF8", R_MAIL_SYNTAX, NULL, 0, "" }, /* overlong */
	{ "FROM:<\xed\xa0\x80@b> SMTPUTF8", R_MAIL_SYNTAX, NULL, 0, "" }, /* a surrogate */
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
		/* 256 */
		D63 "." D63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
	{ "TO:<>", R_RCPT_SYNTAX, NULL, NULL }, /* D16 */
	{ "TO:", R_RCPT_SYNTAX, NULL, NULL },
	{ "", R_RCPT_SYNTAX, NULL, NULL },
	{ "FROM:<a@b>", R_RCPT_SYNTAX, NULL, NULL },
	{ "TO:a@b", R_RCPT_SYNTAX, NULL, NULL },
	{ "TO:<a@b", R_RCPT_SYNTAX, NULL, NULL },
	{ "TO:<a@b> <c@d>", R_RCPT_SYNTAX, NULL, NULL },
	{ "TO:<a@b>,<c@d>", R_RCPT_SYNTAX, NULL, NULL },
	{ "TO:<a@b> =", R_RCPT_SYNTAX, NULL, NULL },
	{ "TO:<a@b> NOTIFY=NEVER,SUCCESS", R_BAD_PARAMETER, NULL, NULL }, /* D21 */
	{ "TO:<a@b> ORCPT=rfc822;a+0D+0Ab", R_BAD_PARAMETER, NULL, NULL }, /* D19 */
	{ "TO:<a@b> ORCPT=rfc822;a+2Bb", R_RCPT_OK, "a@b", "b" }, /* D22 */
	{ "TO:<a@b> NOTIFY=SUCCESS,FAILURE,DELAY", R_RCPT_OK, "a@b", "b" },
	{ "TO:<a@b> NOTIFY=SUCCESS,SUCCESS", R_BAD_PARAMETER, NULL, NULL },
	{ "TO:<a@b> NOTIFY=SUCCESS NOTIFY=DELAY", R_BAD_PARAMETER, NULL, NULL }, /* D21 */
	{ "TO:<a@b> ORCPT=rfc822;a ORCPT=rfc822;b", R_BAD_PARAMETER, NULL, NULL },
	{ "TO:<a@b> NOTIFY=", R_BAD_PARAMETER, NULL, NULL },
	{ "TO:<a@b> NOTIFY=SUCCESS,", R_BAD_PARAMETER, NULL, NULL },
	{ "TO:<a@b> ORCPT=rfc822;", R_BAD_PARAMETER, NULL, NULL },
	{ "TO:<a@b> ORCPT=rfc822;a\xc3\xa9@b", R_BAD_PARAMETER, NULL, NULL },
	{ "TO:<a@b> ORCPT=;a", R_BAD_PARAMETER, NULL, NULL },
	/* the type is an atom (RFC 3461 section 4.2) */
	{ "TO:<a@b> ORCPT=_x!y_;b", R_RCPT_OK, "a@b", "b" },
	{ "TO:<a@b> ORCPT=x.y;a", R_BAD_PARAMETER, NULL, NULL },
	{ "TO:<a@b> ORCPT=x@y;a", R_BAD_PARAMETER, NULL, NULL },
	{ "TO:<a@b> ORCPT=x(y;a", R_BAD_PARAMETER, NULL, NULL },
	{ "TO:<a@b> ORCPT=x\xc3\xa9;a", R_BAD_PARAMETER, NULL, NULL },
	{ "TO:<a@b> AUTH=<>", R_UNKNOWN_PARAMETER, NULL, NULL },
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
	{ "<a@b> SMTPUTF8", true },
	{ "<a@b> smtputf8 x", false },
	{ "<a@b> SMTPUTF8=1", false },
	{ "<a@b>SMTPUTF8", false },
	{ "<\xc3\xa9@x>", true }, /* C6 */
	{ "<a", false },
	{ "a\tb", false },
	{ "\xc3\xa9@x", false },
	/* RFC 6531 section 3.7.4.2 */
	{ "\xc3\xa9 SMTPUTF8", true },
	{ "\xc3\xa9@x smtputf8", true },
	{ "Full \xc3\xa9 SMTPUTF8", true },
	{ "user SMTPUTF8", true },
	{ "\xc3\xa9SMTPUTF8", false },
	{ "\xc3\xa9 SMTPUTF8=1", false },
	{ "\xc3\xa9 SMTPUTF8 x", false },
	{ "\xff SMTPUTF8", false },
	{ "\xc3\xa9\x1b SMTPUTF8", false },
	{ "\xc3\xa9\x7f SMTPUTF8", false },
	{ "a\x1b", false },
	{ "a\x7f", false },
};

enum { ALL = OFFER_AUTH | OFFER_HOLD | OFFER_PRIORITY | OFFER_REQUIRETLS, NOW = 1000, DAY = 86400 };

static enum reply
mail(struct span in, unsigned offered, struct mail_args *a)
{
	return arguments_mail(guarded(in), offered, NOW, DAY, a);
}

/* What is not offered is unknown, whatever its value (R14). */
static void
test_not_offered(void **state)
{
	static const char *const in[] = { "AUTH=<>", "AUTH=+", "HOLDFOR=1", "HOLDUNTIL=x",
		"MT-PRIORITY=1", "REQUIRETLS" };
	(void)state;
	for (size_t i = 0; i < ROWS(in); i++) {
		char text[64];
		struct mail_args a;
		snprintf(text, sizeof(text), "FROM:<a@b> %s", in[i]);
		assert_int_equal(mail(span_of(text), 0, &a), R_UNKNOWN_PARAMETER);
	}
}

static const struct bdat_row {
	const char *in;
	bool want;
	int64_t octets;
	bool last;
} bdats[] = {
	{ "0", true, 0, false },
	{ "10", true, 10, false },
	{ "10 LAST", true, 10, true },
	{ "0 last", true, 0, true },
	{ "9223372036854775806 LAST", true, INT64_MAX - 1, true },
	{ "9223372036854775807", false, 0, false },
	{ "18446744073709551616", false, 0, false }, /* A16 */
	{ "-1", false, 0, false },
	{ "", false, 0, false },
	{ "LAST", false, 0, false },
	{ "1 FIRST", false, 0, false },
	{ "1 LAST LAST", false, 0, false },
	{ "1x", false, 0, false },
};

static void
test_bdat(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(bdats); i++) {
		int64_t octets = 0;
		bool last = false;
		bool got = arguments_bdat(guarded(span_of(bdats[i].in)), &octets, &last);
		if (got != bdats[i].want || (got && (octets != bdats[i].octets ||
							    last != bdats[i].last)))
			fail_msg("BDAT %s", bdats[i].in);
	}
}

/* R69: what is beyond ASCII, in the address or in ORCPT, needs SMTPUTF8 with MAIL. */
static void
test_beyond_ascii(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		bool needs;
	} in[] = {
		{ "TO:<a@b>", false },
		{ "TO:<a@b> ORCPT=utf-8;a@b", false },
		{ "TO:<\xc3\xa9@b>", true },
		{ "TO:<a@\xc3\xa9.example>", true },
		{ "TO:<a@b> ORCPT=utf-8;\xc3\xa9@b", true },
	};
	struct rcpt_args a;
	for (size_t i = 0; i < ROWS(in); i++) {
		assert_int_equal(arguments_rcpt(guarded(span_of(in[i].in)), 0, true, &a), R_RCPT_OK);
		assert_int_equal(arguments_rcpt(guarded(span_of(in[i].in)), 0, false, &a),
			in[i].needs ? R_NEED_UTF8 : R_RCPT_OK);
	}
}

/* L56: an address without brackets is one for clients of this site. */
static void
test_bare(void **state)
{
	(void)state;
	static const struct {
		const char *mail; /* the same behind "FROM:" and "TO:" */
		const char *address; /* NULL: refused */
		int64_t size;
	} rows[] = {
		{ "root@host", "root@host", -1 },
		{ " root@host", "root@host", -1 },
		{ "root@my_host_1", "root@my_host_1", -1 },
		{ "\"a b\"@host", "\"a b\"@host", -1 },
		{ "u@[192.0.2.1]", "u@[192.0.2.1]", -1 },
		{ "<a@b>", "a@b", -1 },
		{ "<a@b.example.>", NULL, 0 }, /* what RFC 5321 has no room for */
		{ "a@b.example.", NULL, 0 },
		{ "a@b.example..", NULL, 0 },
		{ "<a@b.example.", NULL, 0 },
		{ "<a@.>", NULL, 0 },
		{ "<a.@b.example>", NULL, 0 },
		{ "<a@[192.0.2.1].>", NULL, 0 },
		{ "root", NULL, 0 },
		{ "", NULL, 0 },
		{ "a@b>", NULL, 0 },
		{ "<a@b", NULL, 0 },
		{ "a@b,c@d", NULL, 0 },
		{ "a@b c@d", NULL, 0 },
		{ "Joe <a@b>", NULL, 0 },
		{ "@a:b@c", NULL, 0 },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		char text[64];
		struct mail_args m;
		struct rcpt_args a;
		snprintf(text, sizeof(text), "FROM:%s", rows[i].mail);
		bool good = mail(span_of(text), OFFER_BARE, &m) == R_SENDER_OK;
		snprintf(text, sizeof(text), "TO:%s", rows[i].mail);
		good = good && arguments_rcpt(guarded(span_of(text)), OFFER_BARE, false, &a) ==
			R_RCPT_OK;
		if (good != (rows[i].address != NULL))
			fail_msg("%s", rows[i].mail);
		if (good)
			assert_true(span_eq(a.to.whole, span_of(rows[i].address)));
	}
	struct mail_args m;
	assert_int_equal(mail(span_of("FROM:root@host SIZE=5"), OFFER_BARE, &m), R_SENDER_OK);
	assert_int_equal(m.size, 5);
	assert_true(span_eq(m.env.sender, span_of("root@host")));
	assert_int_equal(mail(span_of("FROM:root@host"), ALL, &m), R_MAIL_SYNTAX); /* a stranger */
	assert_int_equal(mail(span_of("FROM:<a@b.example.>"), ALL, &m), R_MAIL_SYNTAX);
}

/* L53: what is the name of a client, and what else a client of this site may say. */
static void
test_hello(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		bool stranger, ours;
	} rows[] = {
		{ "c.example", true, true },
		{ "my_printer", true, true },
		{ "[192.0.2.1]", true, true },
		{ "[IPv6:2001:db8::1]", true, true },
		{ "host.example.", false, true },
		{ "b\xc3\xbcro-pc", false, true },
		{ "b\xfcro-pc", false, true },
		{ "[2001:db8::1]", false, true },
		{ "[fe80::1]", false, true },
		{ "[192.0.2.300]", false, true },
		{ "x-.domain", false, true },
		{ "host:8443", false, true },
		{ "a..b", false, true },
		{ "x)(", false, true },
		{ "", false, false },
		{ "two words", false, false },
		{ "a\tb", false, false },
		{ "\x1b[2Jx", false, false },
		{ "a\x7f", false, false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span in = guarded(span_of(rows[i].in));
		if (arguments_hello(in, ALL) != rows[i].stranger ||
			arguments_hello(in, OFFER_ANY_NAME) != rows[i].ours)
			fail_msg("%s", rows[i].in);
	}
	char text[LIMIT_DOMAIN + 1];
	memset(text, ':', sizeof(text));
	assert_true(arguments_hello(guarded((struct span){ text, LIMIT_DOMAIN }), OFFER_ANY_NAME));
	assert_false(arguments_hello(guarded((struct span){ text, LIMIT_DOMAIN + 1 }),
		OFFER_ANY_NAME));
	assert_false(arguments_hello(guarded((struct span){ "\0", 1 }), OFFER_ANY_NAME));
}

static void
test_mail(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(mails); i++) {
		const struct mail_row *row = &mails[i];
		struct mail_args a = { .size = 77 };
		enum reply r = mail(span_of(row->in), ALL, &a);
		if (r != row->want)
			fail_msg("%s: %s", row->in, reply_row(r)->text);
		if (r != R_SENDER_OK) {
			assert_int_equal(a.size, 77); /* untouched */
			continue;
		}
		assert_true(span_eq(a.sender.whole, span_of(row->sender)));
		assert_int_equal(a.size, row->size);
		struct buf env = buf_new(1000);
		envelope_write(&env, &a.env);
		buf_add(&env, (struct span){ "", 1 });
		assert_string_equal(env.p, row->env);
		buf_free(&env);
	}
}

/* As it is kept and passed on, an ORCPT has 500 octets at the most (RFC 3461 section 4.2). */
static void
test_long_orcpt(void **state)
{
	(void)state;
	static const struct {
		const char *piece;
		int fit; /* behind "utf-8;" */
	} rows[] = { { "a", 494 }, { "\xc3\xa9", 82 }, { "\xe2\x82\xac", 61 } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf b = buf_new(LIMIT_COMMAND);
		struct rcpt_args a;
		buf_puts(&b, "TO:<a@b> ORCPT=utf-8;");
		for (int k = 0; k < rows[i].fit; k++)
			buf_puts(&b, rows[i].piece);
		assert_int_equal(arguments_rcpt(guarded(buf_span(&b)), 0, true, &a), R_RCPT_OK);
		buf_puts(&b, rows[i].piece);
		assert_int_equal(arguments_rcpt(guarded(buf_span(&b)), 0, true, &a), R_BAD_PARAMETER);
		buf_free(&b);
	}
}

static void
test_rcpt(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rcpts); i++) {
		const struct rcpt_row *row = &rcpts[i];
		struct rcpt_args a = { .to.whole.n = 77 };
		enum reply r = arguments_rcpt(guarded(span_of(row->in)), 0, false, &a);
		if (r != row->want)
			fail_msg("%s: %s", row->in, reply_row(r)->text);
		if (r != R_RCPT_OK) {
			assert_int_equal(a.to.whole.n, 77);
			continue;
		}
		assert_true(span_eq(a.to.whole, span_of(row->whole)));
		assert_true(span_eq(a.to.domain, span_of(row->domain)));
	}
}

/* Whatever an accepted command is cut to, or whichever byte becomes NUL, reading stays inside. */
static void
test_hurt(void **state)
{
	(void)state;
	struct mail_args m;
	struct rcpt_args a;
	int64_t octets;
	bool last;
	for (size_t i = 0; i < ROWS(mails); i++) {
		char text[512];
		size_t n = strlen(mails[i].in);
		memcpy(text, mails[i].in, n);
		for (size_t cut = 0; cut < n; cut++) {
			struct span part = guarded((struct span){ text, cut });
			(void)mail(part, ALL, &m);
			(void)arguments_rcpt(part, ~0U, true, &a);
			(void)arguments_bdat(part, &octets, &last);
			(void)arguments_vrfy(part);
			char was = text[cut];
			text[cut] = '\0';
			assert_int_not_equal(mail((struct span){ text, n }, ALL, &m),
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
		if (arguments_vrfy(guarded(span_of(vrfys[i].in))) != vrfys[i].want)
			fail_msg("%s", vrfys[i].in);
	char text[LIMIT_PATH + 1];
	memset(text, 'a', sizeof(text));
	assert_true(arguments_vrfy(guarded((struct span){ text, LIMIT_PATH })));
	assert_false(arguments_vrfy(guarded((struct span){ text, LIMIT_PATH + 1 })));
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
				assert_non_null(strchr("hzic", c[1]));
		}
		/* with a host name: 512 octets, section 4.5.3.1.5 */
		assert_true(strlen(text) < 450);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_beyond_ascii),
		cmocka_unit_test(test_not_offered),
		cmocka_unit_test(test_bdat),
		cmocka_unit_test(test_rcpt),
		cmocka_unit_test(test_long_orcpt),
		cmocka_unit_test(test_hurt),
		cmocka_unit_test(test_vrfy),
		cmocka_unit_test(test_replies),
	};
	return cmocka_run_group_tests_name("arguments", tests, NULL, NULL);
}
