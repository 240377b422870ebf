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

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"

enum {
	MESSAGE_ID_TEXT = 256, /* of the form for the log, with NUL; those of the field have 100 */
	MESSAGE_ID_KEPT = MESSAGE_ID_TEXT, /* octets of the field, with its bracket */
};

struct message_id {
	enum message_id_place { MESSAGE_ID_NAME, MESSAGE_ID_LINE, MESSAGE_ID_VALUE, MESSAGE_ID_FOLD,
		MESSAGE_ID_OVER } place;
	uint16_t name, n; /* octets of the name that were there; of the value that are kept */
	char text[MESSAGE_ID_KEPT]; /* of which only n were written */
};

/* A message begins. */
void message_id_begin(struct message_id *m);

/* Is it known? Then there is no need to feed more. */
static inline bool
message_id_is_over(const struct message_id *m)
{
	return m->place == MESSAGE_ID_OVER;
}

void message_id_feed(struct message_id *m, struct span piece);

/* As the log has it, a C string; "": there is none. */
void message_id_text(const struct message_id *m, char out[static MESSAGE_ID_TEXT]);

/* The same of an id that somebody asks for, without brackets. */
void message_id_shown(struct span id, char out[static MESSAGE_ID_TEXT]);

#endif
