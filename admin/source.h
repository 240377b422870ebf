/* source: where `postern` reads what was logged: the journal, or a log of text. */
#ifndef POSTERN_SOURCE_H
#define POSTERN_SOURCE_H

#include <stdio.h>

#include "admin/admin.h"
#include "admin/diary.h"
#include "admin/textlog.h"

struct source {
	struct diary *diary; /* NULL: there is none */
	FILE *text;          /* the same */
	const char *name;
};

/*
 * Opens, as whoever called, the log that --log names, or the journal of --journal, or that of the
 * system, or the first usual log of text that is there. ADMIN_DONE, or the status; then the reason
 * was told.
 */
int source_open(struct admin *a, struct source *s);
void source_close(struct source *s);

/* Adds to the stories all that it has of them. */
void source_tell(struct source *s, struct stories *all);

#endif
