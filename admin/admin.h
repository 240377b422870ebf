/*
 * admin: what a command of `postern` gets, and how it speaks to whoever called it.
 *
 * Each command is a file of this room with a `struct command` (command.h). What it needs is done
 * before it runs; what it found goes to a->out; what went wrong goes to standard error by
 * admin_trouble. It needs no running process, and no set-id bit: it sees what its user may see.
 */
#ifndef POSTERN_ADMIN_H
#define POSTERN_ADMIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "admin/out.h"
#include "conf/conf.h"
#include "process/options.h"
#include "queue/spool.h"

/* The status with which `postern` ends; 64 and above as in sysexits.h. */
enum {
	ADMIN_DONE = 0,
	ADMIN_NOTHING = 1,   /* nothing was found, or what was looked at is not well */
	ADMIN_USAGE = 64,    /* EX_USAGE: the command line is wrong */
	ADMIN_LATER = 75,    /* EX_TEMPFAIL: it cannot be done now, or not by this user */
	ADMIN_CONFIG = 78,   /* EX_CONFIG: the configuration is wrong */
};

enum { ADMIN_OPTIONS = 24 }; /* of one command, with those that all have */

/* What is done before a command runs; see admin_prepare. */
enum command_needs {
	NEEDS_NOTHING, /* not even a configuration that can be read */
	NEEDS_CONF,    /* a->conf and a->from, as the user who called */
	NEEDS_QUEUE,   /* ... and a->spool, to be looked at by whoever may; root becomes the user
	                * of the configuration */
	NEEDS_OWNER,   /* ... to be changed, by that user alone */
};

/* An option of a command. */
struct command_option {
	const char *name;  /* without "--" */
	const char *value; /* what --help calls its value; NULL: it has none */
	const char *what;  /* a line for --help */
};

struct admin;

struct command {
	const char *name;
	const char *operands; /* for --help: "[LANE|ADDRESS]" */
	const char *what;     /* a line for --help */
	enum command_needs needs;
	int least, most;      /* operands; most -1: any number */
	const struct command_option *options; /* the last one has no name; NULL: none */
	/* Gets the operands alone, and returns ADMIN_*. */
	int (*run)(struct admin *a, int argc, char **argv);
};

struct admin {
	const struct command *command;
	struct options options; /* as the other programs have them: conf.file, -o settings */
	char *given[ADMIN_OPTIONS]; /* to command->options: NULL, or a value; "": a flag */
	struct conf conf;
	struct conf_origins from;
	struct spool spool;
	struct out out;
	const char *started; /* argv[0] */
	uid_t caller;        /* before root became somebody else */
};

/* The value of --name; "" of one that has none; NULL: it was not said. */
char *admin_option(const struct admin *a, const char *name);

/*
 * What a person copied: an address without the brackets that the log has around it, a domain
 * without the final dot that the DNS has behind it. "<>" stays. In place; NULL of NULL.
 */
char *admin_plain(char *text);

/*
 * What the command needs, by command->needs. 0, or the status with which to end; then the reason
 * was told.
 */
int admin_prepare(struct admin *a);

void admin_close(struct admin *a);

/* "postern: ..." on standard error, safe for a terminal whatever is in it. */
void admin_trouble(const struct admin *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The same, and "see postern COMMAND --help". ADMIN_USAGE. */
int admin_misused(const struct admin *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
