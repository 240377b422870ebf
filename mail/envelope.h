/*
 * envelope: what a client asks for with MAIL and RCPT besides the addresses, and how it stands in a
 * queued message (stored.h). Values of a client that are kept as text (ENVID, ORCPT, AUTH) stay in
 * the encoding they came in, so they can be passed on unchanged and cannot end a line. An ORCPT
 * beyond ASCII is kept in the form of ASCII that RFC 6533 section 3 gives it: every host and report
 * may have it.
 */
#ifndef POSTERN_ENVELOPE_H
#define POSTERN_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"

enum body { BODY_UNSAID, BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME }; /* RFC 6152, RFC 3030 */
enum ret { RET_UNSAID, RET_FULL, RET_HDRS };                          /* RFC 3461 section 4.3 */
enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

struct envelope {
	struct span sender; /* empty: the null reverse path */
	enum body body;
	bool utf8;          /* SMTPUTF8 (RFC 6531) */
	bool require_tls;   /* REQUIRETLS (RFC 8689) */
	enum ret ret;
	/* RET=FULL, of a client whom a report may give the whole message back */
	bool whole;
	/* Of a client that may send anywhere, or a report of ours: it may have our signature. */
	bool ours;
	/* ... of a user who may send from some addresses only: it may have one for those alone. */
	bool bound;
	struct span envid;  /* xtext, or empty */
	struct span auth;   /* xtext or "<>", or empty: not given (RFC 4954 section 5) */
	int64_t by;         /* wall clock, s: to be delivered by then; 0: no such wish (RFC 2852) */
	char by_mode;       /* 'R': else return it; 'N': else tell the sender */
	bool by_trace;
	int64_t hold;       /* wall clock, s: not to be sent before; 0 (RFC 4865) */
	int priority;       /* -9..9 (RFC 6710) */
};

struct terms {              /* of one recipient */
	unsigned notify;    /* NOTIFY_*; 0: not given */
	struct span orcpt;  /* "type;xtext" or "utf-8;unitext", or empty */
};

/* Appends "Name: value" lines for all but the sender and what is at its default. */
void envelope_write(struct buf *b, const struct envelope *e);
void envelope_write_terms(struct buf *b, const struct terms *t);

/* Reads one such line. False if it is none of these, or its value is odd. */
bool envelope_read(struct span line, struct envelope *e);
bool envelope_read_terms(struct span line, struct terms *t);

/* What xtext stands for. */
void envelope_decode(struct buf *b, struct span xtext);

/* The values of BODY, RET and NOTIFY as they stand in commands; "" where nothing was said. */
const char *envelope_body_word(enum body b);
const char *envelope_ret_word(enum ret r);
void envelope_notify_words(unsigned notify, struct buf *b);

/* ... and back; false if it is not one of them. */
bool envelope_parse_body(struct span s, enum body *out);
bool envelope_parse_ret(struct span s, enum ret *out);
bool envelope_parse_notify(struct span s, unsigned *out);

#endif
