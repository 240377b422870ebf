/*
 * authclient: AUTH to a host (RFC 4954).
 *
 * Nothing is said without TLS, and nothing that gives a secret away to a host whose certificate was not
 * found good for the name that the mail is for, unless the login allows it.
 */
#ifndef POSTERN_AUTHCLIENT_H
#define POSTERN_AUTHCLIENT_H

#include "sending/link.h"

/* The mechanisms in a line of EHLO, as bits of client.mechanisms. */
unsigned auth_learn(struct span names);

/* DONE; SOFT, with the reason in l->text: not now, for whatever reason it is refused. */
enum outcome auth_say(struct link *l);

#endif
