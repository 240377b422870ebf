/*
 * address: mailbox addresses by the grammar of RFC 5321 section 4.1.2 and RFC 6531 section 3.3.
 *
 * Where an address may hold UTF-8, it is valid UTF-8 (RFC 3629: no overlong forms, no surrogates);
 * the caller decides whether the client may send it (span_is_ascii).
 *
 * Nothing is guessed or repaired: what the grammar does not allow is refused. Two things are taken
 * beyond it, because containers, scripts and mailing lists need them and they can mean only one
 * thing: "_" in domains, and local parts of more than 64 octets. A source route ("@a,@b:") is
 * parsed and ignored (appendix C). The local part is kept as it was written, with its quotes and
 * its case (section 2.4); the domain is what stands behind the last "@" outside quotes.
 */
#ifndef POSTERN_ADDRESS_H
#define POSTERN_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/limits.h"
#include "lib/span.h"

/* Parts of the text that was parsed; valid as long as it is. */
struct address {
	struct span whole;  /* local@domain without route and brackets; empty for the null path */
	struct span local;  /* as written, quotes included */
	struct span domain; /* a domain or an address literal with its brackets; may be empty only
	                     * where address_path allowed it */
};

enum address_kind {
	ADDRESS_REVERSE, /* MAIL FROM: the null path "<>" is legal */
	ADDRESS_FORWARD, /* RCPT TO: "<postmaster>", any case, is legal without a domain */
};

/*
 * Parses a path "<...>" at the start of s. *rest is what follows the closing bracket (parameters).
 * 0 or -EINVAL; outputs are untouched on failure.
 * Limits: domain 255, label 63, whole path 256 octets; longer is -EINVAL.
 */
int address_path(struct span s, enum address_kind kind, struct address *out, struct span *rest);

/* The same of an address that lacks its brackets; so it is neither empty nor has it a route. */
int address_bare(struct span s, enum address_kind kind, struct address *out, struct span *rest);

/* All of s is "local@domain", as in a configuration file. 0 or -EINVAL. */
int address_mailbox(struct span s, struct address *out);

/*
 * A local part in its least quoted form, which all forms of one mailbox have in common (RFC 5321
 * section 4.1.2): "joe" in quotes is joe. What is no quoted string, or is longer than the room, is
 * as it was. To compare with, never to pass on. Lives as long as both, and is no longer.
 */
struct span address_plain(struct span local, char room[static LIMIT_ADDRESS]);

/*
 * Do two texts name the same mailbox, in whatever quotes? Letter case never matters. Both may also
 * be a local part or "@domain"; these are the same as others of their kind only.
 */
bool address_same(struct span a, struct span b);

/* Valid UTF-8? */
bool address_is_utf8(struct span s);

/*
 * A domain: labels of 1..63 letters, digits, "-" and "_" that neither begin nor end with "-", no
 * final dot.
 */
bool address_is_domain(struct span s);

/* The name of a host to other hosts (RFC 1123 section 2.1): a domain without "_". */
bool address_is_hostname(struct span s);

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]"; any other tag, or a zone, is refused. */
bool address_is_literal(struct span s);

/* The argument of EHLO and HELO: a domain or a literal. */
bool address_is_helo(struct span s);

#endif
