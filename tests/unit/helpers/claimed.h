/* claimed: a file of users, and a client that says who it is. */
#ifndef POSTERN_CLAIMED_H
#define POSTERN_CLAIMED_H

#include "tests/unit/unit.h"

#include <stdio.h>

#include <gsasl.h>

#include "helpers/claim.h"
#include "secrets/secret.h"

/* Secrets of "pencil". */
#define CRYPT "$1$salt$J1PqSTZGFL2Db3AIeaGdZ0"
static char sha256[USERS_SECRET];

#define SENDERS "joe@a.example @b.example"
static char users[4 * USERS_SECRET], path[] = "users";

static struct claim c;

/* A claim of a client that has not said anything yet. */
static inline void
begin_claim(const char *mechanism)
{
	c = (struct claim){ .conf.auth.users = path, .conf.receive.timeout_check = 60,
		.users = users, .length = strlen(users), .session = -1 };
	snprintf(c.hello.mechanism, sizeof(c.hello.mechanism), "%s", mechanism);
}

static inline int
write_users(void **state)
{
	(void)state;
	if (!secret_make(GSASL_HASH_SHA256, "pencil", sha256))
		return -1;
	snprintf(users, sizeof(users), "joe:" CRYPT " {SCRAM-SHA-256}%s:" SENDERS "\n"
		"max:" CRYPT "\nlocked:*\nodd:{SHA}x\nspoilt:{SCRAM-SHA-256}4096,x\n", sha256);
	return 0;
}

#endif
