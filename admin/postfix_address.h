/*
 * postfix_address: tables by which Postfix changes addresses, in our masquerade, force_from and
 * recipient_map.
 *
 * Those of canonical and generic maps are for senders and recipients; the ones of
 * virtual_alias_maps and aliases for recipients. Ours is looked up once, so what Postfix would look
 * up again is put in its place here.
 */
#ifndef POSTERN_POSTFIX_ADDRESS_H
#define POSTERN_POSTFIX_ADDRESS_H

#include "admin/translate.h"

/* `s` is main.cf, its values on one line and with nothing left to put in. */
void postfix_address_put(struct translation *t, struct sheet *s);

#endif
