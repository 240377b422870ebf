/*
 * forbid: runs a program on a kernel, or in a container, that does not have some system calls.
 *
 *	forbid CALL=ERRNO... -- PROGRAM [ARGUMENT...]
 *
 * Each CALL fails with the ERRNO (a number) from now on, in the program and in all that it starts.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 16, FAILURE = 70 };

static const struct call {
	const char *name;
	unsigned nr;
} calls[] = {
#define CALL(name) { #name, SYS_##name },
	CALL(seccomp) CALL(landlock_create_ruleset) CALL(landlock_restrict_self) CALL(close_range) CALL(capset)
	CALL(openat) CALL(mknodat) CALL(linkat) CALL(fcntl) CALL(pidfd_open) CALL(fallocate)
#undef CALL
};

static unsigned
number_of(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strlen(calls[i].name) == n && memcmp(calls[i].name, name, n) == 0)
			return calls[i].nr;
	fprintf(stderr, "forbid: no such call in the table: %s\n", name);
	exit(FAILURE);
}

int
main(int argc, char **argv)
{
	struct sock_filter code[2 * MOST + 2] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)) };
	unsigned short n = 1;
	int i = 1;
	for (; i < argc && i <= MOST && strcmp(argv[i], "--") != 0; i++) {
		const char *is = strchr(argv[i], '=');
		if (is == NULL)
			return FAILURE;
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			number_of(argv[i], (size_t)(is - argv[i])), 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
			SECCOMP_RET_ERRNO | (unsigned)strtol(is + 1, NULL, 10));
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct sock_fprog program = { n, code };
	if (i + 1 >= argc || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return FAILURE;
	execv(argv[i + 1], argv + i + 1);
	return FAILURE;
}
