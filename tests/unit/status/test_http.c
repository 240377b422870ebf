/* http: what is asked for, whatever pieces it comes in. */
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "status/http.h"

static struct stream s;

/* What becomes of this head, split at `at`; `end`: the client says no more. */
static int
read_split(const char *text, size_t at, struct http_request *r)
{
	int ends[2];
	size_t n = strlen(text);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	pid_t child = fork();
	if (child == 0) {
		(void)!write(ends[1], text, at);
		(void)!write(ends[1], text + at, n - at);
		_exit(0);
	}
	close(ends[1]);
	stream_init(&s, ends[0], ends[0], true, NULL);
	int status = http_read(&s, "mx.example", clock_deadline(120), r);
	close(ends[0]);
	return status;
}

static void
test_heads(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int status;
		bool head, open;
		const char *path;
	} rows[] = {
		{ "GET / HTTP/1.0\r\n\r\n", 200, false, false, "/" },
		{ "GET / HTTP/1.0\n\n", 200, false, false, "/" },
		{ "HEAD /metrics?a=b HTTP/1.1\r\nHost: mx.example:80\r\n\r\n", 200, true, false,
			"/metrics" },
		{ "GET /x HTTP/1.1\r\nhost:localhost\r\nAccept: a/b, "
		  "application/openmetrics-text;q=1\r\n\r\n",
			200, false, true, "/x" },
		{ "GET http://localhost/a HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", 200, false, false,
			"/a" },
		{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", 200, false, false, "/" },
		{ "GET / HTTP/1.1\r\nHost: mx.example.evil\r\n\r\n", 421, false, false, NULL },
		{ "GET / HTTP/1.1\r\nHost: xmx.example\r\n\r\n", 421, false, false, NULL },
		{ "GET / HTTP/1.1\r\n\r\n", 400, false, false, NULL },
		{ "GET / HTTP/1.1\r\nHost: localhost\r\nhost: localhost\r\n\r\n", 400, false, false,
			NULL },
		{ "GET /\r\n\r\n", 400, false, false, NULL },
		{ "GET / HTTP/2\r\n\r\n", 505, false, false, NULL },
		{ "DELETE / HTTP/1.0\r\n\r\n", 405, false, false, NULL },
		{ "GET / HTTP/1.0\r\n", 0, false, false, NULL }, /* gone in the middle */
		{ "", 0, false, false, NULL },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t at = 0; at <= strlen(rows[i].text); at += 1 + at / 8) {
			struct http_request r;
			assert_int_equal(read_split(rows[i].text, at, &r), rows[i].status);
			if (rows[i].path == NULL)
				continue;
			assert_string_equal(r.path, rows[i].path);
			assert_int_equal(r.head, rows[i].head);
			assert_int_equal(r.open_metrics, rows[i].open);
		}
}

static void
test_hosts(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		bool ours;
	} rows[] = {
		{ "127.0.0.1", true },
		{ "127.0.0.1:9025", true },
		{ "[::1]", true },
		{ "[::1]:9", true },
		{ "localhost", true },
		{ "LOCALHOST:1", true },
		{ "mx.example", true },
		{ "", true },
		{ "127.0.0.1.example", false },
		{ "localhost.example", false },
		{ "[::1", false },
		{ "example", false },
		{ "1.2.3.4x", false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			http_is_our_host(span_of(rows[i].host), "mx.example"), rows[i].ours);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_heads),
		cmocka_unit_test(test_hosts) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
