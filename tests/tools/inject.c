/*
 * inject: makes another process do system calls of our choice, and tells what came of them.
 *
 *	inject PID
 *
 * Each line of standard input is a call: its name and up to six arguments, separated by blanks. An
 * argument is a number, `"text` (passed as the address of the text and NUL) or `#hex` (the address
 * of these octets). For each line there is one of output: what the call returned, an errno as a
 * negative number; "gone" if the process ended with it.
 *
 * The call takes the place of one that the process was about to make: it is stopped at the entry of
 * that, gets the number and the arguments of ours, and is set back to the same instruction when
 * ours has returned. Filters and other security modules judge after this entry, so they judge our
 * call as if the process itself had made it. What is pointed to lies on its stack, below what it
 * uses. At the end of input the process goes on as if nothing had been. Needs root.
 */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS = 6, RED_ZONE = 128, ROOM = 1024, LINE_SIZE = 1024, PATIENCE = 20, FAILURE = 70 };

static const struct call {
	const char *name;
	long nr;
} calls[] = {
#define CALL(name) { #name, SYS_##name },
	CALL(socket) CALL(connect) CALL(bind) CALL(listen) CALL(accept4) CALL(shutdown) CALL(sendto) CALL(execve)
	CALL(execveat) CALL(clone) CALL(clone3) CALL(openat) CALL(openat2) CALL(open_by_handle_at) CALL(close)
	CALL(unlinkat) CALL(symlinkat) CALL(mknodat) CALL(fchmodat) CALL(fchownat) CALL(chdir) CALL(chroot) CALL(ptrace) CALL(process_vm_readv)
	CALL(process_vm_writev) CALL(kill) CALL(pidfd_open) CALL(mount) CALL(umount2) CALL(unshare)
	CALL(setns) CALL(bpf) CALL(keyctl) CALL(perf_event_open) CALL(userfaultfd)
	CALL(io_uring_setup) CALL(memfd_create) CALL(mprotect) CALL(prctl) CALL(seccomp)
	CALL(sendmsg) CALL(socketpair) CALL(dup2) CALL(dup3) CALL(fcntl) CALL(ioctl) CALL(add_key) CALL(request_key) CALL(mmap)
	CALL(landlock_create_ruleset) CALL(setresuid) CALL(capset) CALL(prlimit64) CALL(getpid)
#undef CALL
};

/* ---- registers -------------------------------------------------------------------------- */

#if defined(__x86_64__)
enum { INSTRUCTION = 2 };

static uint64_t
stack_of(const struct user_regs_struct *r)
{
	return r->rsp;
}

static void
set_call(struct user_regs_struct *r, long nr, const uint64_t *arg)
{
	r->orig_rax = (unsigned long long)nr;
	r->rdi = arg[0];
	r->rsi = arg[1];
	r->rdx = arg[2];
	r->r10 = arg[3];
	r->r8 = arg[4];
	r->r9 = arg[5];
}

/* To the instruction that asked the kernel for what we took the place of. */
static void
set_back(struct user_regs_struct *r)
{
	r->rax = r->orig_rax;
	r->rip -= INSTRUCTION;
}

static bool
write_call(pid_t pid, long nr)
{
	(void)pid; /* with the other registers */
	(void)nr;
	return true;
}
#elif defined(__aarch64__)
enum { INSTRUCTION = 4 };

static uint64_t
stack_of(const struct user_regs_struct *r)
{
	return r->sp;
}

static void
set_call(struct user_regs_struct *r, long nr, const uint64_t *arg)
{
	(void)nr; /* in a register set of its own */
	for (int i = 0; i < ARGUMENTS; i++)
		r->regs[i] = arg[i];
}

static void
set_back(struct user_regs_struct *r)
{
	r->pc -= INSTRUCTION;
}

static bool
write_call(pid_t pid, long nr)
{
	int value = (int)nr;
	struct iovec v = { &value, sizeof(value) };
	return ptrace(PTRACE_SETREGSET, pid, (void *)NT_ARM_SYSTEM_CALL, &v) == 0;
}
#else
#error "write these functions for this architecture"
#endif

