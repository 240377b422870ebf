/*
 * calls: how sendmail is called: its name and its options, as programs have known them since the
 * eighties.
 *
 * What a program may say and what changes nothing here is taken and ignored: how to deliver (-od),
 * how to tell of errors (-oe), where to log (-X), a configuration (-C), every -o and -O that is not
 * known. Options may come in any order, behind recipients too, up to "--". What is no option of any
 * sendmail is refused.
 */
#ifndef POSTERN_CALLS_H
#define POSTERN_CALLS_H

#include <stdbool.h>

struct calls {
	enum calls_mode {
		CALLS_SEND,    /* -bm: a message on standard input */
		CALLS_SMTP,    /* -bs: SMTP there */
		CALLS_VERIFY,  /* -bv: say where mail for these would go */
		CALLS_LIST,    /* -bp, mailq */
		CALLS_ALIASES, /* -bi, newaliases */
		CALLS_FLUSH,   /* -q, runq */
		CALLS_HELP,    /* --help */
		CALLS_VERSION, /* --version */
	} mode;
	bool from_header;   /* -t: recipients stand in the header */
	bool dots;          /* -i, -oi: a dot alone does not end the message */
	bool plain;         /* -n: no aliases */
	bool verbose;       /* -v */
	const char *sender; /* -f, -r; NULL: the user */
	const char *name;   /* -F; NULL: the user's */
	const char *notify; /* -N, a value of NOTIFY; NULL */
	const char *ret;    /* -R */
	const char *chosen_by; /* of -q: "id", "from", "to"; NULL: all that waits */
	const char *chosen;    /* by which value */
	char envid[101];    /* -V as xtext; empty */
	char **recipients;  /* of the command line; ends with NULL */
	char wrong[160];    /* what is wrong with it; empty */
};

/* Reads argv, which may be put into another order. */
void calls_read(struct calls *c, int argc, char **argv);

extern const char calls_usage[];

#endif
