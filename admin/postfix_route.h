/*
 * postfix_route: where main.cf sends mail, and on which terms: transport_maps, relayhost by sender
 * and for all, and what their hops ask for.
 *
 * Postfix looks up the recipient's domain, the domains above it, and then "*"; only mail that has
 * no transport goes by its sender, and only what is left to relayhost. Of our routes the first in
 * the file has the mail, so they stand in that order.
 */
#ifndef POSTERN_POSTFIX_ROUTE_H
#define POSTERN_POSTFIX_ROUTE_H

#include "admin/translate.h"

/* `s` is main.cf, its values on one line and with nothing left to put in. */
void postfix_route_put(struct translation *t, struct sheet *s);

#endif
