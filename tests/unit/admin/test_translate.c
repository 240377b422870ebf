/* translate: what is written of another program's settings can be read, and says where it came from. */
#include "tests/unit/unit.h"

#include "admin/translate.h"

static struct translation t;
static struct sheet sheet;

static int
begin(void **state)
{
	(void)state;
	translate_begin(&t, false, NULL);
	sheet = (struct sheet){ .path = "x.conf", .between = "=" };
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	translate_end(&t);
	return 0;
}

static void
assert_written(const struct buf *b, const char *want)
{
	assert_int_equal(b->n, strlen(want));
	assert_memory_equal(b->p, want, b->n);
}

static struct told *
add(const char *name, const char *value)
{
	assert_true(translate_add(&sheet, span_of(name), span_of(value), sheet.n + 1));
	return &sheet.v[sheet.n - 1];
}

static void
test_find(void **state)
{
	(void)state;
	add("Host", "a");
	struct told *last = add("host", "b");
	add("hosts", "c");
	assert_ptr_equal(translate_find(&sheet, "HOST"), last);
	assert_null(translate_find(&sheet, "hos"));
	assert_int_equal(translate_value(&sheet, "none").n, 0);
	for (int i = sheet.n; i < TRANSLATE_SETTINGS; i++)
		add("x", "y");
	assert_false(translate_add(&sheet, span_of("x"), span_of("y"), 1));
}

static void
test_source_is_shown_once(void **state)
{
	(void)state;
	translate_from(&t, &sheet, add("size", "1\n2"));
	translate_set(&t, "max_size", span_of("1M"));
	translate_set(&t, "max_recipients", span_of("100"));
	assert_written(&t.common, "\n# x.conf:1: size=1 2\nmax_size = 1M\nmax_recipients = 100\n");
	assert_int_equal(t.warnings, 0);
}

static void
test_secret(void **state)
{
	(void)state;
	struct told *s = add("pass", "hush");
	s->secret = true;
	translate_from(&t, &sheet, s);
	translate_say(&t, "left");
	assert_written(&t.common, "\n# x.conf:1: pass (not shown)\n# left\n");
}

static void
test_password(void **state)
{
	(void)state;
	translate_route(&t, "a", "domains", span_of("*"));
	translate_login(&t, span_of("us"), span_of("hush"));
	assert_null(memmem(t.routes.p, t.routes.n, "hush\n", 5));
	t.with_passwords = true;
	translate_route(&t, "b", "domains", span_of("*"));
	translate_login(&t, span_of("us"), span_of("hush"));
	assert_non_null(memmem(t.routes.p, t.routes.n, "# the password: hush\n", 21));
	/* the same login has the same file */
	assert_null(memmem(t.routes.p, t.routes.n, "file = /etc/postern/password-2\n", 31));
	translate_route(&t, "c", "domains", span_of("*"));
	translate_login(&t, span_of("us"), span_of("hush hush"));
	assert_non_null(memmem(t.routes.p, t.routes.n, "file = /etc/postern/password-2\n", 31));
}

/* What ours would not read is not written. */
static void
test_not_taken(void **state)
{
	static const struct {
		const char *key, *value;
		bool taken;
	} rows[] = {
		{ "max_size", "50M", true },
		{ "max_size", "1", false },
		{ "hostname", "-", false },
		{ "hostname", "a.example\x01", false },
		{ "no_such_key", "1", false },
		{ "delivery_user", "us", false }, /* it stands in a route only */
		{ "user", "a #b", false },
		{ "user", "a#b", true },
		{ "spool", "/a", true },
		{ "spool", "a", false },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int before = t.warnings;
		translate_set(&t, rows[i].key, span_of(rows[i].value));
		assert_int_equal(t.warnings - before, rows[i].taken ? 0 : 1);
	}
	translate_route(&t, "r", "domains", span_of("*"));
	int before = t.warnings;
	translate_set(&t, "delivery_user", span_of("us"));
	assert_int_equal(t.warnings, before);
	translate_set(&t, "spool", span_of("/a")); /* it does not */
	assert_int_equal(t.warnings, before + 1);
}

static void
test_host(void **state)
{
	static const struct {
		const char *host, *port, *want;
	} rows[] = {
		{ "a.example", "25", "a.example:25" },
		{ "[a.example]", "587", "a.example:587" },
		{ "192.0.2.1", "25", "192.0.2.1:25" },
		{ "2001:db8::1", "25", "[2001:db8::1]:25" },
		{ "[2001:db8::1]", "25", "[2001:db8::1]:25" },
	};
	(void)state;
	struct buf all = buf_new(1000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf b = buf_new(1000);
		translate_host(&b, span_of(rows[i].host), span_of(rows[i].port));
		assert_written(&b, rows[i].want);
		buf_free(&b);
	}
	translate_host(&all, span_of("a"), span_of("1"));
	translate_host(&all, span_of("b"), span_of("2"));
	assert_written(&all, "a:1 b:2");
	buf_free(&all);
}

static void
twice(struct translation *tr, struct sheet *s, const struct told *setting, const char *key)
{
	assert_ptr_equal(s, &sheet);
	translate_setf(tr, key, "%.*s%.*s", (int)setting->value.n, setting->value.p,
		(int)setting->value.n, setting->value.p);
}

static void
test_rules(void **state)
{
	static const struct rule rules[] = {
		{ "same", RULE_SAME, "max_recipients", NULL },
		{ "by", RULE_BY, "max_errors", twice },
		{ "needless", RULE_NEEDLESS, NULL, NULL },
		{ "cannot", RULE_CANNOT, "no", NULL },
		{ "empty", RULE_CANNOT, "no", NULL },
		{ "route", RULE_ROUTE, NULL, NULL },
	};
	(void)state;
	add("SAME", "100"); /* the last one counts */
	add("same", "200");
	add("by", "3");
	add("needless", "x");
	add("cannot", "x");
	add("empty", "");
	add("route", "x");
	add("unknown", "x");
	translate_by_rules(&t, &sheet, rules, (int)ROWS(rules));
	assert_written(&t.common,
		"\n# x.conf:2: same=200\nmax_recipients = 200\n"
		"\n# x.conf:3: by=3\nmax_errors = 33\n"
		"\n# x.conf:5: cannot=x\n# WARNING: no\n"
		"\n# x.conf:8: unknown=x\n# WARNING: it is not known here; look whether it matters\n");
	assert_written(&t.needless, "needless");
	assert_int_equal(t.warnings, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_find, begin, finish),
		cmocka_unit_test_setup_teardown(test_source_is_shown_once, begin, finish),
		cmocka_unit_test_setup_teardown(test_secret, begin, finish),
		cmocka_unit_test_setup_teardown(test_password, begin, finish),
		cmocka_unit_test_setup_teardown(test_not_taken, begin, finish),
		cmocka_unit_test_setup_teardown(test_host, begin, finish),
		cmocka_unit_test_setup_teardown(test_rules, begin, finish),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
