/* fields: who a message goes to, what is taken out of its header, and what is added. */
#include "tests/unit/unit.h"

#include "lib/buf.h"
#include "submit/fields.h"

static int
note(void *to, const char *name, struct span value)
{
	struct span v = span_trim(span_chomp(value));
	buf_printf(to, "%s=%.*s|", name, (int)v.n, v.p);
	return 0;
}

static int
stop(void *to, const char *name, struct span value)
{
	(void)note(to, name, value);
	return 67;
}

static void
test_recipients(void **state)
{
	(void)state;
	static const struct {
		const char *header, *want;
	} rows[] = {
		{ "", "" },
		{ "Subject: x\r\n", "" },
		{ "To: a\r\nFrom: f\r\nCC: b\r\nbcc : c\r\nTo: d\r\n", "To=a|Cc=b|Bcc=c|To=d|" },
		{ "To: a,\r\n\tb\r\nSubject: x\r\n", "To=a,\r\n\tb|" },
		{ "X-To: a\r\nTo-X: b\r\n", "" },
		{ "To: a\r\nResent-To: b\r\nResent-Bcc: c\r\nBcc: d\r\n", "Resent-To=b|Resent-Bcc=c|" },
		{ "To: a\r\nResent-From: b\r\n", "To=a|" },
	};
	struct buf got = buf_new(1000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		buf_reset(&got);
		assert_int_equal(fields_recipients(guarded(span_of(rows[i].header)), note, &got), 0);
		if (!span_eq(buf_span(&got), span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].header, (int)got.n, got.p);
	}
	buf_reset(&got);
	assert_int_equal(fields_recipients(span_of("To: a\r\nCc: b\r\n"), stop, &got), 67);
	assert_true(span_eq(buf_span(&got), span_of("To=a|")));
	buf_free(&got);
}

static void
test_write(void **state)
{
	(void)state;
	static const struct {
		const char *header, *want;
	} rows[] = {
		{ "To: a@b.example\r\n", "To: a@b.example\r\n" },
		{ "BCC: a@b.example\r\nTo: c@d.example\r\n", "To: c@d.example\r\n" },
		{ "Bcc: a@b.example,\r\n\tc@d.example,\r\n e@f.example\r\nSubject: x\r\n",
			"Subject: x\r\n" },
		{ "Bcc : a@b.example\r\nResent-Bcc: x@y.example\r\nReturn-Path: <a>\r\n", "" },
		{ "X-Bcc: a\r\n", "X-Bcc: a\r\n" },
		{ "From: root (Cron Daemon)\r\n", "From: root@site.example (Cron Daemon)\r\n" },
		{ "To: root, a@b.example, Joe <joe>\r\n",
			"To: root@site.example, a@b.example, Joe <joe@site.example>\r\n" },
		{ "cc: root,\r\n\tjoe\r\n", "cc: root@site.example,\r\n\tjoe@site.example\r\n" },
		{ "Reply-To: a\r\nSender: b\r\nResent-To: c\r\n",
			"Reply-To: a@site.example\r\nSender: b@site.example\r\n"
			"Resent-To: c@site.example\r\n" },
		{ "To: undisclosed-recipients:;\r\n", "To: undisclosed-recipients:;\r\n" },
		{ "To: joe doe\r\n", "To: joe doe\r\n" }, /* no list of addresses */
		{ "To: root, joe doe\r\n", "To: root@site.example, joe doe\r\n" },
		{ "From: <>\r\n", "From: <>\r\n" },
		{ "Subject: root\r\nX-From: root\r\n", "Subject: root\r\nX-From: root\r\n" },
	};
	struct buf got = buf_new(1000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		buf_reset(&got);
		fields_write(guarded(span_of(rows[i].header)), "site.example", &got);
		if (!span_eq(buf_span(&got), span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].header, (int)got.n, got.p);
	}
	buf_free(&got);
}

static bool
holds(const struct buf *b, const char *what)
{
	return b->n > 0 && memmem(b->p, b->n, what, strlen(what)) != NULL;
}

static void
test_missing(void **state)
{
	(void)state;
	const struct fields_origin o = { .domain = "site.example", .address = "joe@site.example",
		.name = "Joe Doe" };
	struct buf got = buf_new(1000);
	fields_add_missing(span_of("Subject: x\r\n"), &o, &got);
	assert_true(holds(&got, "From: Joe Doe <joe@site.example>\r\n"));
	assert_true(holds(&got, "Date: ") && holds(&got, " +0000\r\n"));
	assert_true(holds(&got, "Message-ID: <") && holds(&got, "@site.example>\r\n"));

	buf_reset(&got);
	fields_add_missing(span_of("from: x\r\nDATE: y\r\nmessage-id: z\r\n"), &o, &got);
	assert_int_equal(got.n, 0);

	const struct fields_origin plain = { .domain = "d", .address = "a@d", .name = "" };
	fields_add_missing(span_of("Date: y\r\nMessage-ID: z\r\n"), &plain, &got);
	assert_true(span_eq(buf_span(&got), span_of("From: a@d\r\n")));
	buf_free(&got);
}

/* What anybody writes as a name begins no field, and ends none. */
static void
test_phrase(void **state)
{
	(void)state;
	static const struct {
		const char *name, *want;
	} rows[] = {
		{ "", "" },
		{ "Joe Doe", "Joe Doe" },
		{ "  Joe  ", "Joe" },
		{ "J. Doe", "\"J. Doe\"" },
		{ "Doe, Joe", "\"Doe, Joe\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "x\r\nBcc: y@z.example", "\"xBcc: y@z.example\"" },
		{ "x\n\n<script>", "\"x<script>\"" },
		{ "=?utf-8?q?x?=", "\"=?utf-8?q?x?=\"" },
		{ "J\xc3\xb6rg", "=?utf-8?b?SsO2cmc=?=" },
		{ "J\xf6rg", "=?iso-8859-1?b?SvZyZw==?=" },
		{ "\x01\x7f", "" },
	};
	struct buf got = buf_new(2000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		buf_reset(&got);
		fields_phrase(&got, guarded(span_of(rows[i].name)));
		if (!span_eq(buf_span(&got), span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].name, (int)got.n, got.p);
	}
	/* Long ones in words of 75 octets at the most, without half a character. */
	char name[1000];
	for (size_t i = 0; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "\xc3\xb6", 3);
	buf_reset(&got);
	fields_phrase(&got, span_of(name));
	struct span rest = buf_span(&got);
	while (rest.n > 0) {
		struct span line = span_trim(span_line(&rest));
		assert_true(line.n <= 75 && span_starts(line, span_of("=?utf-8?b?")));
		assert_int_equal((line.n - 12) % 4, 0);
	}
	buf_free(&got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_phrase),
	};
	return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
