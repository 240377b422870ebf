/*
 * check: what `--check` finds wrong, before mail does.
 *
 * Each program checks what it opens itself, by a table of its own, as the user that the service
 * has; `smtpd --check` has the others run theirs. A finding is one line on standard error: what is
 * wrong, with the key and its value, and what to do. One that stops mail makes the exit status
 * EXIT_CONFIG, a warning does not.
 */
#ifndef POSTERN_CHECK_H
#define POSTERN_CHECK_H

#include "process/options.h"

/* What was found so far. */
struct findings {
	const char *program;
	const struct options *options; /* for other programs that are to look too */
	bool stops_mail;
};

void check_fault(struct findings *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_warning(struct findings *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* On standard output, which other programs' checks have not: what is well, for those who ask. */
void check_fine(struct findings *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Warns if by its mode every user of this host may read a file with a secret, or change it: `so`
 * says what that lets them do. `key` is the setting, or the place, that names it. What is no file,
 * such as a credential, is passed by.
 */
void check_secret(struct findings *f, const char *key, const char *path, const char *so);

/* Has another program run its checks; its lines are its own, its verdict counts. */
void check_other(struct findings *f, const char *key, const char *path);

struct check {
	void (*run)(struct findings *f, const struct conf *c);
};

#define CHECKS(table) (sizeof(table) / sizeof((table)[0]))

/* Says why nothing can be checked: the configuration is wrong. Exit status. */
int check_refuse(const char *program, const struct buf *why);

/*
 * Becomes the user of the service, which reads the configuration again, and does all n of them.
 * Then what is in force is printed, if `from` is known. Exit status.
 */
int check_all(const char *program, const struct options *o, struct conf *c,
	struct conf_origins *from, const struct check *checks, size_t n);

#endif
