/* sieve: what a filter says of a call is the same behind it, and is said after few steps. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "process/filter.h"
#include "process/sieve.h"
#include "process/syscalls.h"

enum {
	HEAD = 1, /* the number is loaded */
	CALLS = 500, /* that are asked about */
	ROOM = 400,
	FEW = 20, /* steps */
	PERMITTED = SECCOMP_RET_ALLOW,
	REFUSED = SECCOMP_RET_ERRNO | EPERM,
};

struct filter {
	struct sock_filter code[ROOM];
	struct sock_fprog p;
};

static void
add(struct filter *f, struct sock_filter what)
{
	f->code[f->p.len++] = what;
}

static void
load(struct filter *f, size_t at)
{
	add(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)at));
}

static void
answer(struct filter *f, uint32_t what)
{
	add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

static void
is(struct filter *f, uint32_t value, uint8_t otherwise)
{
	add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, otherwise));
}

static void
begin(struct filter *f)
{
	memset(f, 0, sizeof(*f));
	f->p.filter = f->code;
	load(f, offsetof(struct seccomp_data, nr));
}

static void
plain(struct filter *f, uint32_t call)
{
	is(f, call, 1);
	answer(f, PERMITTED);
}

/* Allowed with this first argument. */
static void
with_argument(struct filter *f, uint32_t call, uint32_t argument)
{
	is(f, call, 4);
	load(f, offsetof(struct seccomp_data, args[0]));
	is(f, argument, 1);
	answer(f, PERMITTED);
	answer(f, REFUSED);
}

/* Refused with this first argument; with others the next row about it decides. */
static void
but_argument(struct filter *f, uint32_t call, uint32_t argument)
{
	is(f, call, 4);
	load(f, offsetof(struct seccomp_data, args[0]));
	is(f, argument, 1);
	answer(f, REFUSED);
	load(f, offsetof(struct seccomp_data, nr));
}

/* What the kernel would do with it. *steps: instructions. */
static uint32_t
run(const struct filter *f, const struct seccomp_data *d, int *steps)
{
	uint32_t a = 0;
	*steps = 0;
	for (size_t at = 0; at < f->p.len; at++) {
		const struct sock_filter *i = &f->code[at];
		++*steps;
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const char *)d + i->k, sizeof(a));
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			at += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			at += a > i->k ? i->jt : i->jf;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		default:
			assert_int_equal(i->code, BPF_RET | BPF_K);
			return i->k;
		}
	}
	fail_msg("it has no end");
	return 0;
}

static int
arrange(struct filter *f)
{
	return sieve_arrange(&f->p, HEAD, ROOM);
}

/* Numbers that no call has: those of x32, the least and the greatest of a sign, and others. */
static const uint32_t beyond[] = { 0x40000000, 0x40000003, 0x4fffffff, INT32_MAX, 0x80000000,
	0x80000001, 0x80000003, UINT32_MAX - 3, UINT32_MAX };

/* What is said of each call, with arguments 0 to 3. The most steps. */
static int
compare(const struct filter *before, const struct filter *now)
{
	int most = 0, unused, steps;
	for (size_t i = 0; i < CALLS + ROWS(beyond); i++)
		for (uint64_t argument = 0; argument < 4; argument++) {
			uint32_t call = i < CALLS ? (uint32_t)i : beyond[i - CALLS];
			struct seccomp_data d = { .nr = (int)call, .args = { argument } };
			assert_int_equal(run(now, &d, &steps), run(before, &d, &unused));
			most = steps > most ? steps : most;
		}
	return most;
}

#ifdef FILTER_ARCH
/* One of each kind that a row looks for, and some beside them; the high half of one counts. */
static const uint64_t values[] = { 0, 1, 2, 3, 4, 5, 10, 16, 17, 30, 37, 77, 1032, S_IFREG | 0600,
	S_IFCHR, PROT_EXEC | PROT_READ, SIGCHLD, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
	CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
	UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX };

