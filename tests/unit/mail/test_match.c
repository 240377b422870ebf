/* match: who may relay to where, which sender a route is for, and who may send as whom (H6, S1). */
#include "tests/unit/unit.h"

#include "mail/match.h"

static const struct {
	const char *list, *domain;
	bool in;
} domains[] = {
	{ "", "a.example", false },
	{ " \t,", "a.example", false },
	{ "*", "a.example", true },
	{ "*", "", true },
	{ "b.example *", "a.example", true },
	{ "a.example", "a.example", true },
	{ "A.Example", "a.eXAMPLE", true },
	{ "a.example", "a.example.evil", false },
	{ "a.example", "evil-a.example", false },
	{ "a.example", "u.a.example", false },
	{ "a.example", "", false },
	{ "a.example", "a.exampl", false },
	{ "a.exampl", "a.example", false },
	{ "b.example,a.example", "a.example", true },
	{ "b.example\ta.example c.example", "a.example", true },
	{ ".a.example", "u.a.example", true },
	{ ".a.example", "v.u.A.example", true },
	{ ".a.example", "a.example", false },
	{ ".a.example", ".a.example", true }, /* no domain is written so */
	{ ".a.example", "ua.example", false },
	{ ".a.example", "u.a.example.evil", false },
	{ ".", "a.example", false },
	{ "**", "a.example", false },
	{ "[192.0.2.1]", "[192.0.2.1]", true },
	{ "[192.0.2.1]", "[192.0.2.11]", false },
};

static void
test_domain(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(domains); i++)
		if (match_domain(domains[i].list, guarded(span_of(domains[i].domain))) != domains[i].in)
			fail_msg("\"%s\": %s", domains[i].list, domains[i].domain);
}

static const struct {
	const char *list, *sender;
	bool in;
} lists[] = {
	{ "", "joe@a.example", false },
	{ "joe@a.example", "joe@a.example", true },
	{ "joe@a.example", "Joe@A.example", true },
	{ "joe@a.example", "xjoe@a.example", false },
	{ "joe@a.example", "joe@a.example.evil", false },
	{ "a.example", "joe@a.example", true },
	{ "a.example", "\"joe@b.example\"@a.example", true }, /* behind the last "@" */
	{ "b.example", "\"joe@b.example\"@a.example", false },
	{ ".a.example", "joe@u.a.example", true },
	{ ".a.example", "joe@a.example", false },
	{ "*", "joe@a.example", true },
	{ "*", "", false }, /* the null sender is in no list */
	{ "*", "joe", false },
	{ "joe@a.example, c.example", "any@c.example", true },
	/* R16: quotes that are not needed make no other address */
	{ "joe@a.example", "\"Joe\"@a.example", true },
	{ "joe@a.example", "\"j\\oe\"@A.example", true },
	{ "\"joe\"@a.example", "joe@a.example", true },
	{ "joe@a.example", "\"joe \"@a.example", false },
	{ "joe@a.example", "\"joe@a.example\"@b.example", false },
	{ "joe@a.example", "\"joe\"@b.example", false },
	{ "a.b@a.example", "\"a.b\"@a.example", true },
};

static void
test_sender(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(lists); i++)
		if (match_sender(lists[i].list, guarded(span_of(lists[i].sender))) != lists[i].in)
			fail_msg("\"%s\": %s", lists[i].list, lists[i].sender);
}

