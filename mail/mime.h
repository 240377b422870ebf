/*
 * mime: the header fields and lines that say how an entity is built (RFC 2045, 2046).
 *
 * Values come unfolded and without the name. What can be read in more than one way is not read.
 */
#ifndef POSTERN_MIME_H
#define POSTERN_MIME_H

#include <stdbool.h>

#include "lib/limits.h"
#include "lib/span.h"

enum mime_type {
	MIME_TEXT,      /* text of any kind; what has no type is text, too */
	MIME_DATA,      /* another single part */
	MIME_MESSAGE,   /* message/rfc822 */
	MIME_MULTIPART, /* the boundary is known */
	MIME_DIGEST,    /* the same; parts without a type are messages */
	MIME_SEALED,    /* signed, encrypted or a fragment: may not be changed inside */
	MIME_UNTYPED,   /* the field names no type: as if it were not there */
	MIME_UNKNOWN,   /* the field is not as it should be */
};

enum mime_encoding {
	MIME_7BIT,  /* or no field */
	MIME_8BIT,  /* or binary */
	MIME_QUOTED,
	MIME_CODED, /* base64, or of some kind that is not of RFC 2045 */
	MIME_ODD,   /* nothing that could be an encoding: a charset, a type, no word at all */
};

struct mime_boundary {
	char text[LIMIT_BOUNDARY];
	size_t n;
};

/* Reads Content-Type. *b is set if the result is MIME_MULTIPART or MIME_DIGEST. */
enum mime_type mime_type(struct span value, struct mime_boundary *b);

/* Reads Content-Transfer-Encoding. */
enum mime_encoding mime_encoding(struct span value);

/* The fields that say it, as their lines begin. */
enum mime_field {
	MIME_FIELD_OTHER, MIME_FIELD_VERSION, MIME_FIELD_TYPE, MIME_FIELD_ENCODING, MIME_FIELD_KINDS
};
extern const char *const mime_names[MIME_FIELD_KINDS]; /* with the colon; OTHER has none */

enum mime_field mime_field(struct span line);

/* Does this line go on with the field before it? */
bool mime_is_folded(struct span line);

/* Does a field begin here, or what no reader takes for the end of a header? */
bool mime_is_field(struct span line);

/*
 * Is this line (or its beginning) a boundary of *b? *closing: the last one. It may be padded with
 * blanks, and any CR and LF is allowed behind it: the caller looks whether it is as it should be.
 */
bool mime_is_boundary(struct span line, const struct mime_boundary *b, bool *closing);

/* Is this the MIME-Version that there is (1.0)? What says another is read as if it were that. */
bool mime_is_version(struct span value);

#endif
