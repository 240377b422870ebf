/*
 * claim: a client that says who it is, and what the file of users has of that name.
 */
#ifndef POSTERN_CLAIM_H
#define POSTERN_CLAIM_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "process/authwire.h"
#include "secrets/password.h"
#include "secrets/users.h"

struct claim {
	struct conf conf;
	int session; /* our end of the pair */
	struct auth_hello hello;
	char *users;     /* text of the file; owned */
	size_t length;
	struct user user; /* the line of the file, if `known` */
	bool known;
	bool trouble;     /* it could not be checked */
	char name[LIMIT_ADDRESS + 1];
};

/* Reads the file, if there is one. False: see errno. */
bool claim_read_users(struct claim *c);

/* Its text. */
struct span claim_users(const struct claim *c);

/* ... and how names are compared. */
struct password_file claim_file(const struct claim *c);

/*
 * Looks for the name: fills `user`, `known` and `name`. A name that is known is written as in the
 * file from then on.
 */
void claim_find_user(struct claim *c, const char *name);

#endif