static const struct {
	const char *senders, *address;
	bool may;
} senders[] = {
	{ "", "any@where.example", true },
	{ " \t", "any@where.example", true },
	{ "joe@a.example", "", true },
	{ "joe@a.example", "joe@a.example", true },
	{ "joe@a.example", "JOE@A.Example", true },
	{ "joe@a.example", "joe@a.example.evil", false },
	{ "joe@a.example", "xjoe@a.example", false },
	{ "x@c.example joe@a.example", "joe@a.example", true },
	{ "@b.example", "any@b.example", true },
	{ "@b.example", "any@B.EXAMPLE", true },
	{ "@b.example", "any@sub.b.example", false },
	{ "@b.example", "any@xb.example", false },
	{ "@b.example", "@b.example", false },
	{ "@b.example", "any@b.exampl", false },
	{ "  @b.example   joe@a.example ", "joe@a.example", true },
	/* R16 */
	{ "joe@a.example", "\"joe\"@a.example", true },
	{ "\"joe\"@a.example", "JOE@a.example", true },
	{ "joe@a.example", "\"jo\"@a.example", false },
	{ "joe@a.example", "\"joe\\\"\"@a.example", false },
	{ "joe@a.example", "\"joe@a.example\"@b.example", false },
	{ "@b.example", "\"joe\"@b.example", true },
	{ "@b.example", "\"joe@b.example\"@a.example", false },
};

static void
test_user_sender(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(senders); i++)
		if (match_user_sender(guarded(span_of(senders[i].senders)), span_of(senders[i].address)) !=
			senders[i].may)
			fail_msg("\"%s\": %s", senders[i].senders, senders[i].address);
}

/* ---- users of this host --------------------------------------------------------------------- */

#define WWW  "www-data", 33
#define JOE  "joe", 1000
#define NONE "", 61184

static const struct {
	const char *list, *name;
	uint32_t uid;
	const char *address;
	bool may;
} locals[] = {
	{ "*=*", WWW, "any@where.example", true },
	{ "*=*", NONE, "any@where.example", true },
	{ "", WWW, "any@where.example", false },
	{ "", WWW, "www-data@mx.test.example", false },
	{ "", WWW, "", true }, /* the null sender is everybody's */
	{ "*=self", WWW, "www-data@mx.test.example", true },
	{ "*=self", WWW, "WWW-Data@Site.Example", true },
	{ "*=self", WWW, "www-data@other.example", false },
	{ "*=self", WWW, "www-data@xsite.example", false },
	{ "*=self", WWW, "joe@site.example", false },
	{ "*=self", WWW, "\"www\\-data\"@site.example", true }, /* R16 */
	{ "*=self", WWW, "\"www-data\"@other.example", false },
	{ "*=self", WWW, "\"www-data@site.example\"@b.example", false },
	{ "*=self", "\"joe\"", 1001, "joe@site.example", false }, /* his name is what it is */
	{ "*=self", NONE, "\"\"@site.example", false },
	{ "*=joe@a.example", JOE, "\"joe\"@a.example", true },
	{ "*=self", WWW, "xwww-data@site.example", false },
	{ "*=self", WWW, "ww-data@site.example", false },
	{ "*=self", NONE, "@site.example", false }, /* a user without a name */
	{ "*=self", NONE, "61184@site.example", false },
	{ "www-data=@example.org", WWW, "any@example.org", true },
	{ "www-data=@example.org", WWW, "any@sub.example.org", false },
	{ "www-data=@example.org", JOE, "any@example.org", false },
	{ "www-data=@example.org", NONE, "any@example.org", false },
	{ "www-data=a@example.org", WWW, "a@example.org", true },
	{ "www-data=a@example.org", WWW, "b@example.org", false },
	{ "www-data=a@example.org,www-data=b@example.org", WWW, "b@example.org", true },
	{ "33=@example.org", WWW, "a@example.org", true },
	{ "34=@example.org", WWW, "a@example.org", false },
	{ "0-33=@example.org", WWW, "a@example.org", true },
	{ "33-33=@example.org", WWW, "a@example.org", true },
	{ "34-50=@example.org", WWW, "a@example.org", false },
	{ "0-32=@example.org", WWW, "a@example.org", false },
	{ "61184-65519=*", NONE, "a@example.org", true },
	/* whom a word names, "*" says nothing about */
	{ "*=* www-data=self", WWW, "a@example.org", false },
	{ "www-data=self *=*", WWW, "a@example.org", false },
	{ "www-data=self *=*", WWW, "www-data@site.example", true },
	{ "www-data=self *=*", JOE, "a@example.org", true },
	{ "0-999=* *=self", WWW, "a@example.org", true },
	{ "0-999=* *=self", JOE, "a@example.org", false },
	{ "0-999=* *=self joe=joe@example.org", JOE, "joe@example.org", true },
	{ "0-999=* *=self joe=joe@example.org", JOE, "joe@site.example", false },
	{ "0-999=* *=self joe=joe@example.org joe=self", JOE, "joe@site.example", true },
	{ "ww=* *=self", WWW, "a@example.org", false },
};

