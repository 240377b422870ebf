/*
 * proof: what libgsasl asks while a client proves who it is: is this the password, what does SCRAM
 * need to know, what is the exchange bound to?
 *
 * A name that is not there takes the same way as a wrong password. Secrets and responses are never
 * logged.
 */
#ifndef POSTERN_PROOF_H
#define POSTERN_PROOF_H

#include <gsasl.h>

/* For gsasl_callback_set; the callback hook of `ctx` is a struct claim (claim.h). */
int proof_callback(Gsasl *ctx, Gsasl_session *s, Gsasl_property wanted);

#endif
