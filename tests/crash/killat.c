/*
 * killat: runs a command, follows what it forks and its threads, and strikes at named system calls.
 *
 *	killat -o REPORT [-p POINT]... -- COMMAND [ARGUMENT...]
 *
 * POINT is ROLE:CALL#N and what is done at the N-th CALL of a process of that role:
 *
 *	:enter :exit  SIGKILL, before it is made or after
 *	:hold         after it the process stands still until killat is killed, and dies with it
 *	:fault        after it the thread goes on where there is nothing: SIGSEGV
 *	:parent       SIGKILL for the keeper that forked it, before it is made; it is made then
 *	:family       SIGKILL for a keeper and all that it forked, before it is made
 *	=ERRNO        it is not made and fails; "#N+=" means it and all that follow
 *
 * The first process that reaches the point is struck, a kill strikes once. Of several points each
 * strikes, in whatever order they are reached.
 *
 * Roles: monitor (the first to exec smtpd), session (its first fork), launch (any other fork, until
 * it execs), keeper (what launch becomes: relay), worker (the first thread of what a keeper forks),
 * courier (all other threads of that; their calls are counted together), alone (what a keeper forks
 * while it has a worker), due (relay started as the command), reporter (postern-tlsreport), maker
 * (its fork), admin (postern). Without POINT it only watches.
 *
 * REPORT gets a line for each call: role pid call n first-argument result thread path; "killed" or
 * "held" in place of the result where it struck, "-" for a call that has no path. Killat ends when
 * the last process ends, relays included, so its end means that all is quiet. Nobody outlives it,
 * and it does not live longer than DEADLINE.
 */
#ifdef __aarch64__
#include <elf.h>
#endif
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
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

enum {
	DEADLINE = 600, /* s */
	PROCESSES_MAX = 256, /* threads are some, too */
	POINTS_MAX = 4,
	NAME_MAX_SIZE = 24,
	PATH_SIZE = 256, /* of a path that is reported */
	FAILURE = 70,
};

#define CALLS(X) X(openat) X(read) X(write) X(close) X(fcntl) X(fsync) X(fdatasync) X(ftruncate) \
	X(renameat) X(renameat2) X(linkat) X(unlinkat) X(mkdirat) X(mknodat) X(utimensat) X(faccessat) \
	X(newfstatat) X(fstat) X(pread64) X(pwrite64) X(writev) X(getdents64) X(ppoll) X(pipe2) \
	X(dup3) X(socket) X(bind) X(connect) X(sendto) X(sendmsg) X(recvfrom) X(recvmsg) X(getsockopt) \
	X(setsockopt) X(sendfile) X(socketpair) X(shutdown) X(eventfd2) X(clone) X(clone3) X(execve) X(wait4) X(exit_group) X(setsid) X(prctl) X(seccomp) \
	X(landlock_create_ruleset) X(landlock_restrict_self)
#define OLD_CALLS(X) X(open) X(poll) X(dup2) X(rename) X(link) X(unlink) X(mkdir) X(fork) X(vfork)

static const struct call {
	long nr;
	const char *name;
} calls[] = {
#define ROW(name) { SYS_##name, #name },
	CALLS(ROW)
#ifdef SYS_open
	OLD_CALLS(ROW)
#endif
};

enum { CALLS_N = sizeof(calls) / sizeof(calls[0]) };

static const struct {
	int value;
	const char *name;
} errors[] = { { EIO, "EIO" }, { ENOSPC, "ENOSPC" }, { EDQUOT, "EDQUOT" }, { EMFILE, "EMFILE" },
	{ ENFILE, "ENFILE" }, { EROFS, "EROFS" }, { EACCES, "EACCES" }, { ENOMEM, "ENOMEM" },
	{ EINTR, "EINTR" }, { EFBIG, "EFBIG" }, { ENOLCK, "ENOLCK" }, { EAGAIN, "EAGAIN" },
	{ ENOENT, "ENOENT" }, { EXDEV, "EXDEV" }, { EMLINK, "EMLINK" } };

enum role { OTHER, MONITOR, SESSION, LAUNCH, KEEPER, WORKER, COURIER, ALONE, DUE, REPORTER, MAKER, ADMIN };
static const char *const role_name[] = { "other", "monitor", "session", "launch", "keeper",
	"worker", "courier", "alone", "due", "reporter", "maker", "admin" };

enum strike { WATCH, KILL_ENTER, KILL_EXIT, KILL_PARENT, KILL_FAMILY, FAULT, HOLD, FAIL };

static const struct {
	const char *name;
	enum strike strike;
} strikes[] = { { ":enter", KILL_ENTER }, { ":exit", KILL_EXIT }, { ":parent", KILL_PARENT },
	{ ":family", KILL_FAMILY }, { ":fault", FAULT }, { ":hold", HOLD } };

