/* submitted: what would become of the addresses of mail that our own clients submit. */
#ifndef POSTERN_SUBMITTED_H
#define POSTERN_SUBMITTED_H

#include <jansson.h>

#include "conf/conf.h"
#include "mail/address.h"

/*
 * "goes" (as given, elsewhere, nowhere, into files, or that the address becomes too long),
 * "recipients" instead, "sender" instead, "adds": fields where they are missing from a message of a
 * client on this host; "trouble": recipient_map cannot be read. Null where nothing is changed. The
 * file that recipient_map names is read, before it is out of reach.
 */
json_t *submitted_fate(struct conf *c, struct span sender, const struct address *to);

/* The same of what strangers send, which guard alone changes: "goes", "recipients"; or null. */
json_t *submitted_by_strangers(const struct conf *c, const struct address *to);

#endif
