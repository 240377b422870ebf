/*
 * address: one table of verdicts (D1 to D16, D24, R15 to R17, R21, L54, L58, L59), input against a
 * guard page.
 */
#include "tests/unit/unit.h"

#include "mail/address.h"

#define A10 "aaaaaaaaaa"
#define A64 A10 A10 A10 A10 A10 A10 "aaaa"
#define L63 A10 A10 A10 A10 A10 A10 "aaa"
#define A90 A10 A10 A10 A10 A10 A10 A10 A10 A10
#define A242 A90 A90 A10 A10 A10 A10 A10 A10 "aa"

static const struct row {
	const char *in;
	bool ok;
	const char *whole, *domain; /* of an accepted one */
} paths[] = {
	{ "<a@b.example>", true, "a@b.example", "b.example" },
	{ "<a@b>", true, "a@b", "b" },
	{ "<A.B+c@X-Y.Example>", true, "A.B+c@X-Y.Example", "X-Y.Example" },
	{ "<!#$%&'*+-/=?^_`{|}~@d.example>", true, "!#$%&'*+-/=?^_`{|}~@d.example", "d.example" },
	{ "<\"a b\"@d.example>", true, "\"a b\"@d.example", "d.example" },
	{ "<\"a@b\"@d.example>", true, "\"a@b\"@d.example", "d.example" },       /* D5 */
	{ "<\"a\\\"b\"@d.example>", true, "\"a\\\"b\"@d.example", "d.example" },
	{ "<\"\"@d.example>", true, "\"\"@d.example", "d.example" },
	{ "<\"() { :;}; touch /x/p\"@x>", true, "\"() { :;}; touch /x/p\"@x", "x" }, /* D4 */
	{ "<-oQ/x@x.example>", true, "-oQ/x@x.example", "x.example" },           /* D3 */
	{ "<a%b@relay>", true, "a%b@relay", "relay" },                           /* D8 */
	{ "<=?utf-8?q?a=40evil.com=3e=00?=@good>", true, "=?utf-8?q?a=40evil.com=3e=00?=@good",
		"good" },                                                          /* D14 */
	{ "<@a,@b.example:c@d.example>", true, "c@d.example", "d.example" },     /* D7 */
	{ "<@a:c@d.example>", true, "c@d.example", "d.example" },
	{ "<u@[192.0.2.1]>", true, "u@[192.0.2.1]", "[192.0.2.1]" },
	{ "<u@[IPv6:2001:db8::1]>", true, "u@[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]" },
	{ "<u@[ipv6:::1]>", true, "u@[ipv6:::1]", "[ipv6:::1]" },
	{ "<" A64 "@d.example>", true, A64 "@d.example", "d.example" },          /* D10, R21 */
	{ "<a@" L63 ".example>", true, "a@" L63 ".example", L63 ".example" },
	{ "<a" A64 "@d.example>", true, "a" A64 "@d.example", "d.example" },     /* L54 */
	{ "<" A90 "@d.example>", true, A90 "@d.example", "d.example" },
	{ "<\"" A90 "\"@d.example>", true, "\"" A90 "\"@d.example", "d.example" },
	{ "<" A242 "aa@d.example>", true, A242 "aa@d.example", "d.example" },
	{ "<" A242 "aaa@d.example>", false, NULL, NULL },
	{ "<@x:" A242 "@d.example>", false, NULL, NULL }, /* the route belongs to the path */
	{ "<www-data@web_app_1>", true, "www-data@web_app_1", "web_app_1" },
	{ "<a@b_c>", true, "a@b_c", "b_c" },
	{ "<a@_b.c_>", true, "a@_b.c_", "_b.c_" },
	{ "<@x_y:a@b>", true, "a@b", "b" },
	{ "<a@_->", false, NULL, NULL },
	{ "<a@-_>", false, NULL, NULL },
	{ "<a@a" L63 ".example>", false, NULL, NULL },
	{ "<a@" L63 "." L63 "." L63 "." L63 ">", false, NULL, NULL },
	{ "<>", false, NULL, NULL },
	{ "<a>", false, NULL, NULL },
	{ "<a@>", false, NULL, NULL },
	{ "<@b>", false, NULL, NULL },
	{ "a@b", false, NULL, NULL },
	{ "<a@b", false, NULL, NULL },
	{ "<a@b@c>", false, NULL, NULL },
	{ "<a b@c>", false, NULL, NULL },
	{ "<.a@b>", false, NULL, NULL },                                        /* D12 */
	{ "<a.@b>", false, NULL, NULL },
	{ "<a..b@c>", false, NULL, NULL },
	{ "<a@b.>", false, NULL, NULL },
	{ "<a@b..c>", false, NULL, NULL },
	{ "<a@.b>", false, NULL, NULL },
	{ "<a@-b>", false, NULL, NULL },
	{ "<a@b->", false, NULL, NULL },
	{ "<a@b/c>", false, NULL, NULL },                                       /* H7 */
	{ "<a@../../etc>", false, NULL, NULL },
	{ "<\"a\r\nRCPT TO:<v@w>\"@x>", false, NULL, NULL },                    /* D6 */
	{ "<\"a\"b@x>", false, NULL, NULL },
	{ "<\"a@x>", false, NULL, NULL },
	{ "<\"a\\\"@x>", false, NULL, NULL },
	{ "<(any@legit>", false, NULL, NULL },                                  /* D24 */
	{ "<any@legit(a.attack.com>", false, NULL, NULL },
	{ "<;for i in 0 1 2;do read r;done;sh;exit 0;>", false, NULL, NULL },   /* D1 */
	{ "<${run{\\x2fbin\\x2fid}}@localhost>", false, NULL, NULL },           /* D2 */
	{ "<u@[127.0.0.1>", false, NULL, NULL },
	{ "<u@[127.0.0]>", false, NULL, NULL },
	{ "<u@[127.0.0.256]>", false, NULL, NULL },
	{ "<u@[::1]>", false, NULL, NULL },                                     /* D11 */
	{ "<u@[IPv6:127.0.0.1]>", false, NULL, NULL },
	{ "<u@[IPv6:fe80::1%eth0]>", false, NULL, NULL },
	{ "<u@[]>", false, NULL, NULL },
	/* L59: "::" stands for two groups at the least */
	{ "<u@[IPv6:1111:2222:3333:4444:5555:6666::8888]>", false, NULL, NULL },
	{ "<u@[IPv6:1111:2222:3333:4444:5555::8888]>", true,
		"u@[IPv6:1111:2222:3333:4444:5555::8888]",
		"[IPv6:1111:2222:3333:4444:5555::8888]" },
	{ "<u@[IPv6:1:2:3:4:5:6:7::]>", false, NULL, NULL },
	{ "<u@[IPv6:1:2:3:4:5:6::]>", true, "u@[IPv6:1:2:3:4:5:6::]", "[IPv6:1:2:3:4:5:6::]" },
	{ "<u@[IPv6:::2:3:4:5:6:7:8]>", false, NULL, NULL },
	{ "<u@[IPv6:1:2:3:4:5::192.0.2.1]>", false, NULL, NULL },
	{ "<u@[IPv6:1:2:3::4:192.0.2.1]>", true, "u@[IPv6:1:2:3::4:192.0.2.1]",
		"[IPv6:1:2:3::4:192.0.2.1]" },
	{ "<u@[IPv6:1:2:3:4:5:6:7:8]>", true, "u@[IPv6:1:2:3:4:5:6:7:8]",
		"[IPv6:1:2:3:4:5:6:7:8]" },
	{ "<@a,b:c@d>", false, NULL, NULL },
	{ "<@a c@d>", false, NULL, NULL },
	{ "<\xc3\xa9@d.example>", true, "\xc3\xa9@d.example", "d.example" },    /* R69 */
	{ "<a@\xc3\xa9.example>", true, "a@\xc3\xa9.example", "\xc3\xa9.example" },
	{ "<\"\xe2\x80\xa8\"@d.example>", true, "\"\xe2\x80\xa8\"@d.example", "d.example" },
	{ "<\xf0\x9f\x98\x80@d.example>", true, "\xf0\x9f\x98\x80@d.example", "d.example" },
	{ "<\x80@d.example>", false, NULL, NULL },                              /* D13 */
	{ "<\xc3@d.example>", false, NULL, NULL },
	{ "<\xc3\xa9\xc3>", false, NULL, NULL },
	{ "<\xc0\xaf@d.example>", false, NULL, NULL },
	{ "<\xe0\x9f\xbf@d.example>", false, NULL, NULL },
	{ "<\xf0\x8f\xbf\xbf@d.example>", false, NULL, NULL },
	{ "<\xed\xa0\x80@d.example>", false, NULL, NULL },
	{ "<\xf4\x90\x80\x80@d.example>", false, NULL, NULL },
	{ "<\xf5\x80\x80\x80@d.example>", false, NULL, NULL },
	{ "<a@\xc3\xa9..example>", false, NULL, NULL },
	{ "<a@.\xc3\xa9>", false, NULL, NULL },
	{ "<\"\x80\"@d.example>", false, NULL, NULL },
	{ "<\"test\\\xc2\xa9\"@d.example>", false, NULL, NULL }, /* L58: a pair is ASCII */
	{ "<\"test\\c\xc2\xa9\"@d.example>", true, "\"test\\c\xc2\xa9\"@d.example", "d.example" },
};

