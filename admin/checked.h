/*
 * checked: what the programs find when they look at what they need (`--check`), line by line.
 */
#ifndef POSTERN_CHECKED_H
#define POSTERN_CHECKED_H

#include "admin/admin.h"
#include "admin/errand.h"

/* The most that they may say, octets. */
enum { CHECKED_MAX = 1024 * 1024 };

/*
 * Has a program look: smtpd, which has all others do it, or one of them by its path. What is wrong
 * they say on standard error, what is well tls and auth say on standard output. Its status, or
 * -errno.
 */
int checked_run(const struct admin *a, const char *path, enum errand_ear ear, struct buf *said);

/* The path of a program of ours, which all lie beside relay, into *out, with NUL. */
void checked_path(const struct conf *c, const char *program, struct buf *out);

enum checked_kind { CHECKED_FINE, CHECKED_WARNING, CHECKED_ERROR, CHECKED_ODD };

/* "tls: warning: tls_certificate FILE: it expires in 5 days; renew it" */
struct checked_line {
	struct span program;
	enum checked_kind kind; /* ODD: the line says none of the others, and is the text */
	struct span text;
};

/* The next line of what was said; *rest moves behind it. False: there is none. */
bool checked_next(struct span *rest, struct checked_line *out);

#endif
