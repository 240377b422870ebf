/*
 * xtext: encodings of text in parameters of MAIL and RCPT: xtext of RFC 3461 section 4, and what
 * addresses beyond ASCII have in ORCPT instead, utf-8-addr-unitext and -xtext of RFC 6533 section
 * 3.
 *
 * What a valid one stands for holds no control character of ASCII, so that it can end no line
 * anywhere.
 */
#ifndef POSTERN_XTEXT_H
#define POSTERN_XTEXT_H

#include "lib/buf.h"

/* Printable ASCII in which "+" and two capital hex digits stand for an octet; 1 to `max` octets. */
bool xtext_valid(struct span s, size_t max);

/* Appends what a valid one stands for. */
void xtext_decode(struct buf *b, struct span s);

/* Appends ASCII as xtext. */
void xtext_encode(struct buf *b, struct span s);

/*
 * Printable ASCII but "+" and "=", and UTF-8, in which "\x{code point}" stands for what else there
 * is. The caller knows that it is UTF-8 (address.h).
 */
bool xtext_unitext_valid(struct span s);

/* Appends it with "\x{...}" for all that is not ASCII: what every host may be sent. */
void xtext_encode_unitext(struct buf *b, struct span s);

#endif
