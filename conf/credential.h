/*
 * credential: secrets that are handed to us, as values of keys.
 *
 * "environment:NAME" stands for what the variable POSTERN_SECRET_NAME holds: for containers. The
 * monitor hands it on to relay alone; a session, and a relay at work, have wiped it out of their
 * environment.
 *
 * "credential:NAME" stands for the file NAME in $CREDENTIALS_DIRECTORY (systemd's LoadCredential=).
 * The directory is known only where the unit runs, so the value stays as it is until a program
 * wants to read the file.
 */
#ifndef POSTERN_CREDENTIAL_H
#define POSTERN_CREDENTIAL_H

#include <stdbool.h>

#include "lib/buf.h"
#include "lib/span.h"

/* Is this value one? */
bool credential_named(struct span value);

/* ... and nobody said where it is: only the unit knows. */
bool credential_hidden(struct span value);

/* Is this value a name of a variable? */
bool credential_variable_named(struct span value);

/* What the variable holds; NULL: there is none. */
const char *credential_variable(const char *value);

/* What all such variables hold is wiped out: who talks to strangers has taken what it needs. */
void credential_forget(void);

#define CREDENTIAL_VARIABLE "SECRET_" /* behind "POSTERN_": no key of the configuration */
#define CREDENTIAL_DIRECTORY "CREDENTIALS_DIRECTORY="

/* The setting NAME=value for a program that reads credentials; NULL: none, or no absolute path. */
const char *credential_environment(char *const *environment);

/*
 * For the programs that read the files: puts the path into the place of the name, if it is one. 0,
 * or -EINVAL with the reason in *why.
 */
int credential_path(char **value, struct buf *why);

#endif
