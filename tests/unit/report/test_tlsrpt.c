/* tlsrpt: what is noted of a session, and read again (R86). */
#include "tests/unit/tallied.h"

#include "report/tlsrpt.h"

/* The only file of the domain on that day. */
static struct span
noted(const char *domain, struct buf *text)
{
	char path[400];
	int64_t times = 0;
	snprintf(path, sizeof(path), "tlsrpt/2026-11-30/%s", domain);
	assert_int_equal(names(path), 1);
	int fd = openat(sp.root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		(void)tally_read(fd, e->d_name, text, &times);
	closedir(dir);
	assert_int_equal(times, 1);
	return buf_span(text);
}

static struct netaddr
address(const char *text)
{
	struct netaddr a;
	assert_int_equal(netaddr_parse(span_of(text), &a), 0);
	return a;
}

static void
test_noted(void **state)
{
	(void)state;
	const struct netaddr from = address("192.0.2.1"), to = address("2001:db8::25");
	const struct tlsrpt_policy sts = { .type = TLSRPT_STS,
		.text = span_of("version: STSv1\r\nmode: enforce\r\n\r\nmx: *.a.example\r\n"),
		.mx = span_of("*.a.example\n") };
	const struct {
		struct tlsrpt_session session;
		const char *text;
	} rows[] = {
		{ { .domain = "a.example", .result = TLS_RESULT_SUCCESS, .from = &from, .to = &to,
			  .host = "mx.a.example", .reason = "none" },
			"policy no-policy-found\ndomain a.example\nresult success\n" },
		{ { .domain = "a.example", .policy = sts, .result = TLS_RESULT_EXPIRED,
			  .from = &from, .to = &to, .host = "mx.a.example", .helo = "mx",
			  .reason = "certificate has expired" },
			"policy sts\ndomain a.example\ntext version: STSv1\ntext mode: enforce\n"
			"text mx: *.a.example\nmx *.a.example\nresult certificate-expired\n"
			"from 192.0.2.1\nto 2001:db8::25\nhost mx.a.example\nhelo mx\n"
			"why certificate has expired\n" },
		{ { .domain = "a.example",
			  .policy = { .type = TLSRPT_TLSA, .domain = "mx.b.example",
				  .text = span_of("3 1 1 ab\n2 0 1 cd") },
			  .result = TLS_RESULT_TLSA_INVALID },
			"policy tlsa\ndomain mx.b.example\ntext 3 1 1 ab\ntext 2 0 1 cd\n"
			"result tlsa-invalid\n" },
		{ { .domain = "a.example", .result = TLS_RESULT_VALIDATION,
			  .helo = "a\nresult success\\\xc3\xa9" },
			"policy no-policy-found\ndomain a.example\nresult validation-failure\n"
			"helo a\\x0aresult success\\x5c\\xc3\\xa9\n" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf text = buf_new(TALLY_KEY);
		assert_int_equal(tlsrpt_note(&tally, THEN, &rows[i].session), 0);
		struct span s = noted("a.example", &text);
		assert_int_equal(s.n, strlen(rows[i].text));
		assert_memory_equal(s.p, rows[i].text, s.n);
		buf_free(&text);
		(void)teardown(NULL);
		(void)setup(NULL);
		tally_open(&tally, &sp, 0);
	}
}

static void
test_not_noted(void **state)
{
	(void)state;
	static const char *const none[] = { "[192.0.2.1]", "route:hub", "../etc", "@out", "",
		"a b" };
	struct tlsrpt_session s = { .result = TLS_RESULT_SUCCESS };
	for (size_t i = 0; i < ROWS(none); i++) {
		s.domain = none[i];
		assert_int_equal(tlsrpt_note(&tally, THEN, &s), 0);
	}
	s = (struct tlsrpt_session){ .domain = "a.example" };
	assert_int_equal(tlsrpt_note(&tally, THEN, &s), 0);
	assert_int_equal(names("tlsrpt"), 0);
	struct tally off = { .spool = &sp, .dir = -1 };
	s.result = TLS_RESULT_SUCCESS;
	assert_int_equal(tlsrpt_note(&off, THEN, &s), 0);
	assert_int_equal(names("tlsrpt"), 0);
}

/* The longest that anybody could say is noted all the same, cut. */
static void
test_longest(void **state)
{
	static char lines[200 * 300], word[300];
	struct buf text = buf_new(TALLY_KEY);
	const struct netaddr a = address("2001:db8:1111:2222:3333:4444:5555:6666");
	(void)state;
	memset(word, 0xff, sizeof(word) - 1);
	memset(lines, 0xff, sizeof(lines));
	for (size_t i = 299; i < sizeof(lines); i += 300)
		lines[i] = '\n';
	char domain[LIMIT_DOMAIN + 1];
	memset(domain, 'a', sizeof(domain));
	for (size_t i = 63; i < sizeof(domain); i += 64)
		domain[i] = '.';
	domain[250] = '\0';
	struct tlsrpt_session s = { .domain = domain, .result = TLS_RESULT_STARTTLS_NOT_SUPPORTED,
		.policy = { .type = TLSRPT_NO_POLICY, .domain = word,
			.text = { lines, sizeof(lines) }, .mx = { lines, sizeof(lines) } },
		.from = &a, .to = &a, .host = word, .helo = word, .reason = word };
	assert_int_equal(tlsrpt_note(&tally, THEN, &s), 0);
	struct span rest = noted(domain, &text);
	struct tlsrpt_line line = { 0 };
	int n = 0;
	for (; tlsrpt_next(&rest, &line); n++)
		assert_true(line.value.n <= 4 * TLSRPT_LINE + 3);
	assert_int_equal(rest.n, 0);
	assert_int_equal(line.field, TLSRPT_WHY);
	assert_true(n > 10);
	buf_free(&text);
}

static void
test_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int lines;
		size_t policy; /* octets */
	} rows[] = {
		{ "policy sts\ndomain a\nresult success\n", 3, 20 },
		{ "policy sts\ndomain a\ntext a\nmx b\nresult success\nhost c\n", 6, 32 },
		{ "result success\n", 1, 0 },
		{ "policy sts\nodd x\nresult success\n", 1, 11 },
		{ "policy\nresult success\n", 0, 0 },
		{ "policy \nresult success\n", 0, 0 },
		{ "policy sts", 1, 10 },
		{ "policy sts\n\nresult success\n", 1, 11 },
		{ "", 0, 0 },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span text = guarded(span_of(rows[i].text)), rest = text;
		struct tlsrpt_line line;
		int n = 0;
		while (tlsrpt_next(&rest, &line))
			n++;
		assert_int_equal(n, rows[i].lines);
		assert_int_equal(tlsrpt_policy_of(text).n, rows[i].policy);
	}
}

/* The words are those of the RFC, each once. */
static void
test_words(void **state)
{
	(void)state;
	for (int i = TLS_RESULT_SUCCESS; i < TLS_RESULTS; i++)
		for (int j = i + 1; j < TLS_RESULTS; j++)
			assert_string_not_equal(tlsrpt_result_word((enum tls_result)i),
				tlsrpt_result_word((enum tls_result)j));
	assert_string_equal(tlsrpt_result_word(TLS_RESULT_HOST_MISMATCH),
		"certificate-host-mismatch");
	assert_string_equal(tlsrpt_result_word(TLS_RESULT_STS_WEBPKI), "sts-webpki-invalid");
	assert_string_equal(tlsrpt_type_word(TLSRPT_TLSA), "tlsa");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_noted),
		TEST(test_not_noted),
		TEST(test_longest),
		TEST(test_read),
		TEST(test_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
