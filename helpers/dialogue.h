/*
 * dialogue: challenges and responses of one exchange of AUTH, between libgsasl and the session
 * (process/authwire.h), and what comes of it.
 */
#ifndef POSTERN_DIALOGUE_H
#define POSTERN_DIALOGUE_H

#include <gsasl.h>

#include "helpers/claim.h"

/*
 * Steps until it is decided, and tells the session; or until that has gone. c->hello says by which
 * mechanism, and `s` is begun.
 */
void dialogue_run(struct claim *c, Gsasl_session *s);

#endif
