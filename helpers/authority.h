/*
 * authority: another program that knows passwords, saslauthd or Dovecot, which is asked about names
 * that the file of users does not have a secret for. What is wrong with it is logged.
 */
#ifndef POSTERN_AUTHORITY_H
#define POSTERN_AUTHORITY_H

#include "helpers/claim.h"
#include "process/check.h"

/*
 * Connects to the one that the configuration names, if any; before the process locks itself in. If
 * it cannot, it is trouble when there is a question.
 */
void authority_open(const struct conf *conf);

/* Is there one? */
bool authority_is_named(void);

/*
 * Is this the password? False and c->trouble: it could not be found out. What the file has of the
 * user whom it names counts from then on. It is for one question.
 */
bool authority_ask(struct claim *c, const char *name, const char *password);

/* Of `auth --check`: can it be connected to? It may be started later than this is asked. */
void authority_check(struct findings *f, const struct conf *conf);

#endif
