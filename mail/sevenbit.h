/*
 * sevenbit: makes a message with 8-bit octets, or of any octets at all (BINARYMIME), into one of
 * 7-bit text, for a host that takes nothing else (RFC 6152 section 3, RFC 3030 section 3).
 *
 * What comes out has octets of ASCII only, no NUL, no CR or LF but CRLF, and no line of more than
 * 998 octets but those that a header had. Single parts that are not like that become
 * quoted-printable if they are text and base64 otherwise; header fields that are not like that have
 * encoded words (words.h); all other parts, and all header fields but Content-Transfer-Encoding,
 * stay as they are, octet for octet. A message that knows nothing of
 * MIME and has such a text becomes text/plain with charset unknown-8bit (RFC 1428), and one that
 * has MIME fields but not MIME-Version gets that too. Decoded, every part is what it was. What
 * stands around parts, which nobody decodes, is quoted: it can still be read, and is not dropped.
 *
 * Form that is wrong, and that all readers take alike, is no reason to return mail (L59a): what is
 * no encoding counts as 8bit on text; quoted-printable with 8-bit octets has those quoted, too; a
 * field may say the same twice; a multipart may end without its last boundary.
 *
 * What is not understood for certain cannot be converted, and the sender is told (5.6.3): such
 * octets in an address or id, in signed or encrypted parts or fragments, in base64 (are they to be
 * passed over, or was it never encoded?); a boundary that could be another; and whatever goes over
 * a limit (limits.h). No octet is dropped or altered to make it fit. A signature of the whole
 * (DKIM) may break, of which those who sign are warned (RFC 6376 section 5.3).
 *
 * A message is read where it lies, several times over; memory is fixed. How a client uses it:
 *
 *	before MAIL	sevenbit_check: may it be sent at all, and how long will it be (SIZE=)?
 *	behind 354	sevenbit_convert: the sink stuffs dots as for any other body. Pieces are
 *			not lines: keep "at the start of a line" from one to the next. MAIL had
 *			no BODY=.
 *
 * `read` calls message_read, `source` being the message. What was checked will be converted, as no
 * message changes while it is queued; an error of sevenbit_convert is then one of `read` or of the
 * sink, and the end of data must not be sent. If the last piece does not end with CRLF, neither did
 * the message, and it gets one as always.
 */
#ifndef POSTERN_SEVENBIT_H
#define POSTERN_SEVENBIT_H

#include "mail/pieces.h"

/* Takes a piece of what comes out. 0 or -errno, and then no more is passed on. */
typedef int sevenbit_sink(void *target, struct span piece);

/*
 * 0: converted; -EILSEQ: it cannot be, *why says so in English, and part of it may have been put
 * out; another -errno: of `read` or `sink`.
 */
int sevenbit_convert(pieces_read *read, const void *source, sevenbit_sink *sink, void *target,
	const char **why);

/* Tells what sevenbit_convert would say; 0: with *length octets. */
int sevenbit_check(pieces_read *read, const void *source, uint64_t *length, const char **why);

#endif
