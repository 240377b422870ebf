/*
 * message_id: the Message-ID of a message that passes by, for the log.
 *
 * It is what stands in <> behind the name of the first such field, or all of it where there are no
 * brackets. A stranger wrote it, so it has a form in which it can stand in any line: octets that no
 * id needs, a blank, brackets, a quote, what is not printable ASCII, are \xHH, and it is cut. Two
 * that differ behind that are the same in the log, which nobody but a forger could bring about.
 */
#ifndef POSTERN_MESSAGE_ID_H
#define POSTERN_MESSAGE_ID_H

#include "mail/header.h"

enum {
	MESSAGE_ID_TEXT = 256, /* of the form for the log, with NUL; those of the field have 100 */
	MESSAGE_ID_KEPT = MESSAGE_ID_TEXT, /* octets of the field, with its bracket */
};

struct message_id {
	struct header_value value;
	char text[MESSAGE_ID_KEPT]; /* of which only value.n were written */
};

/* A message begins. */
void message_id_begin(struct message_id *m);

/* A listener (header.h). */
void message_id_hear(struct message_id *m, const struct header_part *part);

/* As the log has it, a C string; "": there is none. */
void message_id_text(const struct message_id *m, char out[static MESSAGE_ID_TEXT]);

/* The same of an id that somebody asks for, without brackets. */
void message_id_shown(struct span id, char out[static MESSAGE_ID_TEXT]);

#endif