struct point {
	char role[NAME_MAX_SIZE], call[NAME_MAX_SIZE];
	int n, error;
	bool on; /* all that follow too */
	enum strike strike;
	bool done;
};

/* A thread. The first one of a process has its number. */
struct process {
	pid_t pid;    /* 0: free */
	pid_t group;  /* the process that it belongs to */
	pid_t parent; /* ... and that forked this one */
	enum role role;
	bool known;   /* its parent's fork has been seen */
	bool stopped; /* at its beginning, waiting to become known */
	int forks;
	bool inside;  /* between entry and exit of `call` */
	int call;     /* in calls, or -1 */
	int n;        /* it is the n-th of its role */
	int count[CALLS_N];
	uint64_t argument;
	char path[PATH_SIZE];
	bool fail; /* what it is inside of was cancelled */
	int error;
	bool held;
};

static struct process processes[PROCESSES_MAX];
/* Of the couriers of a process, together. There is one such process at a time. */
static int courier_count[CALLS_N];
static struct point points[POINTS_MAX];
static int points_n;
static FILE *report;

static void
die(const char *what)
{
	perror(what);
	exit(FAILURE);
}

static struct process *
find(pid_t pid)
{
	for (int i = 0; i < PROCESSES_MAX; i++)
		if (processes[i].pid == pid)
			return &processes[i];
	return NULL;
}

static struct process *
find_or_add(pid_t pid)
{
	struct process *p = find(pid);
	if (p != NULL)
		return p;
	p = find(0);
	if (p == NULL)
		die("killat: too many processes");
	*p = (struct process){ .pid = pid, .group = pid, .call = -1 };
	return p;
}

/* ---- registers -------------------------------------------------------------------------- */

#if defined(__x86_64__)
static void
set_call(pid_t pid, long nr)
{
	ptrace(PTRACE_POKEUSER, pid, (void *)offsetof(struct user_regs_struct, orig_rax), (void *)nr);
}

static void
set_result(pid_t pid, long result)
{
	ptrace(PTRACE_POKEUSER, pid, (void *)offsetof(struct user_regs_struct, rax), (void *)result);
}

static void
go_nowhere(pid_t pid)
{
	ptrace(PTRACE_POKEUSER, pid, (void *)offsetof(struct user_regs_struct, rip), NULL);
}
#elif defined(__aarch64__)
static void
set_call(pid_t pid, long nr)
{
	int value = (int)nr;
	struct iovec v = { &value, sizeof(value) };
	ptrace(PTRACE_SETREGSET, pid, (void *)NT_ARM_SYSTEM_CALL, &v);
}

static void
set_result(pid_t pid, long result)
{
	struct user_regs_struct regs;
	struct iovec v = { &regs, sizeof(regs) };
	ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &v);
	regs.regs[0] = (unsigned long long)result;
	ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &v);
}

static void
go_nowhere(pid_t pid)
{
	struct user_regs_struct regs;
	struct iovec v = { &regs, sizeof(regs) };
	ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &v);
	regs.pc = 0;
	ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &v);
}
#else
#error "write set_call, set_result and go_nowhere for this architecture"
#endif

/* ---- striking --------------------------------------------------------------------------- */

static bool
is_at(const struct point *at, const struct process *p)
{
	if (strcmp(role_name[p->role], at->role) != 0 || strcmp(calls[p->call].name, at->call) != 0)
		return false;
	if (at->strike == FAIL)
		return p->n == at->n || (at->on && p->n > at->n);
	return !at->done && p->n == at->n;
}

/* The point at which this call is, that does one of two things; NULL: there is none. */
static struct point *
find_point(const struct process *p, bool entry)
{
	for (int i = 0; i < points_n; i++) {
		enum strike s = points[i].strike;
		bool before = s != KILL_EXIT && s != HOLD && s != FAULT;
		if (before == entry && is_at(&points[i], p))
			return &points[i];
	}
	return NULL;
}

static void
print_call(const struct process *p, const char *result)
{
	fprintf(report, "%s %d %s %d %lld %s %d %s\n", role_name[p->role], (int)p->group,
		calls[p->call].name, p->n, (long long)p->argument, result, (int)p->pid,
		p->path[0] != '\0' ? p->path : "-");
	fflush(report);
}

/* A call that is struck before it began must not happen: it becomes none at all. */
static void
strike_kill(const struct process *p)
{
	print_call(p, "killed");
	if (p->inside)
		set_call(p->pid, -1);
	kill(p->group, SIGKILL);
}

