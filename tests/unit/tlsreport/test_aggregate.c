/* aggregate: files that were counted, as JSON, compressed (R86). */
#include "tests/unit/spooled.h"


#include <zlib.h>

#include "lib/crc.h"
#include "report/tlsrpt.h"
#include "lib/fetchwire.h"
#include "tests/unit/tlsreport/shut.h"
#include "tlsreport/aggregate.h"
#include "tlsreport/outbox.h"
#include "tlsreport/rua.h"

static const struct aggregate what = { .day = "2026-11-30", .domain = "a.example",
	.organization = "us.example", .contact = "tls@us.example", .id = "id@us.example" };

#define HEAD \
	"{\n \"organization-name\": \"us.example\",\n \"date-range\": {\n" \
	"  \"start-datetime\": \"2026-11-30T00:00:00Z\",\n" \
	"  \"end-datetime\": \"2026-11-30T23:59:59Z\"\n },\n" \
	" \"contact-info\": \"tls@us.example\",\n \"report-id\": \"id@us.example\",\n" \
	" \"policies\": [\n"

/* A file as queue/tally.c would have written it. */
static void
put(const char *name, const char *text, int times)
{
	static char file[TALLY_KEY + 2048];
	size_t n = strlen(text);
	int end = snprintf(file, sizeof(file), "tally %zu %08x\n%s", n, crc32c(0, text, n), text);
	memset(file + end, '+', (size_t)times);
	spill(sp.tmp, name, (struct span){ file, (size_t)(end + times) });
}

static void
says(const char *want)
{
	struct buf out = buf_new(AGGREGATE_MAX);
	assert_int_equal(aggregate_write(&what, sp.tmp, &out), 0);
	buf_add(&out, (struct span){ "", 1 });
	assert_string_equal(out.p, want);
	buf_free(&out);
}

static void
test_written(void **state)
{
	(void)state;
	put("01", "policy no-policy-found\ndomain a.example\nresult success\n", 5);
	says(HEAD "  {\n   \"policy\": {\n    \"policy-type\": \"no-policy-found\",\n"
		"    \"policy-domain\": \"a.example\"\n   },\n   \"summary\": {\n"
		"    \"total-successful-session-count\": 5,\n"
		"    \"total-failure-session-count\": 0\n   }\n  }\n ]\n}");
}

static void
test_failures(void **state)
{
	(void)state;
	put("03", "policy sts\ndomain a.example\ntext version: \"STSv1\"\ntext mode: x\nmx *.b\n"
		"result certificate-expired\nfrom 192.0.2.1\nto 2001:db8::1\nhost mx.b\nhelo b\n"
		"why it\\x0d is\n", 2);
	put("02", "policy sts\ndomain a.example\ntext version: \"STSv1\"\ntext mode: x\nmx *.b\n"
		"result success\n", 7);
	put("04", "policy sts\ndomain a.example\ntext version: \"STSv1\"\ntext mode: x\nmx *.b\n"
		"result sts-policy-invalid\n", 1);
	says(HEAD "  {\n   \"policy\": {\n    \"policy-type\": \"sts\",\n"
		"    \"policy-domain\": \"a.example\",\n    \"policy-string\": [\n"
		"     \"version: \\\"STSv1\\\"\",\n     \"mode: x\"\n    ],\n"
		"    \"mx-host\": [\n     \"*.b\"\n    ]\n   },\n   \"summary\": {\n"
		"    \"total-successful-session-count\": 7,\n"
		"    \"total-failure-session-count\": 3\n   },\n   \"failure-details\": [\n"
		"    {\n     \"result-type\": \"certificate-expired\",\n"
		"     \"sending-mta-ip\": \"192.0.2.1\",\n"
		"     \"receiving-ip\": \"2001:db8::1\",\n"
		"     \"receiving-mx-hostname\": \"mx.b\",\n"
		"     \"receiving-mx-helo\": \"b\",\n"
		"     \"failure-reason-code\": \"it\\\\x0d is\",\n"
		"     \"failed-session-count\": 2\n    },\n"
		"    {\n     \"result-type\": \"sts-policy-invalid\",\n"
		"     \"failed-session-count\": 1\n    }\n   ]\n  }\n ]\n}");
}

/* What is torn, odd or somebody else's is passed by; if nothing is left, there is no report. */
static void
test_odd(void **state)
{
	struct buf out = buf_new(AGGREGATE_MAX);
	(void)state;
	spill(sp.tmp, "01", span_of("tally 3 00000000\nabc+"));
	spill(sp.tmp, "02", span_of("policy sts\nresult success\n"));
	put("03", "result success\n", 1);
	put("04", "policy sts\ndomain a\n", 1);
	put("05", "policy sts\nhost a\nresult success\n", 1);
	put("@06", "policy sts\nresult success\n", 1);
	put(".07", "policy sts\nresult success\n", 1);
	put("08-and-a-name-that-none-of-ours-has-for-it", "policy sts\nresult success\n", 1);
	assert_int_equal(mkdirat(sp.tmp, "09", 0700), 0);
	assert_int_equal(aggregate_write(&what, sp.tmp, &out), -ENODATA);
	assert_int_equal(aggregate_write(&what, -1, &out), -EBADF);
	assert_int_equal(out.n, 0);
	buf_free(&out);
}

