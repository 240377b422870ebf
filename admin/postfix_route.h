/*
 * postfix_route: where main.cf sends mail, and on which terms: relayhost, TLS, login, addresses.
 */
#ifndef POSTERN_POSTFIX_ROUTE_H
#define POSTERN_POSTFIX_ROUTE_H

#include "admin/translate.h"

/* `s` is main.cf, its values on one line and with nothing left to put in. */
void postfix_route_put(struct translation *t, struct sheet *s);

#endif
