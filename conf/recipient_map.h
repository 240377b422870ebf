/*
 * recipient_map: a file that says where mail for some recipients goes instead.
 *
 *	# comment
 *	root: me@example.org, you@example.org     root at this host: our name, or localhost
 *	joe@old.example: joe@example.org
 *	@old.example: @example.org                the others there keep their local parts
 *	@test.example: me@example.org
 *
 * What stands on the right is final: it is not looked up again, so that there is no circle. An
 * address goes before a name, and a name before a domain; neither letter case nor quotes that are
 * not needed ever matter. The file is read once, whole, before a client is listened to, and looked
 * through for each recipient.
 */
#ifndef POSTERN_RECIPIENT_MAP_H
#define POSTERN_RECIPIENT_MAP_H

#include "lib/buf.h"
#include "mail/address.h"

enum {
	RECIPIENT_MAP_FILE = 64 * 1024, /* octets: looked through in less than 0.1 ms */
	RECIPIENT_MAP_TARGETS = 100,    /* of one recipient: as many lanes as a message may have */
};

/*
 * Reads a file and looks at each of its lines. 0, and *out is its text; or -errno and a line in
 * *why.
 */
int recipient_map_load(const char *path, struct buf *out, struct buf *why);

/* What is wrong with a line of such a file; NULL: nothing. */
const char *recipient_map_check(struct span line);

/*
 * Where mail for an address goes: appends addresses, each with LF. False: as it was given. `map` is
 * a text that was loaded, `hostname` our name.
 */
bool recipient_map_find(struct span map, const char *hostname, const struct address *to,
	struct buf *out);

#endif
