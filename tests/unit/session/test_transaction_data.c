/* transaction: what becomes of the data: what is refused, and how it is told. */
#include "tests/unit/session/transacting.h"

#include <signal.h>
#include <sys/resource.h>

static const struct data_row {
	const char *mail;
	bool chunked;
	const char *text;
	size_t n; /* 0: its length */
	enum reply want;
} data[] = {
	{ "", false, HELLO ".\r\n", 0, R_QUEUED },
	{ "", false, ".\r\n", 0, R_QUEUED },
	{ "", false, "\r\nx\r\n.\r\n", 0, R_QUEUED },
	{ "", false, "a\nb\r\n.\r\n", 0, R_BARE_IN_DATA },
	{ "", false, "a\rb\r\n.\r\n", 0, R_BARE_IN_DATA },
	{ "", false, "a\0b\r\n.\r\n", 8, R_NUL_IN_DATA },
	{ "", false, " folded\r\n.\r\n", 0, R_BEGINS_FOLDED },
	{ "", false, "\tfolded\r\n.\r\n", 0, R_BEGINS_FOLDED },
	{ "", false, "a: b\r\n folded\r\n.\r\n", 0, R_QUEUED },
	{ "", true, HELLO, 0, R_QUEUED },
	{ "", true, ".\r\n.\r\n", 0, R_QUEUED },
	{ "", true, "a\nb\r\n", 0, R_BARE_IN_CHUNK },
	{ "", true, "a\rb\r\n", 0, R_BARE_IN_CHUNK },
	{ "", true, "a\r", 0, R_BARE_IN_CHUNK },
	{ "", true, "a\0b\r\n", 5, R_BARE_IN_CHUNK },
	{ "", true, " folded\r\n", 0, R_BEGINS_FOLDED },
	{ "", true, "", 0, R_QUEUED }, /* whatever the one before was */
	{ " BODY=BINARYMIME", true, "a\nb\rc\0d", 7, R_QUEUED },
	{ " BODY=BINARYMIME", true, "\tfolded\r\n", 0, R_BEGINS_FOLDED },
	{ " BODY=8BITMIME", true, "a\nb\r\n", 0, R_BARE_IN_CHUNK },
};

/* Whatever pieces it comes in; what is refused is in no lane. */
static void
test_data(void **state)
{
	(void)state;
	char mail[64];
	begin_with(RELAYS);
	for (size_t i = 0; i < ROWS(data); i++) {
		const struct data_row *row = &data[i];
		size_t n = row->n > 0 ? row->n : strlen(row->text);
		snprintf(mail, sizeof(mail), "FROM:<a@b.example>%s", row->mail);
		for (size_t step = n + 1; step > 0; step = step > 1 ? 1 : 0) {
			int before = names("lane/example.org");
			start_data(&stranger, mail, row->chunked);
			struct span text = { row->text, n };
			expect(send_data(text, row->chunked, step), row->want, row->text);
			transaction_drop(&t);
			int new = names("lane/example.org") - (before < 0 ? 0 : before);
			assert_int_equal(new, before < 0 && row->want != R_QUEUED ? -1
				: row->want == R_QUEUED);
			assert_int_equal(names("tmp"), 0);
		}
	}
}

/* Each chunk is told whether the message is fine so far; what is wrong stays wrong. */
static void
test_chunks(void **state)
{
	(void)state;
	int err;
	begin_with(RELAYS);
	start_data(&known, "FROM:<a@b.example>", true);
	expect(transaction_chunk(&t, guarded(span_of(HELLO))), R_CHUNK_OK, "good");
	expect(transaction_chunk(&t, guarded(span_of("a\nb\r\n"))), R_BARE_IN_CHUNK, "bad");
	expect(transaction_chunk(&t, guarded(span_of(HELLO))), R_BARE_IN_CHUNK, "good again");
	expect(transaction_finish(&t, &err), R_BARE_IN_CHUNK, "end");
	assert_int_equal(err, 0);
}

enum { RECEIVED = 256 }; /* more than our field has */

/* A message of `n` octets, as DATA or as a chunk. */
static enum reply
send_octets(size_t n, bool chunked)
{
	static char text[128 * 1024];
	assert_true(n + 3 <= sizeof(text));
	memset(text, 'x', n);
	memcpy(text + n - 2, "\r\n.\r\n", 5);
	start_data(&known, "FROM:<a@b.example>", chunked);
	enum reply r = send_data((struct span){ text, chunked ? n : n + 3 }, chunked, 10000);
	assert_true(t.draft.length <= 65536 + RECEIVED); /* nothing is kept beyond the limit */
	transaction_drop(&t);
	assert_int_equal(names("tmp"), 0);
	return r;
}

/* R24: max_size octets, and not one more; the dot at the end and our field do not count. */
static void
test_size(void **state)
{
	(void)state;
	begin_with(RELAYS "max_size = 65536\n");
	for (int chunked = 0; chunked < 2; chunked++) {
		expect(send_octets(65536, chunked), R_QUEUED, "all that is allowed");
		expect(send_octets(65537, chunked), R_TOO_LARGE, "more");
		expect(send_octets(100000, chunked), R_TOO_LARGE, "much more");
		expect(send_octets(3, chunked), R_QUEUED, "the next one");
	}
}

static enum reply
send_hops(int received, const char *rest)
{
	struct buf b = buf_new(64 * 1024);
	for (int i = 0; i < received; i++)
		buf_puts(&b, "Received: from x\r\n");
	buf_puts(&b, rest);
	start_data(&known, "FROM:<a@b.example>", false);
	enum reply r = send_data(buf_span(&b), false, 10000);
	transaction_drop(&t);
	buf_free(&b);
	return r;
}

/* R35: hops count in the header only, and anew for each message. */
static void
test_hops(void **state)
{
	(void)state;
	begin_with(RELAYS);
	for (int again = 0; again < 2; again++) {
		expect(send_hops(LIMIT_HOPS, "\r\nx\r\n.\r\n"), R_QUEUED, "the last hop");
		expect(send_hops(LIMIT_HOPS, "\r\nReceived: from x\r\n.\r\n"), R_QUEUED, "body");
		expect(send_hops(LIMIT_HOPS + 1, "\r\nx\r\n.\r\n"), R_TOO_MANY_HOPS, "too far");
	}
}

/* J3, J5: a spool that fails is trouble of ours, and why is told apart for the client. */
static void
test_spool_fails(void **state)
{
	(void)state;
	struct rlimit before, none;
	int err;
	size_t used;
	begin_with(RELAYS);
	start_data(&known, "FROM:<a@b.example>", false);
	assert_int_equal(transaction_data(&t, span_of(HELLO ".\r\n"), &used), DOT_END);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	enum reply r = transaction_finish(&t, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, old);
	expect(r, R_QUEUE_FULL, "no room");
	assert_int_equal(err, -EFBIG);
	transaction_drop(&t);

	struct spool gone = sp;
	gone.tmp = -1;
	start_data(&known, "FROM:<a@b.example>", false);
	t.draft.spool = &gone;
	assert_int_equal(transaction_data(&t, span_of(HELLO ".\r\n"), &used), DOT_END);
	expect(transaction_finish(&t, &err), R_QUEUE_ERROR, "no directory");
	assert_int_equal(err, -EBADF);
	transaction_drop(&t);
	assert_false(t.open);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_data),
		TEST(test_chunks),
		TEST(test_size),
		TEST(test_hops),
		TEST(test_spool_fails),
	};
	return cmocka_run_group_tests_name("transaction_data", tests, NULL, NULL);
}
