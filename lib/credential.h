/*
 * credential: files that systemd hands to a unit (LoadCredential=), as values of keys.
 *
 * "credential:NAME" stands for the file NAME in $CREDENTIALS_DIRECTORY. The directory is known only
 * where the unit runs, so the value stays as it is until a program wants to read the file.
 */
#ifndef POSTERN_CREDENTIAL_H
#define POSTERN_CREDENTIAL_H

#include <stdbool.h>

#include "conf.h"
#include "span.h"

/* Is this value one? */
bool credential_named(struct span value);

/* The setting NAME=value for a program that reads credentials; NULL: none, or no absolute path. */
const char *credential_environment(char *const *environment);

/*
 * For the programs that read the files: puts the path into the place of the name, if it is one. 0, or -EINVAL
 * with the reason in *why.
 */
int credential_path(char **value, struct buf *why);

/* The same for all that tls and auth read. */
int credential_find(struct conf *c, struct buf *why);

#endif
