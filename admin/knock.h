/*
 * knock: goes to a host as a relay would, says EHLO, STARTTLS, EHLO and QUIT, and tells what it
 * saw. No mail is sent, nobody logs in, and what is learned is not remembered.
 */
#ifndef POSTERN_KNOCK_H
#define POSTERN_KNOCK_H

#include <jansson.h>

#include "admin/facts.h"

/*
 * Before the process is locked in: loads what TLS takes, and opens the authorities. NULL, or what
 * went wrong.
 */
const char *knock_prepare(const struct conf *conf);

/*
 * Tries these hosts in their order until one is ready for mail. An array of what was seen: "host",
 * "address", "port", "ready", "said" (the last reply, or what went wrong), "then" (what a relay
 * would do next), "tls" (version and cipher; null: in clear), "certificate" ("good", or what is
 * wrong with it; null: there was none), "offers", "auth", "max_size", "helo", "milliseconds".
 */
json_t *knock_hosts(const struct facts *f, const struct exchangers *x);

#endif
