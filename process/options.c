#include "process/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/file.h"
#include "process/stdfds.h"

enum {
	OPT_CHECK = 256, OPT_DUE, OPT_NOW, OPT_WAITING, OPT_LOGIN, OPT_SERVE, OPT_WAIT,
	OPT_PUBLIC, OPT_MAKE, OPT_HASH, OPT_LISTEN, OPT_COUNTERS, OPT_HEALTH, OPT_VERSION, OPT_HELP,
};

static const struct option longs[] = {
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "due", no_argument, NULL, OPT_DUE },
	{ "now", no_argument, NULL, OPT_NOW },
	{ "waiting", no_argument, NULL, OPT_WAITING },
	{ "login", required_argument, NULL, OPT_LOGIN },
	{ "serve", no_argument, NULL, OPT_SERVE },
	{ "wait", no_argument, NULL, OPT_WAIT },
	{ "public", no_argument, NULL, OPT_PUBLIC },
	{ "make", required_argument, NULL, OPT_MAKE },
	{ "hash", required_argument, NULL, OPT_HASH },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "counters", no_argument, NULL, OPT_COUNTERS },
	{ "health", required_argument, NULL, OPT_HEALTH },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static const char usage[] =
	"usage: smtpd [-c FILE] [-p PROFILE] [-o KEY=VALUE]... [--check]\n"
	"                                                 speak SMTP on standard input and output;\n"
	"                                                 --check: what is in force, what is wrong\n"
	"             --listen ADDRESS:PORT...           the same for all who connect there\n"
	"       smtpd --hash NAME                         a line for auth_users; reads a password\n"
	"       smtpd [-c FILE] --counters                what was done since the last boot\n"
	"       smtpd --health ADDRESS:PORT               does the smtpd that listens there take mail?\n"
	"       relay [-c FILE] [-o KEY=VALUE]... --due   deliver what is due\n"
	"             --due --now                         deliver what waits, due or not\n"
	"             --waiting                           status 1 if there is nothing for --due\n"
	"             --check                             what it needs, and what is wrong\n";

static void
add_setting(struct options *o, const char *setting)
{
	if (o->conf.n == OPTIONS_MAX)
		o->wrong = "too many -o settings";
	else
		o->setting[o->conf.n++] = setting;
}

static void
add_listener(struct options *o, const char *listener)
{
	if (o->listeners == OPTIONS_LISTEN)
		o->wrong = "too many --listen";
	else
		o->listen[o->listeners++] = listener;
}

/* ... and nothing else. */
static _Noreturn void
say(const char *text)
{
	stdfds_lose_output();
	(void)fputs(text, stdout);
	exit(file_flush(stdout) == 0 ? EXIT_SUCCESS : EX_IOERR);
}

static void
set_file(struct options *o, const char *path)
{
	_Static_assert(CONF_PATH_MAX == 900, "the text says so");
	if (strlen(path) > CONF_PATH_MAX)
		o->wrong = "-c: longer than 900 octets";
	o->conf.file = path;
}

static void
set(struct options *o, int c)
{
	switch (c) {
	case 'c':
		set_file(o, optarg);
		break;
	case 'p':
		o->conf.profile = optarg;
		break;
	case 'o':
		add_setting(o, optarg);
		break;
	case OPT_CHECK:
		o->check = true;
		break;
	case OPT_DUE:
		o->due = true;
		break;
	case OPT_NOW:
		o->now = true;
		break;
	case OPT_WAITING:
		o->waiting = true;
		break;
	case OPT_LOGIN:
		o->login = optarg;
		break;
	case OPT_HASH:
		o->hash = optarg;
		break;
	case OPT_PUBLIC:
		o->public = true;
		break;
	case OPT_MAKE:
		o->make = optarg;
		break;
	case OPT_LISTEN:
		add_listener(o, optarg);
		break;
	case OPT_COUNTERS:
		o->counters = true;
		break;
	case OPT_HEALTH:
		o->health = optarg;
		break;
	case OPT_SERVE:
		o->serve = true;
		break;
	case OPT_WAIT:
		o->wait = true;
		break;
	case OPT_VERSION:
		say("Postern " POSTERN_VERSION "\n");
	case OPT_HELP:
		say(usage);
	default:
		o->wrong = "unknown option; see --help";
	}
}

void
options_parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){ .conf.options = o->setting };
	opterr = 0; /* under inetd standard error is the client */
	for (int c; (c = getopt_long(argc, argv, "c:o:p:", longs, NULL)) != -1;)
		set(o, c);
	if (optind < argc)
		o->wrong = "unexpected argument; see --help";
}
