/*
 * resume: TLS sessions that a later relay may resume, in small files beside those of hosts.h.
 *
 *	hosts/<address>-<port>.tls	"tls <host>\n", a sum of what follows, and that;
 *					"weak <host>\n" where weak keys were good enough
 *
 * A hint like those: of the same host name, not too old, whole, or it is not there (K13). Nothing
 * that is decided about a connection depends on it: a certificate is judged anew each time. But the
 * keys of a session are as weak as those that it was agreed on with, so where they must not be weak
 * it is none that was made where they might.
 */
#ifndef POSTERN_RESUME_H
#define POSTERN_RESUME_H

#include <stdbool.h>

#include "lib/buf.h"
#include "lib/net.h"

/* Where sessions with a host are. */
struct resume {
	int dir;               /* of hosts.h; less than 0: nowhere */
	struct netaddr addr;
	int port;
	const char *host;
	int64_t age;           /* s; what is older is not used */
	bool weak;             /* keys may be weak */
};

enum { RESUME_MAX = 16 * 1024 }; /* octets of one session, with what was added to it */

void resume_load(const struct resume *r, struct buf *out); /* empty if there is none */
void resume_save(const struct resume *r, struct span session);
void resume_forget(const struct resume *r);

#endif
