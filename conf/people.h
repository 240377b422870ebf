/*
 * people: the names of this host's users, and the domain of their addresses.
 *
 * /etc/passwd and /etc/mailname are read as they are: a session has no NSS, and is locked in before
 * it knows its client. So users of a directory service, and those that systemd makes for a unit,
 * have a number here and no name; local_senders can have their numbers.
 */
#ifndef POSTERN_PEOPLE_H
#define POSTERN_PEOPLE_H

#include "conf/hostname.h"
#include "lib/buf.h"

#define PEOPLE_PASSWD   "/etc/passwd"
#define PEOPLE_MAILNAME "/etc/mailname"
#define PEOPLE_SOCKET   "/run/postern/local" /* where they come in: postern-local.socket */

struct people {
	struct buf passwd;           /* as it was read */
	char mailname[HOSTNAME_SIZE]; /* empty: there is none */
};

/* Reads both. A file that is missing or cannot be read leaves its part empty. */
void people_read(struct people *p, const char *passwd, const char *mailname);

/*
 * The first line of a file like /etc/mailname, if it is a domain. False: there is none, and *out is
 * untouched.
 */
bool people_mailname(const char *path, char out[static HOSTNAME_SIZE]);

/* The name of the user with this number; empty: he has none. Valid as long as *p. */
struct span people_name(const struct people *p, uint32_t uid);

void people_free(struct people *p);

#endif
