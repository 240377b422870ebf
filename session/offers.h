/*
 * offers: what this client may use now: TLS, mechanisms of AUTH, service extensions, parameters.
 */
#ifndef POSTERN_OFFERS_H
#define POSTERN_OFFERS_H

#include "session/session.h"

bool offers_tls(const struct session *s);
bool offers_auth(const struct session *s);

/* Is there anything that knows users, be it of no use to this client as it came? */
bool offers_users(const struct session *s);

/* Must this client begin TLS before it does anything else (RFC 3207 section 4)? */
bool offers_tls_first(const struct session *s);

/* What this client may use besides (OFFER_* of arguments.h). */
unsigned offers_parameters(const struct session *s);

/* A mechanism of AUTH by its name; `refusal` is R_FINE if it may be used now. NULL: unknown. */
const char *offers_mechanism(const struct session *s, struct span name, enum reply *refusal);

/* Adds a blank and the name of each mechanism that this client may use now. */
void offers_add_mechanisms(const struct session *s, struct buf *b);

/*
 * One line of the reply to EHLO after the other, as a text for say.c ("%" and a letter stand for
 * values). *next is 0 before the first call. NULL: there are no more.
 */
const char *offers_extension(const struct session *s, size_t *next);

#endif
