/*
 * diagnosis: what the text of an outcome says, taken apart for a report.
 *
 * Such a text is a reply, "host[address]:port: 550 5.1.1 no such user", or was made by relay,
 * with or without a host in front. It is escaped ASCII of any content.
 */
#ifndef POSTERN_DIAGNOSIS_H
#define POSTERN_DIAGNOSIS_H

#include <stdbool.h>

#include "lib/span.h"

struct diagnosis {
	struct span host;   /* that it is about; empty: none */
	struct span words;  /* the text behind that */
	struct span status; /* enhanced status code of the class asked for (RFC 3463); empty: none */
	bool reply;         /* the words are the host's own */
};

/* `class`: the first digit of the status code that is looked for. */
void diagnosis_parse(struct span text, char class, struct diagnosis *out);

/* What a failure of this status means, and what the sender can do: lines without the last end. */
const char *diagnosis_advice(struct span status);

#endif