/* The same of a filter of a role, whose rows look at one or two arguments. How many are allowed. */
static int
compare_by_arguments(const struct filter *before, const struct filter *now)
{
	int permitted = 0, unused;
	for (size_t i = 0; i < CALLS + ROWS(beyond); i++)
		for (size_t k = 0; k < ROWS(values) * ROWS(values); k++) {
			uint64_t v = values[k % ROWS(values)], w = values[k / ROWS(values)];
			struct seccomp_data d = { .arch = FILTER_ARCH,
				.nr = (int)(i < CALLS ? (uint32_t)i : beyond[i - CALLS]),
				.args = { v, v, w, w, v, w } };
			uint32_t said = run(now, &d, &unused);
			assert_int_equal(said, run(before, &d, &unused));
			permitted += said == PERMITTED;
			if (i >= CALLS) /* a build that is not locked in (POSTERN_INSTRUMENTED) says so */
				assert_int_equal(said, ((struct sock_filter)REFUSE).k);
		}
	return permitted;
}

/* What each role has, as it is written down, is what it has by the tree. */
static void
test_roles(void **state)
{
	(void)state;
	static struct filter f, before;
	for (int role = SANDBOX_SESSION; role <= SANDBOX_WAITING; role++) {
		const struct syscalls calls = syscalls_of((enum sandbox_role)role);
		int unused;
		f = (struct filter){ .p.filter = f.code };
		for (size_t i = 0; i < calls.n; i++)
			add(&f, calls.own[i]);
		for (size_t i = 0; i < calls.n_also; i++)
			add(&f, calls.also[i]);
		before = f;
		before.p.filter = before.code;
		assert_int_equal(sieve_arrange(&f.p, SYSCALLS_HEAD, ROOM), 0);
		assert_in_range(compare_by_arguments(&before, &f), ROWS(values) * ROWS(values),
			INT32_MAX);
		struct seccomp_data other = { .arch = FILTER_ARCH ^ 1 };
		assert_int_equal(run(&f, &other, &unused), SECCOMP_RET_KILL_PROCESS);
	}
}
#else
static void
test_roles(void **state)
{
	(void)state;
	skip();
}
#endif

static void
check(struct filter *f, int steps)
{
	static struct filter before;
	before = *f;
	before.p.filter = before.code;
	assert_int_equal(arrange(f), 0);
	assert_in_range(compare(&before, f), 1, (uintmax_t)steps);
}

/* In no order, and with gaps. */
static void
test_plain_rows(void **state)
{
	(void)state;
	struct filter f;
	for (uint32_t rows = 0; rows <= 110; rows++) {
		begin(&f);
		for (uint32_t i = 0; i < rows; i++)
			plain(&f, i * 37 % 113 * 4);
		answer(&f, REFUSED);
		check(&f, FEW);
	}
}

static void
test_arguments(void **state)
{
	(void)state;
	struct filter f;
	begin(&f);
	for (uint32_t i = 0; i < 60; i++)
		if (i % 3 == 0)
			with_argument(&f, i * 41 % 61 * 7, i % 4);
		else
			plain(&f, i * 41 % 61 * 7);
	answer(&f, REFUSED);
	check(&f, FEW);
}

/* A number has no sign: who would compare it with one would have the halves of a tree disagree. */
static void
test_large_numbers(void **state)
{
	(void)state;
	struct filter f;
	for (size_t left_out = 0; left_out <= ROWS(beyond); left_out++) {
		begin(&f);
		for (size_t i = 0; i < ROWS(beyond); i++)
			if (i != left_out)
				plain(&f, beyond[i]);
		for (uint32_t i = 0; i < 20; i++)
			with_argument(&f, i, i % 4);
		answer(&f, REFUSED);
		check(&f, FEW);
	}
}

