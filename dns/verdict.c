#include "dns/verdict.h"

#include <stdio.h>

enum answer
verdict_of(const struct question *q, int n, const char *none, char *why, size_t size)
{
	if (n > 0)
		return ANSWER_FOUND;
	if (q->said == SAID_NO_NAME || q->said == SAID_NOTHING) {
		snprintf(why, size, "%s", none);
		return q->said == SAID_NO_NAME ? ANSWER_NO_NAME : ANSWER_NO_DATA;
	}
	snprintf(why, size, "%s", n < 0 ? "garbage in the answer"
		: q->trouble != NULL ? q->trouble : "no answer");
	return ANSWER_TEMPORARY;
}
