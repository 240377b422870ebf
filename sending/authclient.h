/*
 * authclient: AUTH to a host (RFC 4954).
 *
 * Unless the login allows it, nothing is said without TLS, and a mechanism that shows the password
 * or token is used only with a host whose certificate is good for the name that the mail is for.
 */
#ifndef POSTERN_AUTHCLIENT_H
#define POSTERN_AUTHCLIENT_H

#include "sending/link.h"

/*
 * Logs in by the best mechanism that the host announced and that may be used with it; by the next
 * one if the host refuses the mechanism, and by one more if it refuses our password. DONE; SOFT,
 * with the reason in l->text, whatever the host's reply: the mail waits until the operator has
 * mended it.
 */
enum outcome authclient_prove(struct link *l);

#endif