static bool
registers(pid_t pid, struct user_regs_struct *r, bool set)
{
	struct iovec v = { r, sizeof(*r) };
	return ptrace(set ? PTRACE_SETREGSET : PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &v) == 0;
}

/* ---- the process -------------------------------------------------------------------------- */

static void
die(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(FAILURE);
}

/* Lets it run to the next entry or exit of a system call. False: it is gone. */
static bool
run_to(pid_t pid, unsigned char op, struct __ptrace_syscall_info *info)
{
	for (int status;;) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0 || waitpid(pid, &status, __WALL) < 0 ||
			!WIFSTOPPED(status))
			return false;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80) &&
			ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(*info), info) > 0 &&
			info->op == op)
			return true;
	}
}

static void
attach(pid_t pid)
{
	int status;
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD) < 0 ||
		ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || waitpid(pid, &status, __WALL) < 0 ||
		!WIFSTOPPED(status))
		die("cannot attach");
}

/* One call. False: the process is gone. */
static bool
inject(pid_t pid, long nr, uint64_t *arg, const bool *points, const char *room, size_t used,
	int64_t *result)
{
	struct __ptrace_syscall_info info;
	struct user_regs_struct saved, ours;
	if (!run_to(pid, PTRACE_SYSCALL_INFO_ENTRY, &info) || !registers(pid, &saved, false))
		return false;
	uint64_t base = (stack_of(&saved) - RED_ZONE - ROOM) & ~UINT64_C(15);
	struct iovec from = { (void *)room, used }, to = { (void *)(uintptr_t)base, used };
	if (used > 0 && process_vm_writev(pid, &from, 1, &to, 1, 0) != (ssize_t)used)
		die("cannot write its stack");
	for (int i = 0; i < ARGUMENTS; i++)
		arg[i] += points[i] ? base : 0;
	ours = saved;
	set_call(&ours, nr, arg);
	if (!registers(pid, &ours, true) || !write_call(pid, nr))
		die("cannot set registers");
	if (!run_to(pid, PTRACE_SYSCALL_INFO_EXIT, &info))
		return false;
	*result = info.exit.rval;
	set_back(&saved);
	return registers(pid, &saved, true);
}

/* ---- lines -------------------------------------------------------------------------------- */

static long
number_of(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].nr;
	fprintf(stderr, "inject: no such call in the table: %s\n", name);
	exit(FAILURE);
}

static size_t
octets_of(const char *hex, char *out, size_t size)
{
	size_t n = 0;
	for (unsigned octet; n < size && sscanf(hex + 2 * n, "%2x", &octet) == 1; n++)
		out[n] = (char)octet;
	return n;
}

/* Does what a line says. False: the process is gone. */
static bool
run_line(pid_t pid, char *line, int64_t *result)
{
	char room[ROOM] = "", *save = NULL, *name = strtok_r(line, " \n", &save);
	uint64_t arg[ARGUMENTS] = { 0 };
	bool points[ARGUMENTS] = { false };
	size_t used = 0;
	if (name == NULL)
		die("empty line");
	char *word = strtok_r(NULL, " \n", &save);
	for (int i = 0; i < ARGUMENTS && word != NULL; i++, word = strtok_r(NULL, " \n", &save)) {
		points[i] = *word == '"' || *word == '#';
		arg[i] = points[i] ? used : (uint64_t)strtoll(word, NULL, 0);
		if (*word == '"')
			used += (size_t)snprintf(room + used, sizeof(room) - used, "%s", word + 1) + 1;
		else if (*word == '#')
			used += octets_of(word + 1, room + used, sizeof(room) - used);
		if (used > sizeof(room))
			die("too much");
		used = (used + 7) & ~(size_t)7;
	}
	return inject(pid, number_of(name), arg, points, room, used, result);
}

int
main(int argc, char **argv)
{
	char line[LINE_SIZE];
	pid_t pid = argc == 2 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
	if (pid <= 0) {
		fprintf(stderr, "usage: inject PID\n");
		return FAILURE;
	}
	alarm(PATIENCE);
	attach(pid);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		int64_t result;
		if (!run_line(pid, line, &result)) {
			puts("gone");
			return EXIT_SUCCESS;
		}
		printf("%lld\n", (long long)result);
	}
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0)
		die("cannot detach");
	return EXIT_SUCCESS;
}
