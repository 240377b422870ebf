/*
 * fields: the header of a message that a program submits (RFC 6409 section 8): who it goes to, what
 * must not be shown to them, and what is missing.
 *
 * A header is whole fields with CRLF, as text.h keeps it.
 */
#ifndef POSTERN_FIELDS_H
#define POSTERN_FIELDS_H

#include <stdbool.h>

#include "lib/buf.h"

bool fields_has(struct span header, const char *name);

typedef int fields_visit(void *ctx, const char *name, struct span value);

/*
 * Shows the fields that name recipients: To, Cc and Bcc, or those of the message as it was resent
 * (RFC 5322 section 3.6.6) where it was. Ends with the first that is not 0, and returns that.
 */
int fields_recipients(struct span header, fields_visit *visit, void *ctx);

/*
 * Appends the header as it is sent: without Bcc and Return-Path, and with the domain behind
 * addresses that lack theirs. What is no list of addresses stays as it is.
 */
void fields_write(struct span header, const char *domain, struct buf *out);

/* What a field that is missing is made of. */
struct fields_origin {
	const char *domain;  /* for Message-ID */
	const char *address; /* for From; empty: From is not added */
	const char *name;    /* full name for From, as anybody wrote it; or empty */
};

/* Appends Date, Message-ID and From where the header has none. */
void fields_add_missing(struct span header, const struct fields_origin *o, struct buf *out);

/* Appends a person's name as RFC 5322 has it: a phrase, quoted or encoded (RFC 2047) if need be. */
void fields_phrase(struct buf *out, struct span name);

#endif
