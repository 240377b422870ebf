/* ports: who listens there? */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/ports.h"

static const char table[] =
	"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	"   0: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100\n"
	"   1: 0100007F:0019 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100\n"
	"   2: 0100007F:0119 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100\n"
	"   3: 00000000000000000000000001000000:0019 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4714\n"
	"   4: 0100007F:0019 00000000:0000 0A\n";

static void
test_table(void **state)
{
	struct ports p = { .n = 0 };
	(void)state;
	ports_read(span_of(table), 25, &p);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.inode[0], 4711);
	assert_int_equal(p.inode[1], 4714);
	ports_read(span_of(table), 2525, &p);
	assert_int_equal(p.n, 2);
}

/* This process itself. */
static void
test_owner(void **state)
{
	struct stat st;
	struct ports_owner who;
	struct ports p = { .inode = { 1 }, .n = 1 };
	(void)state;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(fstat(fd, &st), 0);
	p.inode[0] = st.st_ino;
	assert_true(ports_owner(&p, &who));
	assert_int_equal(who.pid, getpid());
	assert_string_equal(who.name, "test_ports");
	close(fd);
	assert_false(ports_owner(&p, &who));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_owner),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
