/* PROXY headers, whole and cut at every byte; places in the table of counts. */
#include "tests/unit/unit.h"

#include <sys/stat.h>

#include "process/counts.h"
#include "session/proxy.h"

#define X20 "xxxxxxxxxxxxxxxxxxxx"
#define X216 X20 X20 X20 X20 X20 X20 X20 X20 X20 X20 "1234567890123456"
#define V2 "\r\n\r\n\0\r\nQUIT\n"

static const struct row {
	const char *in;
	size_t n;
	enum proxy_result want;
	const char *client;
} rows[] = {
#define ROW(text, want, client) { text, sizeof(text) - 1, want, client }
	ROW("PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n", PROXY_CLIENT, "192.0.2.7"),
	ROW("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n", PROXY_CLIENT, "2001:db8::7"),
	ROW("PROXY UNKNOWN ffff:f...f:ffff\r\n", PROXY_ITSELF, NULL),
	ROW("PROXY TCP4 192.0.2.7 192.0.2.8 1234 65536\r\n", PROXY_BAD, NULL),
	ROW("PROXY TCP4 192.0.2.7 192.0.2.8 1234 25 \r\n", PROXY_CLIENT, "192.0.2.7"),
	ROW("PROXY TCP4 192.0.2.7 192.0.2.8 1234 25 x\r\n", PROXY_BAD, NULL),
	ROW("PROXY TCP4  192.0.2.7 192.0.2.8 1234 25\r\n", PROXY_BAD, NULL),
	ROW("PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\n", PROXY_BAD, NULL),
	ROW("PROXY TCP4 2001:db8::7 ::1 1234 25\r\n", PROXY_BAD, NULL),
	ROW("PROXY TCP4 192.0.2.7 192.0.2.8 1234 -1\r\n", PROXY_BAD, NULL),
	ROW("PROXY TCP4 192.0.2.7 192.0.2.8 1234 000025\r\n", PROXY_BAD, NULL),
	ROW("PROXY TCP4 192.0.2.7 192.0.2.8 1234 \r\n", PROXY_BAD, NULL),
	ROW("PROXY TCP4 192.0.2.7 192.0.2.8 1234\r\n", PROXY_BAD, NULL),
	ROW("PROXY TCP4 192.0.2.7 x 1234 25\r\n", PROXY_BAD, NULL),
	/* L52: mapped addresses are their IPv4 */
	ROW("PROXY TCP6 ::ffff:203.0.113.9 ::ffff:192.0.2.1 40000 25\r\n", PROXY_CLIENT, "203.0.113.9"),
	ROW("PROXY TCP6 ::FFFF:cb00:7109 2001:db8::1 40000 25\r\n", PROXY_CLIENT, "203.0.113.9"),
	ROW("PROXY TCP4 203.0.113.9 ::ffff:192.0.2.1 40000 25\r\n", PROXY_CLIENT, "203.0.113.9"),
	ROW("PROXY TCP4 ::ffff:203.0.113.9 192.0.2.1 40000 25\r\n", PROXY_CLIENT, "203.0.113.9"),
	/* ... and so are those that a proxy did not map; nginx and others mix families */
	ROW("PROXY TCP6 192.0.2.7 192.0.2.8 1234 25\r\n", PROXY_CLIENT, "192.0.2.7"),
	ROW("PROXY TCP6 192.0.2.7 2001:db8::1 1234 25\r\n", PROXY_CLIENT, "192.0.2.7"),
	ROW("PROXY TCP6 2001:db8::7 192.0.2.1 1234 25\r\n", PROXY_CLIENT, "2001:db8::7"),
	ROW("PROXY TCP4 192.0.2.7 2001:db8::1 1234 25\r\n", PROXY_CLIENT, "192.0.2.7"),
	/* who is on the same link has a scope */
	ROW("PROXY TCP6 fe80::7%eth0 fe80::1%2 1234 25\r\n", PROXY_CLIENT, "fe80::7"),
	ROW("PROXY TCP6 %eth0 fe80::1%2 1234 25\r\n", PROXY_BAD, NULL),
	/* A line has 107 octets at the most, with its CRLF. */
	ROW("PROXY UNKNOWN " X20 X20 X20 X20 "12345678901\r\n", PROXY_ITSELF, NULL),
	ROW("PROXY UNKNOWN " X20 X20 X20 X20 "123456789012\r\n", PROXY_BAD, NULL),
	ROW("PROXY TCP5 192.0.2.7 192.0.2.8 1234 25\r\n", PROXY_BAD, NULL),
	ROW("proxy TCP4 192.0.2.7 192.0.2.8 1234 25\r\n", PROXY_BAD, NULL),
	ROW("PROXY\r\n", PROXY_BAD, NULL),
	ROW("\n", PROXY_BAD, NULL),
	ROW(V2 "\x21\x11\0\x0c\xc0\0\2\7\xc0\0\2\10\4\2\0\x19", PROXY_CLIENT, "192.0.2.7"),
	ROW(V2 "\x20\0\0\0", PROXY_ITSELF, NULL),
	ROW(V2 "\x22\x11\0\0", PROXY_BAD, NULL),
	/* no such command */
	ROW(V2 "\x22\x11\0\x0c\xc0\0\2\7\xc0\0\2\10\4\2\0\x19", PROXY_BAD, NULL),
	ROW(V2 "\x21\x11\0\x0b\xc0\0\2\7\xc0\0\2\10\4\2\0", PROXY_BAD, NULL), /* an octet short */
	ROW(V2 "\x11\x11\0\x0c\xc0\0\2\7\xc0\0\2\10\4\2\0\x19", PROXY_BAD, NULL), /* version 1 */
	ROW(V2 "\x21\x11\xff\xff", PROXY_BAD, NULL), /* of 64 KiB */
	ROW(V2 "\x21\x21\0\x24\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\10\4\2\0\x19",
		PROXY_CLIENT, "2001:db8::7"),
	/* L52: a mapped address; a client of a UNIX socket, of no family, and those cut short */
	ROW(V2 "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\0\x71\x09\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1\x9c\x40\0\x19",
		PROXY_CLIENT, "203.0.113.9"),
	ROW(V2 "\x21\0\0\0", PROXY_ITSELF, NULL),
	ROW(V2 "\x21\x31\0\xd8" X216, PROXY_ITSELF, NULL),
	ROW(V2 "\x21\x31\0\x0c" "123456789012", PROXY_BAD, NULL),
	ROW(V2 "\x21\x12\0\x0c\xc0\0\2\7\xc0\0\2\10\4\2\0\x19", PROXY_BAD, NULL), /* UDP */
	/* what else it says of the client: 1080 octets; and more than there may be */
	ROW(V2 "\x21\x11\x04\x44\xc0\0\2\7\xc0\0\2\10\4\2\0\x19" X216 X216 X216 X216 X216,
		PROXY_CLIENT, "192.0.2.7"),
	ROW(V2 "\x21\x11\x10\x01\xc0\0\2\7", PROXY_BAD, NULL),
#undef ROW
};