/* All that came of the keeper that forked this one. */
static void
strike_family(const struct process *p)
{
	pid_t keeper = p->parent;
	strike_kill(p);
	kill(keeper, SIGKILL);
	for (int i = 0; i < PROCESSES_MAX; i++)
		if (processes[i].pid != 0 && processes[i].parent == keeper)
			kill(processes[i].group, SIGKILL);
}

/* It has died before anything else happens. */
static void
kill_and_see(pid_t pid)
{
	siginfo_t end;
	kill(pid, SIGKILL);
	while (waitid(P_PID, (id_t)pid, &end, WEXITED | WNOWAIT | __WALL) < 0 && errno == EINTR)
		;
}

static void
strike_at(struct process *p, struct point *at)
{
	at->done = true;
	if (at->strike == KILL_FAMILY) {
		strike_family(p);
	} else if (at->strike == KILL_PARENT) {
		print_call(p, "killed");
		kill_and_see(p->parent);
	} else if (at->strike == FAIL) {
		p->fail = true;
		p->error = at->error;
		set_call(p->pid, -1);
	} else if (at->strike == FAULT) {
		print_call(p, "killed");
		go_nowhere(p->pid);
	} else if (at->strike == HOLD) {
		p->held = true;
		print_call(p, "held");
	} else {
		strike_kill(p);
	}
}

/* The path that is the second argument of a call. */
static void
read_path(struct process *p, uint64_t address)
{
	static const char *const with_path[] = { "openat", "unlinkat", "mkdirat", "mknodat",
		"faccessat", "utimensat", "renameat", "linkat" };
	p->path[0] = '\0';
	for (size_t i = 0; i < sizeof(with_path) / sizeof(with_path[0]); i++) {
		if (strcmp(calls[p->call].name, with_path[i]) != 0)
			continue;
		/* It may end before a page that is not there. */
		size_t n = PATH_SIZE - 1, page = (size_t)sysconf(_SC_PAGESIZE);
		size_t left = page - address % page;
		struct iovec here = { p->path, n }, there = { (void *)address, n < left ? n : left };
		ssize_t got = process_vm_readv(p->pid, &here, 1, &there, 1, 0);
		p->path[got > 0 ? got : 0] = '\0';
	}
	for (char *c = p->path; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			*c = '?';
}

static void
on_entry(struct process *p, const struct __ptrace_syscall_info *info)
{
	p->inside = true;
	p->fail = false;
	p->call = -1;
	p->argument = info->entry.args[0];
	for (int i = 0; i < CALLS_N; i++)
		if ((uint64_t)calls[i].nr == info->entry.nr)
			p->call = i;
	if (p->call < 0)
		return;
	p->n = ++(p->role == COURIER ? courier_count : p->count)[p->call];
	read_path(p, info->entry.args[1]);
	struct point *at = find_point(p, true);
	if (at != NULL)
		strike_at(p, at);
}

static void
on_exit_of(struct process *p, const struct __ptrace_syscall_info *info)
{
	char text[24];
	p->inside = false;
	if (p->call < 0)
		return;
	if (p->fail)
		set_result(p->pid, -p->error);
	struct point *at = find_point(p, false);
	if (at != NULL) {
		strike_at(p, at);
		return;
	}
	snprintf(text, sizeof(text), "%lld",
		p->fail ? -(long long)p->error : (long long)info->exit.rval);
	print_call(p, text);
}

static void
on_syscall(struct process *p)
{
	struct __ptrace_syscall_info info;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, p->pid, (void *)sizeof(info), &info) <= 0)
		return; /* killed meanwhile */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		on_entry(p, &info);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT && p->inside)
		on_exit_of(p, &info);
}

/* ---- following -------------------------------------------------------------------------- */

static bool
has_worker(pid_t keeper)
{
	for (int i = 0; i < PROCESSES_MAX; i++)
		if (processes[i].parent == keeper && processes[i].role == WORKER)
			return true;
	return false;
}

static enum role
role_of_fork(struct process *parent)
{
	parent->forks++;
	if (parent->role == MONITOR)
		return parent->forks == 1 ? SESSION : LAUNCH;
	if (parent->role == KEEPER)
		return has_worker(parent->pid) ? ALONE : WORKER;
	if (parent->role == REPORTER)
		return parent->forks == 1 ? MAKER : OTHER;
	return parent->role == DUE || parent->role == LAUNCH ? LAUNCH : OTHER;
}

