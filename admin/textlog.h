/*
 * textlog: a log that is lines of text, as syslogd writes it, or our own standard error. There is
 * no index: it is read from its beginning to its end, twice.
 */
#ifndef POSTERN_TEXTLOG_H
#define POSTERN_TEXTLOG_H

#include <stdio.h>

#include "admin/story.h"

/*
 * Begins the stories of the messages of lines that hold this text (an address), the newest ones if
 * there are too many.
 */
void textlog_find(FILE *log, struct span text, struct stories *out);

/*
 * Adds all lines with the id of one of these messages, and those about the lanes of its recipients,
 * as far as these are known, or are those of their domains.
 */
void textlog_tell(FILE *log, struct stories *s);

/* The next word of *rest with as many letters and digits as an id has. Nothing: there is none. */
struct span textlog_id(struct span *rest);

#endif
