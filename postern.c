/*
 * postern: the one command for the person at the keyboard (admin/command.c has the list).
 *
 * It is never set-id: it sees what the system lets its user see, and says what it lacks. What
 * changes the queue takes the locks that relay and smtpd take, so that mail may flow meanwhile, and
 * needs none of them to run.
 *
 * Exit status: as in admin/admin.h.
 */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/command.h"
#include "process/stdfds.h"

enum { OPT_FIRST = 256, OPT_JSON = 1000, OPT_HELP, OPT_VERSION };

static struct admin admin;

/* What was told was written, or the status says that it was not. */
static int
end_output(struct admin *a, int status)
{
	int err = out_end(&a->out);
	if (err == 0)
		return status;
	admin_trouble(a, "standard output: %s", strerror(-err));
	return ADMIN_LATER;
}

/* Takes what all commands have. -1: go on; else the status with which to end. */
static int
take_common(struct admin *a, int c)
{
	struct options *o = &a->options;
	switch (c) {
	case 'c':
		o->conf.file = optarg;
		return -1;
	case 'o':
		if (o->conf.n == OPTIONS_MAX)
			return admin_misused(a, "too many -o settings");
		o->setting[o->conf.n++] = optarg;
		return -1;
	case OPT_JSON:
		a->out.json = true;
		return -1;
	case OPT_VERSION:
		(void)puts("Postern " POSTERN_VERSION);
		return end_output(a, ADMIN_DONE);
	case OPT_HELP:
		if (a->command != NULL)
			command_help(a->command, stdout);
		else
			command_usage(stdout);
		return end_output(a, ADMIN_DONE);
	default:
		return admin_misused(a, "an option that is unknown, or has no value");
	}
}

static const struct option common[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

/* Those of the command, and behind them those that all have. */
static void
list_options(const struct command *c, struct option longs[static ADMIN_OPTIONS])
{
	int n = 0;
	for (const struct command_option *o = c->options; o != NULL && o->name != NULL; o++, n++)
		longs[n] = (struct option){ o->name, o->value != NULL ? required_argument :
			no_argument, NULL, OPT_FIRST + n };
	memcpy(longs + n, common, sizeof(common));
}

/* What a variable of a shell left that was not set: it means neither nothing nor all. */
static int
refuse_empty(const struct admin *a, int argc, char **argv)
{
	const struct command_option *o = a->command->options;
	for (int i = 0; o != NULL && o[i].name != NULL; i++)
		if (o[i].value != NULL && a->given[i] != NULL && a->given[i][0] == '\0')
			return admin_misused(a, "%s: the value of --%s is empty", a->command->name,
				o[i].name);
	for (int i = 0; i < argc; i++)
		if (argv[i][0] == '\0')
			return admin_misused(a, "%s: an operand is empty", a->command->name);
	return -1;
}

/* Options and operands behind the command. -1: go on; else the status with which to end. */
static int
read_command(struct admin *a, int argc, char **argv)
{
	static char flag[] = "";
	struct option longs[ADMIN_OPTIONS] = { 0 };
	list_options(a->command, longs);
	optind = 0; /* from the beginning, with operands between the options */
	for (int c; (c = getopt_long(argc, argv, "c:o:", longs, NULL)) != -1;) {
		int own = c - OPT_FIRST;
		if (own >= 0 && c < OPT_JSON)
			a->given[own] = optarg != NULL ? optarg : flag;
		int status = own >= 0 && c < OPT_JSON ? -1 : take_common(a, c);
		if (status >= 0)
			return status;
	}
	int n = argc - optind;
	if (n < a->command->least || (a->command->most >= 0 && n > a->command->most))
		return admin_misused(a, "%s: %s", a->command->name,
			n < a->command->least ? "an operand is missing" : "too many operands");
	return refuse_empty(a, n, argv + optind);
}

/* What stands in front of the command, and the command. */
static int
read_front(struct admin *a, int argc, char **argv)
{
	for (int c; (c = getopt_long(argc, argv, "+c:o:", common, NULL)) != -1;) {
		int status = take_common(a, c);
		if (status >= 0)
			return status;
	}
	if (optind == argc) {
		command_usage(stderr);
		return ADMIN_USAGE;
	}
	a->command = command_find(argv[optind]);
	return a->command != NULL ? -1 : admin_misused(a, "%s: no such command", argv[optind]);
}

static int
run(struct admin *a, int argc, char **argv)
{
	int status = admin_prepare(a);
	if (status == ADMIN_DONE)
		status = a->command->run(a, argc, argv);
	status = end_output(a, status);
	admin_close(a);
	return status;
}

int
main(int argc, char **argv)
{
	struct admin *a = &admin;
	stdfds_fill();
	stdfds_lose_output();
	if (argc < 1)
		return ADMIN_USAGE;
	signal(SIGXFSZ, SIG_IGN);
	umask(S_IRWXG | S_IRWXO);
	(void)setlocale(LC_CTYPE, "");
	opterr = 0;
	(void)unsetenv("POSIXLY_CORRECT"); /* "remove ADDRESS --older 2d" is not to remove more */
	a->spool = SPOOL_CLOSED;
	a->options.conf.options = a->options.setting;
	a->started = argv[0];
	a->caller = getuid();
	out_begin(&a->out, stdout, false);
	int status = read_front(a, argc, argv);
	int front = optind;
	if (status < 0)
		status = read_command(a, argc - front, argv + front);
	return status >= 0 ? status : run(a, argc - front - optind, argv + front + optind);
}