static void
on_exec(struct process *p)
{
	char link[64], exe[4096];
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)p->pid);
	ssize_t n = readlink(link, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	const char *slash = strrchr(exe, '/');
	const char *base = slash != NULL ? slash + 1 : exe;
	if (strcmp(base, "smtpd") == 0)
		p->role = MONITOR;
	else if (strcmp(base, "relay") == 0)
		p->role = p->role == OTHER ? DUE : KEEPER;
	else if (strcmp(base, "postern-tlsreport") == 0)
		p->role = REPORTER;
	else if (strcmp(base, "postern") == 0)
		p->role = ADMIN;
	memset(p->count, 0, sizeof(p->count));
	p->inside = false;
}

static void
on_fork(struct process *p, bool thread)
{
	unsigned long pid = 0;
	if (ptrace(PTRACE_GETEVENTMSG, p->pid, NULL, &pid) < 0)
		return;
	struct process *child = find_or_add((pid_t)pid);
	child->role = !thread ? role_of_fork(p) : p->role == WORKER ? COURIER : p->role;
	child->group = thread ? p->group : child->pid;
	child->parent = thread ? p->parent : p->group;
	if (child->role == WORKER)
		memset(courier_count, 0, sizeof(courier_count));
	child->known = true;
	if (child->stopped)
		ptrace(PTRACE_SYSCALL, child->pid, NULL, NULL);
}

static void
on_stop(struct process *p, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16, deliver = 0;
	if (sig == (SIGTRAP | 0x80)) {
		on_syscall(p);
	} else if (event == PTRACE_EVENT_EXEC) {
		on_exec(p);
	} else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
		event == PTRACE_EVENT_CLONE) {
		on_fork(p, event == PTRACE_EVENT_CLONE);
	} else if (sig == SIGSTOP && !p->stopped) {
		p->stopped = true; /* its first stop, made by ptrace */
		if (!p->known)
			return;
	} else {
		deliver = sig;
	}
	if (!p->held)
		ptrace(PTRACE_SYSCALL, p->pid, NULL, (void *)(long)deliver);
}

/* Returns how the command itself ended. */
static int
follow(pid_t command)
{
	int status, result = FAILURE;
	for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
		if (WIFSTOPPED(status)) {
			on_stop(find_or_add(pid), status);
			continue;
		}
		struct process *p = find(pid);
		if (p != NULL)
			*p = (struct process){ 0 };
		if (pid == command)
			result = WIFEXITED(status) ? WEXITSTATUS(status)
						   : 128 + WTERMSIG(status);
	}
	return result;
}

/* ---- start ------------------------------------------------------------------------------ */

static void
parse_point(const char *text)
{
	char what[NAME_MAX_SIZE] = "";
	struct point *at = &points[points_n++];
	if (points_n > POINTS_MAX ||
		sscanf(text, "%23[^:]:%23[^#]#%d%23s", at->role, at->call, &at->n, what) != 4) {
		fprintf(stderr, "killat: not a point: %s\n", text);
		exit(FAILURE);
	}
	const char *name = what;
	if (*name == '+') {
		at->on = true;
		name++;
	}
	for (size_t i = 0; i < sizeof(strikes) / sizeof(strikes[0]); i++)
		if (strcmp(name, strikes[i].name) == 0)
			at->strike = strikes[i].strike;
	for (size_t i = 0; *name == '=' && i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (strcmp(name + 1, errors[i].name) == 0) {
			at->strike = FAIL;
			at->error = errors[i].value;
		}
	}
	if (at->strike == WATCH) {
		fprintf(stderr, "killat: cannot do this: %s\n", text);
		exit(FAILURE);
	}
}

static pid_t
start(char **command)
{
	pid_t pid = fork();
	if (pid < 0)
		die("killat: fork");
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execvp(command[0], command);
		perror(command[0]);
		_exit(FAILURE);
	}
	int status;
	if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
		die("killat: cannot trace");
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
		PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	if (ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)options) < 0)
		die("killat: cannot trace");
	*find_or_add(pid) = (struct process){ .pid = pid, .group = pid, .call = -1, .known = true, .stopped = true };
	return pid;
}

int
main(int argc, char **argv)
{
	for (int c; (c = getopt(argc, argv, "+o:p:")) != -1;) {
		if (c == 'o')
			report = fopen(optarg, "we");
		else if (c == 'p')
			parse_point(optarg);
		else
			return FAILURE;
	}
	if (report == NULL || optind >= argc) {
		fprintf(stderr, "usage: killat -o REPORT [-p POINT]... -- COMMAND [ARGUMENT...]\n");
		return FAILURE;
	}
	alarm(DEADLINE);
	pid_t pid = start(argv + optind);
	/* The client must see the end of the connection when its process dies, not when we do. */
	if (freopen("/dev/null", "r", stdin) == NULL || freopen("/dev/null", "w", stdout) == NULL)
		die("/dev/null");
	ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	return follow(pid);
}
