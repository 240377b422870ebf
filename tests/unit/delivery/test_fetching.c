/* fetching: what a fetch says, and what it means that it says nothing (R81, R86). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "delivery/destinations.h"
#include "delivery/fetching.h"
#include "lib/clock.h"
#include "sending/dial.h"

enum { SECONDS = 60 };

static struct fetch_question heard; /* by the other end; zeroed: none */

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
	heard = (struct fetch_question){ 0 };
	(void)recv(ends[1], &heard, sizeof(heard), MSG_DONTWAIT);
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

/* It ends when who asks does: then another one may take its place, and there is a most of them. */
static void
test_time(void **state)
{
	struct buf body = buf_new(FETCH_REPLY), why = buf_new(FETCH_WHY);
	(void)state;
	assert_int_equal(hear(span_of("R"), SECONDS, &body, &why), FETCH_FAILED);
	assert_string_equal(heard.host, "d.example");
	assert_in_range(heard.ms, 1, SECONDS * 1000);
	buf_free(&body);
	buf_free(&why);
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

/* How one ended tells whether it could do its work, whatever it said. */
static void
test_how_it_ended(void **state)
{
	static const struct { int status; const char *why; } rows[] = {
		{ W_EXITCODE(0, 0), "" },
		{ W_EXITCODE(1, 0), "it ended with status 1" },
		{ W_EXITCODE(78, 0), "it ended with status 78" },
		{ W_EXITCODE(127, 0), "it ended with status 127: is a library missing?" },
		{ W_EXITCODE(0, SIGKILL), "it was killed by signal 9" },
		{ W_EXITCODE(0, SIGSYS), "it was killed by signal 31" },
		{ W_EXITCODE(0, SIGALRM), "it was killed by signal 14, for it did not end in its "
			"time" },
		{ W_EXITCODE(0, SIGXCPU), "it was killed by signal 24, for it has kept a processor "
			"busy for too long" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf why = buf_new(FETCH_WHY);
		assert_int_equal(fetching_has_failed(rows[i].status, &why), rows[i].why[0] != '\0');
		assert_true(span_eq(buf_span(&why), span_of(rows[i].why)));
		buf_free(&why);
	}
}

/* ---- the connection -------------------------------------------------------------------------- */

static int dialled[4], dials;     /* what comes of each address: -errno */
static enum answer found;
static bool no_memory, unreached; /* no nameserver is */

int __wrap_dial_begin(const struct exchanger *to, const char *source);
enum answer __wrap_resolver_addresses(struct resolver *r, const char *name, enum family family,
	int64_t deadline, struct exchangers *out);
bool __wrap_destinations_vet(const struct conf *conf, const struct conf_delivery *way,
	struct exchangers *x);
struct resolver *__wrap_resolver_copy(const struct resolver *r);
void __wrap_resolver_close(struct resolver *r);
void __wrap_resolver_use_dane(struct resolver *r, uint16_t port);

int
__wrap_dial_begin(const struct exchanger *to, const char *source)
{
	(void)to;
	(void)source;
	return dialled[dials++];
}

enum answer
__wrap_resolver_addresses(struct resolver *r, const char *name, enum family family,
	int64_t deadline, struct exchangers *out)
{
	(void)r;
	(void)name;
	(void)family;
	(void)deadline;
	out->v = calloc(2, sizeof(*out->v));
	out->n = 2;
	out->unreached = unreached;
	return found;
}

bool
__wrap_destinations_vet(const struct conf *conf, const struct conf_delivery *way,
	struct exchangers *x)
{
	(void)conf;
	(void)way;
	(void)x;
	return true;
}

struct resolver *
__wrap_resolver_copy(const struct resolver *r)
{
	(void)r;
	return no_memory ? NULL : (struct resolver *)&no_memory; /* nobody looks into it */
}

void
__wrap_resolver_close(struct resolver *r)
{
	(void)r;
}

void
__wrap_resolver_use_dane(struct resolver *r, uint16_t port)
{
	(void)r;
	(void)port;
}

static void
test_connect(void **state)
{
	static const struct { int first, second, means; } rows[] = {
		{ -EMFILE, -EMFILE, FETCHING_UNABLE }, { -ENFILE, -ENOBUFS, FETCHING_UNABLE },
		{ -ECONNREFUSED, -ENOMEM, FETCHING_UNABLE },
		{ -ENETUNREACH, -ENETUNREACH, -1 }, { -EMFILE, -ECONNREFUSED, -1 },
		{ -ETIMEDOUT, -EHOSTUNREACH, -1 }, { -EADDRNOTAVAIL, -EACCES, -1 },
	};
	static struct conf conf;
	(void)state;
	struct buf why = buf_new(1000);
	found = ANSWER_FOUND;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		dials = 0;
		dialled[0] = rows[i].first;
		dialled[1] = rows[i].second;
		assert_int_equal(fetching_connect(NULL, &conf, "h.example", 443,
			clock_deadline(SECONDS), &why), rows[i].means);
		assert_int_equal(dials, 2);
		assert_true(why.n > 0);
	}
	found = ANSWER_TEMPORARY;
	assert_int_equal(fetching_connect(NULL, &conf, "h.example", 443, clock_deadline(SECONDS),
		&why), -1);
	unreached = true; /* for want of a descriptor, say: of the web server nothing is known */
	assert_int_equal(fetching_connect(NULL, &conf, "h.example", 443, clock_deadline(SECONDS),
		&why), FETCHING_UNABLE);
	no_memory = true;
	assert_int_equal(fetching_connect(NULL, &conf, "h.example", 443, clock_deadline(SECONDS),
		&why), FETCHING_UNABLE);
	buf_free(&why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_how_it_ended),
		cmocka_unit_test(test_connect),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
