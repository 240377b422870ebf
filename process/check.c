#include "process/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/limits.h"
#include "process/launch.h"
#include "process/program.h"

enum { CANNOT_EXEC = 127 }; /* as shells say it */

static void
print_finding(FILE *to, const struct findings *f, const char *kind, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));

static void
print_finding(FILE *to, const struct findings *f, const char *kind, const char *fmt, va_list ap)
{
	fprintf(to, "%s: %s: ", f->program, kind);
	vfprintf(to, fmt, ap);
	fputc('\n', to);
}

void
check_fault(struct findings *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	print_finding(stderr, f, "error", fmt, ap);
	va_end(ap);
	f->stops_mail = true;
}

void
check_warning(struct findings *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	print_finding(stderr, f, "warning", fmt, ap);
	va_end(ap);
}

void
check_fine(struct findings *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	print_finding(stdout, f, "ok", fmt, ap);
	va_end(ap);
}

void
check_secret(struct findings *f, const char *key, const char *path, const char *so)
{
	struct stat st;
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & (S_IROTH | S_IWOTH)) == 0)
		return;
	bool changed = (st.st_mode & S_IWOTH) != 0;
	check_warning(f, "%s %s: by its mode every user of this host may %s it, and %s; "
		"\"chmod o-%s\" it", key, path, changed ? "change" : "read", so,
		changed ? "rw" : "r");
}

void
check_other(struct findings *f, const char *key, const char *path)
{
	const char *arg[LAUNCH_ARGUMENTS];
	const char *slash = strrchr(path, '/');
	int status = 0;
	fflush(stdout);
	launch_arguments(&f->options->conf, slash + 1, "--check", NULL, arg);
	pid_t pid = fork();
	if (pid == 0) {
		/* The configuration was printed. */
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		(void)dup2(null, STDOUT_FILENO);
		execv(path, (char *const *)arg);
		check_fault(f, "%s %s: %s; is all of Postern installed?", key, path,
			strerror(errno));
		_exit(CANNOT_EXEC);
	}
	bool fine = pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
		WEXITSTATUS(status) == EXIT_SUCCESS;
	f->stops_mail = f->stops_mail || !fine;
	if (pid < 0 || WIFSIGNALED(status))
		check_fault(f, "%s %s: cannot be run", key, path);
}

int
check_refuse(const char *program, const struct buf *why)
{
	fprintf(stderr, "%s: %.*s\n", program, (int)why->n, why->n > 0 ? why->p : "");
	return EXIT_CONFIG;
}

/* With the name servers of the system, which a relay reads when it starts. */
static void
print_conf(struct conf *c, struct conf_origins *from)
{
	auto_buf odd = buf_new(LIMIT_COMMAND);
	(void)conf_find_nameservers(c, from, &odd);
	conf_print(c, from, stdout);
}

int
check_all(const char *program, const struct options *o, struct conf *c, struct conf_origins *from,
	const struct check *checks, size_t n)
{
	struct findings f = { .program = program, .options = o };
	auto_buf why = buf_new(LIMIT_COMMAND);
	if (program_drop_root(c, from, o, &why) < 0) {
		check_fault(&f, "%.*s; \"systemd-sysusers\" makes the user of the units",
			(int)why.n, why.p);
		n = 0;
	}
	for (size_t i = 0; i < n; i++)
		checks[i].run(&f, c);
	if (from != NULL)
		print_conf(c, from);
	int lost = file_flush(stdout);
	if (lost < 0)
		fprintf(stderr, "%s: standard output: %s\n", program, strerror(-lost));
	return f.stops_mail ? EXIT_CONFIG : lost < 0 ? EX_IOERR : EXIT_SUCCESS;
}
