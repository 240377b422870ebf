/* proving: libgsasl, which asks about the client that says who it is. */
#ifndef POSTERN_PROVING_H
#define POSTERN_PROVING_H

#include "tests/unit/helpers/claimed.h"

#include "helpers/proof.h"

static Gsasl *library;

static inline int
start(void **state)
{
	if (write_users(state) < 0 || gsasl_init(&library) != GSASL_OK)
		return -1;
	gsasl_callback_set(library, proof_callback);
	gsasl_callback_hook_set(library, &c);
	return 0;
}

static inline int
stop(void **state)
{
	(void)state;
	gsasl_done(library);
	return 0;
}

#endif
