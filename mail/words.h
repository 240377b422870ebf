/*
 * words: a header field with 8-bit octets, in ASCII: as encoded words (RFC 2047) in text, comments
 * and the names that stand with addresses, and as extended parameters (RFC 2231) of Content-Type
 * and Content-Disposition.
 *
 * The charset is utf-8 if the field is that, or unknown-8bit (RFC 1428): nobody said which it is.
 * What the octets are does not change, nor does what is ASCII; a line may get one more fold.
 * Whatever could not be a reader's text cannot be encoded: an address, an id, a date.
 */
#ifndef POSTERN_WORDS_H
#define POSTERN_WORDS_H

#include <stdbool.h>

#include "mail/encode.h"

/*
 * The whole field, with its line ends. False: it cannot be, and part of it may have been put out.
 */
bool words_put(struct span field, encode_sink *sink, void *ctx);

#endif
