/* readiness: what relay needs to deliver, looked at by `relay --check`. */
#ifndef POSTERN_READINESS_H
#define POSTERN_READINESS_H

#include "process/options.h"

/* Name servers, authorities, our own addresses, hosts and logins of routes. Exit status. */
int readiness_check(const struct options *o, struct conf *c, struct conf_origins *from);

/* Is there mail that goes only to hosts whose certificate is good? */
bool readiness_needs_authorities(const struct conf *c);

/* May this file be read, or run, as access(2) says it? 0 or -errno; a directory is neither. */
int readiness_find(const char *path, int mode);

/* What is said of certificates that the DNS says: the most that is asked for, of any mail. */
enum conf_dane readiness_dane(const struct conf *c);

/* Why it comes to nothing. */
#define READINESS_UNTRUSTED "a nameserver is neither on this host nor in dnssec_trusted, so " \
	"nobody says what is DNSSEC-secure; use a validating resolver on this host"

#endif
