/* options: the command line of all programs. */
#ifndef POSTERN_OPTIONS_H
#define POSTERN_OPTIONS_H

#include <stdbool.h>

#include "conf/conf.h"

enum {
	OPTIONS_MAX = CONF_KEYS_MAX, /* -o settings on one command line: one for each key */
	OPTIONS_LISTEN = 32,         /* --listen, and sockets that are handed over */
};

struct options {
	struct conf_args conf;
	const char *setting[OPTIONS_MAX];
	const char *listen[OPTIONS_LISTEN]; /* smtpd --listen ADDRESS:PORT (listen.h) */
	int listeners;    /* so many */
	bool check;       /* --check: look at what the configuration names (check.h), and end */
	bool due;         /* relay --due */
	bool now;         /* ... --now */
	bool waiting;     /* relay --waiting */
	const char *hash; /* auth --hash NAME, smtpd --hash NAME */
	bool counters;    /* smtpd --counters */
	const char *health; /* smtpd --health ADDRESS:PORT (health.h) */
	bool serve;       /* tls, auth --serve: descriptors are inherited at the fds of launch.h */
	bool wait;        /* ... --wait: clients come one after the other (await.h) */
	bool public;      /* sign --public: what is to be published */
	const char *make; /* sign --make rsa:FILE, ed25519:FILE: a new key */
	const char *login; /* relay --login NAME: its lock is inherited at the fd of launch.h */
	const char *wrong; /* NULL, or what is wrong with the command line */
};

/* Reads argv. Prints and exits for --version and --help only; see `wrong`. */
void options_parse(struct options *o, int argc, char **argv);

#endif
