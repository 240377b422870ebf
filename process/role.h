/* role: what a process is that locks itself in (sandbox.h), and so what it may. */
#ifndef POSTERN_ROLE_H
#define POSTERN_ROLE_H

enum sandbox_role {
	SANDBOX_SESSION, /* reads a client: no new sockets, no exec, no other process */
	SANDBOX_WORKER,  /* the same, and takes clients from the listening sockets that it has */
	SANDBOX_RELAY,   /* talks to servers: sockets, but no exec */
	SANDBOX_HELPER,  /* tls, auth, sign: the descriptors it has, and no other */
	SANDBOX_FETCH,   /* the same, and libcurl works by them */
	SANDBOX_WAITING, /* as a helper, and gets those of its next client over `monitor` */
};

#endif