static void
test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(paths); i++) {
		struct address a;
		struct span rest, in = guarded(span_of(paths[i].in));
		int r = address_path(in, ADDRESS_FORWARD, &a, &rest);
		if ((r == 0) != paths[i].ok)
			fail_msg("%s: got %d", paths[i].in, r);
		if (r < 0)
			continue;
		assert_true(span_eq(a.whole, span_of(paths[i].whole)));
		assert_true(span_eq(a.domain, span_of(paths[i].domain)));
		assert_int_equal(rest.n, 0);
		for (size_t cut = 0; cut < in.n; cut++) /* no prefix of it is a path */
			assert_int_equal(address_path((struct span){ in.p, cut },
				ADDRESS_FORWARD, &a, &rest), -22);
	}
}

static void
test_special(void **state)
{
	(void)state;
	struct address a;
	struct span rest;
	/* D16 */
	assert_int_equal(address_path(guarded(span_of("<> X")), ADDRESS_REVERSE, &a, &rest), 0);
	assert_int_equal(a.whole.n, 0);
	assert_int_equal(rest.n, 2);
	assert_int_equal(address_path(guarded(span_of("<PostMaster>")), ADDRESS_FORWARD, &a, &rest), 0);
	assert_int_equal(a.domain.n, 0); /* R2, D15 */
	assert_true(address_path(guarded(span_of("<postmaster>")), ADDRESS_REVERSE, &a, &rest) < 0);
	assert_true(address_path(guarded(span_of("<postmasters>")), ADDRESS_FORWARD, &a, &rest) < 0);
}