static void
test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct row *row = &rows[i];
		struct netaddr a;
		size_t used = 0;
		for (size_t cut = 0; cut < row->n; cut++) {
			enum proxy_result r = proxy_parse(guarded((struct span){ row->in, cut }),
				&used, &a);
			assert_true(r == PROXY_MORE || r == row->want);
		}
		assert_int_equal(proxy_parse(guarded((struct span){ row->in, row->n }), &used, &a),
			row->want);
		if (row->want == PROXY_CLIENT || row->want == PROXY_ITSELF)
			assert_int_equal(used, row->n);
		if (row->client != NULL) {
			char text[NETADDR_TEXT];
			netaddr_text(&a, text);
			assert_string_equal(text, row->client);
		}
	}
}

static struct netaddr
address(const char *text)
{
	struct netaddr a;
	assert_int_equal(netaddr_parse(span_of(text), &a), 0);
	return a;
}

static int64_t
hit(const char *directory, const char *client)
{
	struct quota q;
	struct netaddr a = address(client);
	assert_int_equal(counts_map(directory, &q), 0);
	quota_client(&q, &a, 1000000000); /* a window that does not end in this test */
	return quota_add(&q, QUOTA_CONNECTIONS, 1);
}

/* Every process has a mapping of its own; here every hit has. */
static void
test_counts(void **state)
{
	(void)state;
	char where[] = "/tmp/postern-quota-XXXXXX", file[64];
	assert_non_null(mkdtemp(where));
	assert_int_equal(hit(where, "192.0.2.1"), 1);
	assert_int_equal(hit(where, "192.0.2.1"), 2);
	assert_int_equal(hit(where, "192.0.2.2"), 1);
	assert_int_equal(hit(where, "2001:db8::1"), 1);
	assert_int_equal(hit(where, "2001:db8::2"), 2); /* the same /64 */
	assert_int_equal(hit(where, "2001:db8:0:1::2"), 1);
	struct quota none = { 0 };
	assert_int_equal(quota_add(&none, QUOTA_ERRORS, 5), 0);
	assert_int_equal(quota_count(&none, QUOTA_ERRORS), 0);
	snprintf(file, sizeof(file), "%s/" COUNTS_FILE, where);
	unlink(file);
	rmdir(where);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_counts),
	};
	return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