static void
test_local_sender(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(locals); i++) {
		struct match_user u = { .uid = locals[i].uid, .name = span_of(locals[i].name),
			.domains = { { "mx.test.example", 15 }, { "site.example", 12 } } };
		if (match_local_sender(locals[i].list, &u, guarded(span_of(locals[i].address))) !=
			locals[i].may)
			fail_msg("\"%s\": %s: %s", locals[i].list, locals[i].name,
				locals[i].address);
	}
}

/* For whom a list has "*", and for whom it has not. */
static void
test_local_any(void **state)
{
	(void)state;
	static const struct {
		const char *list;
		bool may;
	} rows[] = {
		{ "*=*", true }, { "joe=*", true }, { "0-2000=* *=self", true },
		{ "joe=self joe=*", true }, { "", false }, { "*=self", false }, { "joe=self *=*", false },
		{ "joe=@site.example", false }, { "joe=joe@site.example", false }, { "eve=*", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct match_user u = { .uid = 1000, .name = { "joe", 3 },
			.domains = { { "site.example", 12 }, { NULL, 0 } } };
		if (match_local_any(rows[i].list, &u) != rows[i].may)
			fail_msg("%s", rows[i].list);
	}
}

/* Of one of many who have one number together no word says anything, whatever their name. */
static void
test_nobody(void **state)
{
	(void)state;
	struct match_user u = { .uid = 65534, .nobody = true, .name = { "nobody", 6 },
		.domains = { { "site.example", 12 }, { NULL, 0 } } };
	struct span a = span_of("nobody@site.example");
	assert_true(match_local_sender("*=*", &u, a));
	assert_true(match_local_sender("nobody=x@y.example *=*", &u, a));
	assert_false(match_local_sender("nobody=* 65534=*", &u, a));
	assert_false(match_local_sender("*=self", &u, a));
	u.nobody = false;
	assert_true(match_local_sender("nobody=*", &u, a) && match_local_sender("*=self", &u, a));
}

static void
test_local_rule(void **state)
{
	(void)state;
	static const char *const good[] = { "*=*", "*=self", "joe=self", "www-data=@example.org",
		"0=*", "0-999=*", "_apt=a@b.example", "4294967295=*", "j.o_e-1$=*", "joe@ad=*" };
	static const char *const bad[] = { "", "*", "=*", "*=", "joe", "joe=", "joe=joe", "joe=@",
		"9-1=*", "-1=*", "1-=*", "4294967296=*", "1a=*", "j!=*", "joe=@-a", "*=**",
		"joe=a@b.example=", "-x=*" };
	for (size_t i = 0; i < ROWS(good); i++)
		if (!match_is_local_rule(guarded(span_of(good[i]))))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < ROWS(bad); i++)
		if (match_is_local_rule(guarded(span_of(bad[i]))))
			fail_msg("%s", bad[i]);
	assert_false(match_local_names("*=*") || match_local_names(""));
	assert_true(match_local_names("*=* joe=self"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_domain),
		cmocka_unit_test(test_sender),
		cmocka_unit_test(test_user_sender),
		cmocka_unit_test(test_local_sender),
		cmocka_unit_test(test_local_any),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_local_rule),
	};
	return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