/* What cannot be read now is not left out: there is no report yet. */
static void
test_shut(void **state)
{
	static const char *const names[] = { "01", "02", "." };
	(void)state;
	put("01", "policy sts\nresult success\n", 1);
	put("02", "policy sts\nresult validation-failure\n", 1);
	for (size_t i = 0; i < ROWS(names); i++) {
		struct buf out = buf_new(AGGREGATE_MAX);
		shut = names[i];
		assert_int_equal(aggregate_write(&what, sp.tmp, &out), -EMFILE);
		shut = NULL;
		assert_int_equal(aggregate_write(&what, sp.tmp, &out), 0);
		buf_free(&out);
	}
}

/* As many files as there can be, and more: not one octet beyond. */
static void
test_many(void **state)
{
	char name[32], text[200];
	struct buf out = buf_new(AGGREGATE_MAX);
	(void)state;
	for (int i = 0; i < 3 * TALLY_FILES; i++) {
		snprintf(name, sizeof(name), "%016x", i);
		snprintf(text, sizeof(text), "policy sts\ndomain %d.example\nresult success\n", i);
		put(name, text, 1);
	}
	assert_int_equal(aggregate_write(&what, sp.tmp, &out), 0);
	int n = 0;
	for (const char *p = out.p; (p = memmem(p, (size_t)(out.p + out.n - p), "\"policy\"", 8)) !=
		NULL; p += 8)
		n++;
	assert_int_equal(n, 2 * TALLY_FILES);
	buf_free(&out);
	out = buf_new(1000); /* no room: nothing is sent by halves */
	assert_int_equal(aggregate_write(&what, sp.tmp, &out), -E2BIG);
	buf_free(&out);
}

/*
 * The most that hosts can have us count, in the form that takes most room, is a report all the
 * same: a stranger has no way to have none made, nor one that is too large to be posted.
 */
static void
test_largest(void **state)
{
	static const char line[] = "mx \\\n"; /* one octet of a value, which takes two */
	static char text[TALLY_KEY + 1];
	struct buf out = buf_new(AGGREGATE_MAX), packed = buf_new(AGGREGATE_MAX);
	(void)state;
	for (int i = 0; i < 2 * TALLY_FILES; i++) {
		char name[32];
		size_t n = (size_t)snprintf(text, sizeof(text), "policy sts\ndomain %d\n", i);
		while (n + 2 * sizeof(line) + sizeof("result validation-failure\n") < TALLY_KEY)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", line);
		snprintf(text + n, sizeof(text) - n, "result validation-failure\n");
		snprintf(name, sizeof(name), "%016x", i);
		put(name, text, 1);
	}
	assert_int_equal(aggregate_write(&what, sp.tmp, &out), 0);
	assert_true(out.n > (size_t)TALLY_FILES * TALLY_KEY);
	assert_int_equal(aggregate_pack(buf_span(&out), &packed), 0);
	assert_true(packed.n > 0 && packed.n <= FETCH_POST);
	assert_true((int)AGGREGATE_MAX <= (int)FETCH_POST);
	assert_true((int)AGGREGATE_MAX < (int)OUTBOX_POST - (int)RUA_URL);
	buf_free(&out);
	buf_free(&packed);
}

static void
test_packed(void **state)
{
	static char text[100000], again[sizeof(text) + 1];
	struct buf out = buf_new(AGGREGATE_MAX);
	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)((i * i * 2654435761U) >> 13);
	assert_int_equal(aggregate_pack((struct span){ text, sizeof(text) }, &out), 0);
	z_stream z = { .next_in = (Bytef *)out.p, .avail_in = (uInt)out.n,
		.next_out = (Bytef *)again, .avail_out = sizeof(again) };
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, sizeof(text));
	assert_memory_equal(again, text, sizeof(text));
	inflateEnd(&z);
	buf_free(&out);
	out = buf_new(100);
	assert_int_equal(aggregate_pack((struct span){ text, sizeof(text) }, &out), -E2BIG);
	buf_free(&out);
}

static void
test_name(void **state)
{
	struct aggregate a = what;
	(void)state;
	aggregate_name(&a, "mx.us.example");
	assert_string_equal(a.id, "2026-11-30.a.example@mx.us.example");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_written),
		TEST(test_failures),
		TEST(test_odd),
		TEST(test_shut),
		TEST(test_many),
		TEST(test_largest),
		TEST(test_packed),
		TEST(test_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
