/*
 * dkim: what a DKIM signature is made of (RFC 6376, 8301, 8463). Octets in, octets out: the digests
 * and the keys are somebody else's.
 *
 * Both canonical forms are "relaxed" (sections 3.4.2 and 3.4.4), for mail that hosts on its way
 * fold anew and whose trailing blanks they drop. A message is fed once, as it goes out: of its
 * header the fields are kept that are signed, of its body nothing.
 *
 *	dkim_feed ..., dkim_end	the octets of the message, in any pieces; the canonical body
 *				goes to the sink, whose SHA-256 is the body hash
 *	dkim_write		the field DKIM-Signature for one key, without the signature
 *	dkim_signed		the octets whose SHA-256 is signed by that key
 *
 * Each field of the list in dkim.c is signed as often as it is there, and once more (section
 * 8.15): so nobody adds a second one that a reader would be shown. Of the List-* fields only those
 * that are there, for a list adds its own to mail that it passes on unchanged. There is no l= and
 * no z=.
 */
#ifndef POSTERN_DKIM_H
#define POSTERN_DKIM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/limits.h"

enum {
	DKIM_HASH = 32,              /* octets of SHA-256 */
	/* Octets of a field, and of those that are signed in canonical form: as much header as
	 * sendmail takes. Of memory, not of the protocol, so it is far beyond what mail has. */
	DKIM_HEADER_MAX = 1 << 20,
	DKIM_FIELDS_MAX = 1000,      /* ... and so many of them */
	DKIM_OUT = 4096,             /* octets of a piece that the sink gets, at most */
	DKIM_SELECTOR = 63,          /* octets */
	/* Octets of a signature that is written: its h= grows with the fields. */
	DKIM_FIELD_MAX = 64 << 10,
};

enum dkim_algorithm { DKIM_NONE, DKIM_RSA, DKIM_ED25519 };

/* Takes a piece of the canonical body. */
typedef void dkim_sink(void *target, struct span piece);

struct dkim_field {
	int name;        /* its row in the list */
	size_t at, n;    /* its canonical form in `kept`, without CRLF */
};

struct dkim {
	struct buf kept;
	struct dkim_field *field; /* owned */
	int fields;
	int err;                  /* 0; -E2BIG: too much header to keep; -ENOMEM */
	int froms;                /* fields From: one, if it is as it should be */
	char from[LIMIT_DOMAIN + 1];   /* the domain of the first address of the first of them, with
	                                * A-labels; "": it is none that is understood */
	char shared[LIMIT_DOMAIN + 1]; /* that, or as much of its end as all addresses have; "": not
	                                * even that, or not all of them are understood */
	struct buf before;        /* domains of signatures that are there, each with a NUL */
	bool put_away;            /* a field was, and another one put in its place (rewrite.h) */

	/* of dkim.c */
	dkim_sink *sink;
	void *target;
	struct buf line;          /* the field that is being read */
	bool line_ended;          /* ... whose line has ended: does it go on? */
	bool too_long;            /* it is none of ours, or there is no room */
	bool in_body;
	struct dkim_body {
		uint64_t lines;   /* ends of lines that were not put out yet */
		bool blank, cr;   /* a blank, a CR */
		bool any;         /* something was put out */
		size_t n;
		char out[DKIM_OUT];
	} body;
};

/* Begins with a message. The struct is large, and holds pointers: dkim_free. */
void dkim_begin(struct dkim *d, dkim_sink *sink, void *target);
void dkim_feed(struct dkim *d, struct span piece);
void dkim_end(struct dkim *d);
void dkim_free(struct dkim *d);

/* Does it have a signature of this domain already? Letter case does not matter. */
bool dkim_has(const struct dkim *d, struct span domain);

/*
 * May a domain sign it? Not if it has two fields From, of which each reader believes another one,
 * and not if there are addresses of several domains in From that are not all of this one: whoever
 * looks at the first address alone would take the signature for one of the others' too.
 */
bool dkim_may_sign(const struct dkim *d, struct span domain);

struct dkim_key {
	const char *domain;            /* d=, with A-labels */
	const char *selector;          /* s= */
	enum dkim_algorithm algorithm; /* not DKIM_NONE */
	int64_t at;                    /* t=, s since 1970 */
	int64_t until;                 /* x=; 0: none */
};

/*
 * Appends the field of a key to *out, folded, up to "b=" and without CRLF; the signature in base64
 * and CRLF are what comes behind it (dkim_sign). `body` is the SHA-256 of the canonical body.
 */
void dkim_write(const struct dkim *d, const struct dkim_key *key,
	const unsigned char body[static DKIM_HASH], struct buf *out);

/* Gives the sink `take` what is signed: the fields and then `field`, as dkim_write made it. */
void dkim_signed(const struct dkim *d, struct span field, dkim_sink *take, void *target);

/* Appends a signature in base64 behind what dkim_write wrote, folded, and CRLF. */
void dkim_sign(struct buf *out, struct span base64);

#endif