/* L56: an address that lacks its brackets, with what stands behind it. */
static void
test_bare(void **state)
{
	(void)state;
	static const struct {
		const char *in, *whole; /* NULL: none */
		enum address_kind kind;
		const char *rest;
	} rows[] = {
		{ "root@host", "root@host", ADDRESS_REVERSE, "" },
		{ "root@host SIZE=5", "root@host", ADDRESS_REVERSE, " SIZE=5" },
		{ "\"a b>\"@[192.0.2.1]", "\"a b>\"@[192.0.2.1]", ADDRESS_REVERSE, "" },
		{ "root@host>", "root@host", ADDRESS_REVERSE, ">" },
		{ A242 "aa@d.example", A242 "aa@d.example", ADDRESS_FORWARD, "" },
		{ A242 "aaa@d.example", NULL, ADDRESS_FORWARD, "" },
		{ "Postmaster", "Postmaster", ADDRESS_FORWARD, "" },
		{ "postmaster@host", "postmaster@host", ADDRESS_FORWARD, "" },
		{ "postmaster", NULL, ADDRESS_REVERSE, "" },
		{ "", NULL, ADDRESS_REVERSE, "" },
		{ "root", NULL, ADDRESS_FORWARD, "" },
		{ "<root@host>", NULL, ADDRESS_FORWARD, "" },
		{ "@a:b@c", NULL, ADDRESS_FORWARD, "" },
		{ "a@b \xc3", NULL, ADDRESS_FORWARD, "" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct address a;
		struct span rest, in = guarded(span_of(rows[i].in));
		int r = address_bare(in, rows[i].kind, &a, &rest);
		if ((r == 0) != (rows[i].whole != NULL))
			fail_msg("%s: got %d", rows[i].in, r);
		if (r < 0)
			continue;
		assert_true(span_eq(a.whole, span_of(rows[i].whole)));
		assert_true(span_eq(rest, span_of(rows[i].rest)));
	}
}

/* An address without brackets, as a setting or a report has it: all of it, or nothing. */
static void
test_mailbox(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "a", "a@", "@b", "a@b c", "a@b>", "<a@b>", "a@b,",
		"a@b\r\n", "\x80@b" };
	struct address a;
	assert_int_equal(address_mailbox(guarded(span_of("\"x y\"@[192.0.2.1]")), &a), 0);
	assert_true(span_eq(a.domain, span_of("[192.0.2.1]")));
	for (size_t i = 0; i < ROWS(wrong); i++)
		if (address_mailbox(guarded(span_of(wrong[i])), &a) == 0)
			fail_msg("%s", wrong[i]);
	char text[LIMIT_ADDRESS + 1]; /* what buffers are made for */
	memset(text, 'a', sizeof(text));
	memcpy(text + sizeof(text) - 2, "@b", 2);
	assert_int_equal(address_mailbox(guarded((struct span){ text + 1, LIMIT_ADDRESS }), &a), 0);
	assert_true(address_mailbox(guarded((struct span){ text, LIMIT_ADDRESS + 1 }), &a) < 0);
}

