/* mounts: does what is written there stay? */
#include "tests/unit/unit.h"

#include "admin/mounts.h"

static const char table[] =
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"23 22 0:20 / /tmp rw shared:2 master:3 - tmpfs tmpfs rw,size=1g\n"
	"24 22 8:2 / /var rw - xfs /dev/sda2 rw\n"
	"25 24 8:3 / /var/spool rw,nobarrier - ext4 /dev/sda3 rw\n"
	"26 24 0:30 / /var/spool/mail rw - nfs4 server:/mail rw\n"
	"27 22 8:4 / /over rw - ext4 /dev/sda4 rw\n"
	"28 22 0:31 / /over rw - tmpfs tmpfs rw\n"
	"29 22 0:32 / /odd\n"
	"30 22 0:33 / /careless rw - ext4 /dev/sda5 rw,barrier=0\n";

static const struct {
	const char *path, *type;
	enum mounts_worth worth;
} rows[] = {
	{ "/", "ext4", MOUNTS_DURABLE },
	{ "/home/x", "ext4", MOUNTS_DURABLE },
	{ "/tmp", "tmpfs", MOUNTS_VOLATILE },
	{ "/tmp/spool", "tmpfs", MOUNTS_VOLATILE },
	{ "/tmpx", "ext4", MOUNTS_DURABLE },
	{ "/var/spo", "xfs", MOUNTS_DURABLE },
	{ "/var/spool/postern", "ext4", MOUNTS_VOLATILE },
	{ "/var/spool/mail/x", "nfs4", MOUNTS_UNKNOWN },
	{ "/over/x", "tmpfs", MOUNTS_VOLATILE }, /* what lies on top */
	{ "/odd/x", "ext4", MOUNTS_DURABLE },
	{ "/careless", "ext4", MOUNTS_VOLATILE },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mount m;
		const char *why = NULL;
		assert_true(mounts_find(span_of(table), span_of(rows[i].path), &m));
		assert_true(span_eq(m.type, span_of(rows[i].type)));
		assert_int_equal(mounts_judge(&m, &why), rows[i].worth);
		assert_int_equal(why != NULL, rows[i].worth != MOUNTS_DURABLE);
	}
}

static void
test_nothing(void **state)
{
	struct mount m;
	(void)state;
	assert_false(mounts_find(span_of(""), span_of("/x"), &m));
	assert_false(mounts_find(span_of("\n \n1 2 3\n"), span_of("/x"), &m));
}

static void
test_programs(void **state)
{
	const char *why;
	struct mount m = { .type = span_of("fuse.bindfs") };
	(void)state;
	assert_int_equal(mounts_judge(&m, &why), MOUNTS_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_programs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
