/* fetching: what a fetch says, and what it means that it says nothing (R81, R86). */
#include "tests/unit/unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/fetching.h"
#include "lib/clock.h"

enum { SECONDS = 60 };

/* The other end says this, and is gone; then what the question comes to. */
static enum fetch_trouble
hear(struct span said, int64_t seconds, struct buf *body, struct buf *why)
{
	const struct fetch_question q = { .host = "d.example", .path = "/" };
	struct fetch_reply reply;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	if (said.n > 0)
		assert_int_equal(write(ends[1], said.p, said.n), said.n);
	assert_int_equal(shutdown(ends[1], SHUT_WR), 0);
	enum fetch_trouble t =
		fetching_ask(ends[0], &q, NULL, clock_deadline(seconds), &reply, body, why);
	close(ends[0]);
	close(ends[1]);
	return t;
}

/* Its end before it said that it is there is this host's; behind that it is the web server's. */
static void
test_end(void **state)
{
	static const struct {
		const char *said;
		enum fetch_trouble means;
		const char *why;
	} rows[] = {
		{ "", FETCH_NONE, "no fetch can be started on this host" },
		{ "x", FETCH_NONE, "no fetch can be started on this host" },
		{ "R", FETCH_FAILED, "fetch ended without an answer" },
		{ "Rabc", FETCH_FAILED, "fetch ended without an answer" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf body = buf_new(FETCH_REPLY), why = buf_new(FETCH_WHY);
		assert_int_equal(hear(span_of(rows[i].said), SECONDS, &body, &why), rows[i].means);
		assert_true(span_eq(buf_span(&why), span_of(rows[i].why)));
		buf_free(&body);
		buf_free(&why);
	}
}

/* A web server that used up all the time: nothing of that is this host's. */
static void
test_late(void **state)
{
	struct buf body = buf_new(FETCH_REPLY), why = buf_new(FETCH_WHY);
	(void)state;
	assert_int_equal(hear(span_of("R"), 0, &body, &why), FETCH_FAILED);
	assert_true(span_eq(buf_span(&why), span_of("timed out")));
	buf_free(&body);
	buf_free(&why);
}

static void
test_reply(void **state)
{
	char said[1 + sizeof(struct fetch_reply) + 4] = { FETCH_READY };
	struct fetch_reply reply = { .trouble = FETCH_DONE, .status = 200, .n = 4 };
	struct buf body = buf_new(FETCH_REPLY), why = buf_new(FETCH_WHY);
	static const struct { uint32_t says; enum fetch_trouble means; } rows[] = {
		{ FETCH_DONE, FETCH_DONE }, { FETCH_CERTIFICATE, FETCH_CERTIFICATE },
		{ FETCH_FAILED, FETCH_FAILED },
		{ FETCH_NONE, FETCH_FAILED }, /* a fetch that was taken over says that it is none */
		{ 77, FETCH_FAILED },
	};
	(void)state;
	memset(reply.why, 'w', sizeof(reply.why));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		reply.trouble = rows[i].says;
		memcpy(said + 1, &reply, sizeof(reply));
		memcpy(said + 1 + sizeof(reply), "text", 4);
		assert_int_equal(hear((struct span){ said, sizeof(said) }, SECONDS, &body, &why),
			rows[i].means);
		assert_true(span_eq(buf_span(&body), span_of("text")));
		assert_int_equal(why.n == 0, rows[i].means == FETCH_DONE);
	}
	reply.n = FETCH_REPLY + 1;
	memcpy(said + 1, &reply, sizeof(reply));
	assert_int_equal(hear((struct span){ said, sizeof(said) }, SECONDS, &body, &why),
		FETCH_FAILED);
	buf_free(&body);
	buf_free(&why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_reply),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