/* R16: quotes and quoted pairs that are not needed make no other mailbox. */
static void
test_plain(void **state)
{
	(void)state;
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "", "" }, { "joe", "joe" }, { "\"joe\"", "joe" }, { "\"j\\o\\e\"", "joe" },
		{ "\"a.b+c\"", "a.b+c" }, { "\"\"", "\"\"" }, { "\"a b\"", "\"a b\"" },
		{ "\"a\\ b\"", "\"a b\"" }, { "\"a@b\"", "\"a@b\"" }, { "\".a\"", "\".a\"" },
		{ "\"a.\"", "\"a.\"" }, { "\"a..b\"", "\"a..b\"" },
		{ "\"a\\\"b\"", "\"a\\\"b\"" }, { "\"\\\\\"", "\"\\\\\"" },
		{ "\"\\a\\\\\\b\"", "\"a\\\\b\"" }, { "\"\\\"\"", "\"\\\"\"" },
		{ "\"\xc3\xa9\"", "\xc3\xa9" },
		/* no quoted string */
		{ "\"", "\"" }, { "\"a", "\"a" }, { "\"a\"b", "\"a\"b" }, { "\"a\\\"", "\"a\\\"" },
		{ "a\"", "a\"" }, { "\"a\"b\"", "\"a\"b\"" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		char room[LIMIT_ADDRESS];
		struct span plain = address_plain(guarded(span_of(rows[i].in)), room);
		if (!span_eq(plain, span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].in, (int)plain.n, plain.p);
	}
	char room[LIMIT_ADDRESS], text[LIMIT_ADDRESS + 1];
	memset(text, ' ', sizeof(text));
	text[0] = text[LIMIT_ADDRESS - 1] = text[LIMIT_ADDRESS] = '"';
	struct span most = guarded((struct span){ text, LIMIT_ADDRESS });
	assert_true(span_eq(address_plain(most, room), most));
	text[LIMIT_ADDRESS - 1] = ' ';
	struct span more = guarded((struct span){ text, LIMIT_ADDRESS + 1 });
	assert_ptr_equal(address_plain(more, room).p, more.p);
}

static void
test_same(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{ "", "", true }, { "a@b", "A@B", true }, { "\"a\"@b", "a@b", true },
		{ "\"a\"@b", "\"\\a\"@B", true }, { "\"a b\"@b", "\"a\\ b\"@b", true },
		{ "joe", "\"Joe\"", true }, { "@b", "@B", true },
		{ "\"a@b\"@c", "\"a@\\b\"@c", true },
		{ "\"a\"@b", "a@c", false }, { "\"a b\"@b", "\"ab\"@b", false },
		{ "\"a@b\"", "a@b", false }, { "\"a@b\"@c", "a@b", false },
		{ "\"@b\"", "@b", false }, { "\"\"@b", "@b", false }, { "joe", "joe@b", false },
		{ "\"\"", "", false }, { "a", "", false },
		/* what is none is the same as itself */
		{ "\"a@b", "\"a@b", true }, { "\"a@b", "a@b", false }, { "\"a@b", "\"a\"@b", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		if (address_same(guarded(span_of(rows[i].a)), span_of(rows[i].b)) != rows[i].same ||
			address_same(span_of(rows[i].b), guarded(span_of(rows[i].a))) != rows[i].same)
			fail_msg("%s, %s", rows[i].a, rows[i].b);
}

/* Our own name is told to hosts that may refuse an underscore; all other names may have one. */
static void
test_hostname(void **state)
{
	(void)state;
	assert_true(address_is_hostname(guarded(span_of("web-1.example"))));
	assert_false(address_is_hostname(guarded(span_of("web_1.example"))));
	assert_true(address_is_domain(guarded(span_of("web_1.example"))));
	assert_true(address_is_helo(guarded(span_of("web_1"))));
	assert_false(address_is_helo(guarded(span_of("[IPv6:1:2:3:4:5:6:7::]")))); /* L59 */
}

/* R21: labels of 63 octets, domains of 255. */
static void
test_domain_length(void **state)
{
	(void)state;
	char domain[] = L63 "." L63 "." L63 "." L63 ".";
	size_t n = sizeof(domain) - 1; /* 256, with a dot at the end */
	assert_true(address_is_domain(guarded((struct span){ domain, n - 1 })));
	domain[n - 1] = 'a';
	assert_false(address_is_domain(guarded((struct span){ domain, n })));
	domain[n - 2] = '.';
	assert_false(address_is_domain(guarded((struct span){ domain, n })));
	assert_false(address_is_domain(guarded((struct span){ domain, n - 1 })));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_special),
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_mailbox),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_hostname),
		cmocka_unit_test(test_domain_length),
	};
	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
