/*
 * peer: who is at the other end of standard input. Trust begins here, and nowhere else.
 *
 * What kind of descriptor it is says little: a wrapper (socat, ncat, stunnel, tcpserver) puts a
 * pipe or a socket of this host between smtpd and a stranger. So for each kind it is settled who
 * says who the client is, and without a word that can be believed the client is a stranger:
 *
 *	standard input                who says who the client is          then it is
 *	TCP from another host         the kernel                          at that address
 *	TCP from loopback             a wrapper, else the kernel          at that address
 *	UNIX, of root or our user     a wrapper, else the kernel's uid    here
 *	UNIX, of another user         a wrapper, else nobody              unknown
 *	... if local_users = yes      a wrapper, else the kernel's uid    here, as this user
 *	a socket of another family    a wrapper, else nobody              unknown
 *	a pipe, a terminal, a file    a wrapper, else who started us      here
 *
 * A wrapper speaks by variables of the environment. This process is at the mercy of whoever can set
 * those, so they are believed; but two that contradict each other, or one that holds no address,
 * make the client unknown. Root and our own user may write the spool without us, so that trusting
 * them gives nothing away. One variable may be the client's own word: who accepts for us may set
 * REMOTE_ADDR to the name that a client gave its end of a UNIX socket, which can be a file that is
 * called "127.0.0.1". So a client with such a name is unknown where that variable is set.
 *
 * The word of a proxy (proxy.h) stands above all of this, on sockets that the configuration names
 * as a proxy's. A client that it says is on loopback is not on this host: the proxy may be on
 * another one, or have one before it that hides the client.
 *
 * Who listens for users of this host (postern-local.socket) says so by local_users. Whose process
 * it was that connected is the kernel's word, which nobody can change afterwards: who is handed a
 * connection speaks for whoever made it, and root in a namespace of users is the user who he is
 * outside of it. A program of another user that can be made to connect to any path and to send what
 * somebody else wrote, speaks for its own user, too: that is what verbs of HTTP end (commands.c).
 *
 *	the client is           it may send anywhere if
 *	here, or on loopback    relay_local = yes, or relay_nets has the address
 *	here, as a user         the same; from addresses that local_senders has for him
 *	there by a proxy's word relay_nets has it
 *	at another address      relay_nets has it
 *	unknown                 never, unless it proves to be a user
 */
#ifndef POSTERN_PEER_H
#define POSTERN_PEER_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "conf/conf.h"
#include "lib/net.h"

struct peer {
	enum peer_place {
		PEER_HERE,    /* on this host, and nobody else stands behind it */
		PEER_AT,      /* at an address */
		PEER_UNKNOWN, /* nobody says where */
	} place;
	struct netaddr addr;        /* PEER_AT; of the others all zero, by which they are counted */
	char text[NETADDR_LITERAL]; /* "[192.0.2.1]", "local", "unknown", or its user: "uid=33" */
	bool socket;                /* standard input is one, of any kind */
	/* The UNIX socket that it came in at: its path, "@name" of an abstract one, or "*" of one
	 * without a name. Empty: it is no UNIX socket. */
	char listener[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	bool named;                 /* the client gave its end of that socket a name */
	bool user;                  /* the kernel says who: */
	uint32_t uid;               /* ... the user who connected to the UNIX socket */
	bool nobody;                /* that number is one of all whom our namespace does not know */
	bool relayed;               /* its address is the word of a proxy */
	bool proxy;                 /* a proxy's own connection: that gives no rights */
};

/*
 * Looks at `in`, and at `out` if that alone is a socket: a script may read before us. Asks for our
 * user, so root has been left. 0; -ENOTCONN or so: the client has gone; -EOPNOTSUPP: the socket
 * listens.
 */
int peer_of(int in, int out, struct peer *p);

/* Must this connection begin with the word of a proxy? */
bool peer_is_proxy(const struct peer *p, const struct conf_receive *c);

/* A proxy said that the client is at `client`; or that it speaks for itself. */
void peer_become(struct peer *p, const struct netaddr *client);
void peer_stay_proxy(struct peer *p);

/* Does it have the rights of this host? Others are counted. */
bool peer_is_local(const struct peer *p, const struct conf_receive *c);

/* The same, and no network lies between: passwords may go in clear, on a pipe LF ends a line. */
bool peer_is_direct(const struct peer *p, const struct conf_receive *c);

/* Is it a user of this host who came in where these do? */
bool peer_is_user(const struct peer *p, const struct conf_receive *c);

/* ... and one who could not write into the spool himself, so that local_senders is for him? */
bool peer_is_bound(const struct peer *p, const struct conf_receive *c);

/* May it send to any domain without a word about who it is? */
bool peer_may_relay(const struct peer *p, const struct conf_receive *c);

#endif
