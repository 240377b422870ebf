/*
 * fetchwire: what fetch and who asks it, relay or postern-tlsreport, say to each other, over a pair
 * of stream sockets: FETCH_READY, from a fetch that has all it takes and is locked in; a question,
 * with the octets to post behind it; and a reply, with the octets that came behind it. What goes
 * wrong before FETCH_READY is this host's trouble, and behind it the web server's: nothing that it
 * said was read before.
 *
 * Names of hosts and what they say go over it, reports on TLS, and no other mail. The connection to
 * the host is another descriptor, made by who asks: fetch makes none.
 */
#ifndef POSTERN_FETCHWIRE_H
#define POSTERN_FETCHWIRE_H

#include <stdint.h>

#include "lib/limits.h"

enum {
	/* Octets of a reply, which is a policy (RFC 8461 section 3.3 suggests it); and of the head
	 * of one, with room for cookies and the like. */
	FETCH_REPLY = 64 * 1024,
	FETCH_HEAD = 64 * 1024,
	/* Octets to post: a report on TLS, packed; most have a few KiB. */
	FETCH_POST = 8 * 1024 * 1024,
	FETCH_TIME = 60,   /* s of all there is to it: name, connection, TLS, reply (the same) */
	/* s after which the process ends, whatever curl thinks of that; from its start, and again
	 * from when it has read what it needs. */
	FETCH_LIFE = FETCH_TIME + 5,
	/* s of a processor, from when it has read what it needs: a handshake and all that is read
	 * and posted take less than one, on a slow host too. OpenSSL works through tickets and new
	 * keys for as long as a server sends them, and curl, which looks at the time, is not asked
	 * meanwhile. */
	FETCH_CPU = 5,
	FETCH_PATH = 2048, /* octets of a path, as web servers take it */
	FETCH_TYPE = 128,  /* octets of a media type */
	FETCH_WHY = 256,
	FETCH_READY = 'R', /* an octet */
};

struct fetch_question {
	uint32_t ms;   /* from now, to its end; FETCH_TIME at most */
	uint32_t port; /* where the connection is to: it stands in the URL */
	uint32_t post; /* octets that follow, and are posted; 0: GET */
	char host[LIMIT_DOMAIN + 1]; /* of the URL, SNI and the certificate: a domain */
	char path[FETCH_PATH];       /* "/" and what follows, in printable ASCII without blanks */
	char type[FETCH_TYPE];       /* of what is posted */
};

struct fetch_reply {
	uint32_t trouble; /* enum fetch_trouble */
	uint32_t status;  /* of HTTP; 0: there is none */
	uint32_t n;       /* octets that follow */
	char type[FETCH_TYPE]; /* of these; "": none was told, or a longer one */
	char why[FETCH_WHY];   /* of the trouble */
};

enum fetch_trouble {
	FETCH_DONE,        /* the host has answered, whatever its status is */
	FETCH_CERTIFICATE, /* its certificate is not good for it */
	FETCH_FAILED,      /* anything else */
	FETCH_NONE,        /* not of a reply: no fetch runs here, which says nothing of the host */
};

#endif
