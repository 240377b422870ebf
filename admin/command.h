/*
 * command: the table of all commands of `postern`, their options and help.
 *
 * A new one is a file of this room with a `const struct command command_NAME`, and a row in
 * command.c.
 */
#ifndef POSTERN_COMMAND_H
#define POSTERN_COMMAND_H

#include <stdio.h>

#include "admin/admin.h"

extern const struct command command_status, command_list, command_show, command_retry, command_hold,
	command_release, command_remove, command_bounce;
extern const struct command command_explain, command_doctor, command_trace, command_check,
	command_test, command_top, command_dkim, command_import;

/* Those that all commands have. The last one has no name. */
extern const struct command_option command_common[];

/* By its name, or NULL. */
const struct command *command_find(const char *name);

/* Help: of all, or of one. */
void command_usage(FILE *to);
void command_help(const struct command *c, FILE *to);

#endif