/* Wherever among the others they are, and however many. */
static void
test_several_rows_about_a_call(void **state)
{
	(void)state;
	struct filter f;
	for (uint32_t call = 0; call < 40; call++)
		for (uint32_t more = 1; more < 20; more += 9) {
			begin(&f);
			but_argument(&f, call, 1);
			for (uint32_t i = 0; i < 40; i++)
				plain(&f, i * 7 % 40);
			for (uint32_t i = 0; i < more; i++)
				with_argument(&f, call, 2);
			answer(&f, REFUSED);
			check(&f, FEW + (int)more);
		}
	begin(&f);
	for (uint32_t i = 0; i < 9; i++)
		but_argument(&f, 3, i % 3);
	plain(&f, 3);
	answer(&f, REFUSED);
	check(&f, 9 * 4 + FEW);
}

/* What is refused is what the last instruction says, whatever that is. */
static void
test_the_rest(void **state)
{
	(void)state;
	struct filter f;
	begin(&f);
	plain(&f, 1);
	with_argument(&f, 2, 1);
	answer(&f, SECCOMP_RET_KILL_PROCESS);
	check(&f, FEW);
}

static void
test_what_has_no_room(void **state)
{
	(void)state;
	struct filter f, again;
	begin(&f);
	for (uint32_t i = 0; i < 30; i++)
		plain(&f, i);
	answer(&f, REFUSED);
	again = f;
	again.p.filter = again.code;
	assert_int_equal(arrange(&again), 0);
	unsigned short needed = again.p.len;
	for (unsigned short room = HEAD; room < needed; room++) {
		again = f;
		again.p.filter = again.code;
		assert_int_equal(sieve_arrange(&again.p, HEAD, room), -E2BIG);
	}
}

static void
long_rows(struct filter *f, uint32_t rows, uint8_t n)
{
	for (uint32_t call = 0; call < rows; call++) {
		is(f, call, (uint8_t)(n - 1));
		for (int i = 0; i < n - 2; i++)
			load(f, 0);
		answer(f, PERMITTED);
	}
}

/* A tree that leads elsewhere would allow what nobody may. */
static void
test_jumps_that_are_too_far(void **state)
{
	(void)state;
	struct filter f;
	begin(&f);
	for (uint32_t i = 0; i < 70; i++)
		with_argument(&f, i, 1);
	answer(&f, REFUSED);
	check(&f, FEW);

	begin(&f);
	long_rows(&f, 3, 100); /* to where plain rows find that they are allowed */
	plain(&f, 0);
	answer(&f, REFUSED);
	assert_int_equal(arrange(&f), -E2BIG);

	begin(&f);
	long_rows(&f, 6, 45); /* from the lower half to the upper one */
	for (uint32_t call = 10; call < 18; call++)
		plain(&f, call);
	answer(&f, REFUSED);
	assert_int_equal(arrange(&f), -E2BIG);
}

static void
test_what_is_no_filter(void **state)
{
	(void)state;
	struct filter f;
	begin(&f);
	for (uint32_t i = 0; i < 130; i++) /* too many rows */
		plain(&f, i);
	answer(&f, REFUSED);
	assert_int_equal(arrange(&f), -E2BIG);

	begin(&f);
	is(&f, 1, 5); /* a row that goes beyond the end */
	answer(&f, PERMITTED);
	answer(&f, REFUSED);
	assert_int_equal(arrange(&f), -E2BIG);

	begin(&f);
	plain(&f, 1);
	load(&f, 0); /* no row */
	plain(&f, 2);
	answer(&f, REFUSED);
	assert_int_equal(arrange(&f), -E2BIG);

	begin(&f); /* nothing but its head */
	assert_int_equal(arrange(&f), -E2BIG);
	f.p.len = ROOM + 1;
	assert_int_equal(arrange(&f), -E2BIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_plain_rows),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_large_numbers),
		cmocka_unit_test(test_several_rows_about_a_call),
		cmocka_unit_test(test_the_rest),
		cmocka_unit_test(test_what_has_no_room),
		cmocka_unit_test(test_jumps_that_are_too_far),
		cmocka_unit_test(test_what_is_no_filter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
