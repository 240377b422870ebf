/* health: who is well says 220; nobody, silence and 421 are not; what is no address is a mistake of the caller. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "process/health.h"

static const struct row {
	const char *greeting; /* NULL: the connection is closed without a word */
	int want;
} rows[] = {
	{ "220 mx.example ESMTP\r\n", EX_OK },
	{ "220-mx.example\r\n220 go on\r\n", EX_OK },
	{ "421 4.3.0 Error: queue unavailable\r\n", EX_UNAVAILABLE },
	{ "554 no\r\n", EX_UNAVAILABLE },
	{ "22", EX_UNAVAILABLE },
	{ NULL, EX_UNAVAILABLE },
};

/* A host that says this to one client, and is heard to be told QUIT if it said 220. Its port. */
static int
begin(const struct row *r, pid_t *pid, int *listener)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	*listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(*listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(*listener, 1), 0);
	assert_int_equal(getsockname(*listener, (struct sockaddr *)&a, &n), 0);
	*pid = fork();
	if (*pid == 0) {
		char said[64];
		int fd = accept(*listener, NULL, NULL);
		if (r->greeting == NULL)
			_exit(0);
		bool fine = write(fd, r->greeting, strlen(r->greeting)) > 0 &&
			recv(fd, said, sizeof(said), 0) == 6 && memcmp(said, "QUIT\r\n", 6) == 0;
		_exit(fine ? 0 : 1);
	}
	return ntohs(a.sin_port);
}

static void
test_health(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char address[32];
		pid_t pid;
		int listener, status;
		snprintf(address, sizeof(address), "127.0.0.1:%d", begin(&rows[i], &pid, &listener));
		assert_int_equal(health_ask(address), rows[i].want);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		close(listener);
		assert_int_equal(health_ask(address), EX_UNAVAILABLE); /* nobody is there any more */
	}
	static const char *const wrong[] = { "", "25", "127.0.0.1", "127.0.0.1:0", "::1:25", "*:25", "host.example:25",
		"[127.0.0.1]:25" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(health_ask(wrong[i]), EX_USAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_health) };
	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
