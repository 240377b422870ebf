/*
 * program: the beginning that smtpd, relay, tls, auth, sign, fetch and postern-tlsreport have in
 * common, step by step.
 *
 *	program_begin, program_configure, program_drop_root; then it opens what it needs, and
 *	program_lock_in
 *
 * A step that fails says why in one line for the operator; the program ends with EXIT_CONFIG, and
 * smtpd tells its client before that.
 */
#ifndef POSTERN_PROGRAM_H
#define POSTERN_PROGRAM_H

#include "process/log.h"
#include "process/options.h"
#include "process/sandbox.h"

/*
 * Fills standard file descriptors, takes a closed pipe and a file that is too large for errors of a
 * write (K8), keeps new files from others, and reads the command line. False: there is no command
 * line, not even a name.
 */
bool program_begin(struct options *o, int argc, char **argv);

/*
 * Reads the configuration into *c and opens the log, for failures too. `unfit` is NULL, or what is
 * wrong with these options for this program; `from` is as in conf_load. 0, or -EINVAL and a line in
 * *why.
 */
int program_configure(struct conf *c, struct conf_origins *from, const struct options *o,
	const char *unfit, const char *name, struct buf *why);

/*
 * Started as root: makes the runtime directory, becomes the user of the configuration, and reads
 * that again as this user. 0, or -errno and a line in *why.
 */
int program_drop_root(struct conf *c, struct conf_origins *from, const struct options *o,
	struct buf *why);

/* Logs why the program cannot begin. EXIT_CONFIG. */
int program_refuse(const struct buf *why);

/*
 * Locks the process in (sandbox.h). What the kernel does not have is logged by sessions, one of
 * which each connection has. False: it must not go on, which is logged with the fields *f.
 */
bool program_lock_in(enum sandbox_role role, const struct spool *spool, int monitor,
	const struct log_fields *f);

/*
 * Ends, without what a C library does at the end: nothing is buffered, and the process may have
 * written to none of the pages that it would write to.
 */
_Noreturn void program_end(int status);

#endif
