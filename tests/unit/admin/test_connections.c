/* The kernel's table of sockets: whose, where to, and which of them are clients. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/connections.h"

#define HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
#define TAIL "00000000:00000000 00:00000000 00000000 "

static char path[2][64];

static void
write_table(int i, const char *text)
{
	snprintf(path[i], sizeof(path[i]), "/tmp/postern-table-XXXXXX");
	int fd = mkstemp(path[i]);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void
test_tables(void **state)
{
	struct connections c;
	(void)state;
	write_table(0, HEAD
		"   0: 00000000:0019 00000000:0000 0A " TAIL " 1000 0 1\n"    /* listens */
		"   1: 0100007F:0019 0200007F:C350 01 " TAIL " 1000 0 1\n"    /* a client */
		"   2: 0100007F:C351 0700007F:0019 01 " TAIL " 1000 0 1\n"
		"   3: 0100007F:C352 0700007F:0019 01 " TAIL " 1000 0 1\n"
		"   4: 0100007F:C353 0700007F:0019 06 " TAIL " 1000 0 1\n"    /* TIME_WAIT */
		"   5: 0100007F:C354 0700007F:0019 01 " TAIL " 1001 0 1\n"    /* another's */
		"   6: 0100007F:C355 0700007F:0035 01 " TAIL " 1000 0 1\n"    /* DNS */
		"   7: 0100007F:C356 0800007F:024B 01 " TAIL " 1000 0 1\n"
		"   8: garbage\n\n");
	write_table(1, HEAD
		"   0: 00000000000000000000000001000000:D000 B80D0120000000000000000001000000:0019 01 "
		TAIL " 1000 0 1\n"
		"   1: 0000000000000000FFFF00000100007F:D001 0000000000000000FFFF00000700007F:0019 01 "
		TAIL " 1000 0 1\n");
	assert_int_equal(connections_of(&c, 1000, path[0], path[1]), 0);
	assert_int_equal(c.all, 5);
	assert_int_equal(c.n, 3);
	assert_string_equal(c.v[0].text, "127.0.0.7:25");
	assert_int_equal(c.v[0].n, 3);
	assert_string_equal(c.v[1].text, "127.0.0.8:587");
	assert_string_equal(c.v[2].text, "[2001:db8::1]:25");
	connections_free(&c);
	assert_int_equal(connections_of(&c, 1000, "/nonexistent", NULL), 0);
	assert_int_equal(c.all, 0);
	unlink(path[0]);
	unlink(path[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_tables) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
