/*
 * wrapper: what somebody who accepted a connection for us says of its client.
 *
 * socat, ncat, stunnel and others put a pipe or a socket of this host between a program and whoever
 * connected to them, and say by variables of the environment who that is. A process is at the mercy
 * of whoever can set those, so they can be believed.
 */
#ifndef POSTERN_WRAPPER_H
#define POSTERN_WRAPPER_H

#include <stdbool.h>

#include "lib/net.h"

enum wrapper_word {
	WRAPPER_NOTHING,  /* there is no such variable */
	WRAPPER_NONSENSE, /* one holds no address, or two contradict each other */
	WRAPPER_ADDRESS,
};

/* Where the client is, into *out. */
enum wrapper_word wrapper_client(struct netaddr *out);

/*
 * Is there a wrapper at all? A web server has some of these variables too, for the scripts that it
 * starts: `script` tells that this may be one, for which those are no matter.
 */
bool wrapper_is_there(bool script);

#endif
