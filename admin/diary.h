/*
 * diary: the journal of systemd, read by libsystemd, which is loaded when it is wanted.
 *
 * Messages are found by the fields of process/log.h, of which the journal has an index: that takes
 * as long in a large journal as in a small one.
 *
 * Whoever may write to the journal can write such fields, a user of this host with logger(1). What
 * nobody can choose is who he is: journald notes that itself, in fields that begin with "_". So an
 * entry counts if it is of a user as whom our programs run.
 */
#ifndef POSTERN_DIARY_H
#define POSTERN_DIARY_H

#include <sys/types.h>

#include "admin/story.h"

struct diary;

/*
 * The system's journal; or the one in a directory or a file. What it needs is open then. NULL, and
 * *why: there is none, or it cannot be read.
 */
struct diary *diary_open(const char *path, const char **why);
void diary_close(struct diary *d);

/* Entries of this user count from now on; at the beginning those of nobody do. */
void diary_believe(struct diary *d, uid_t uid);

/* May this user see anything in it that counts? */
bool diary_has_any(struct diary *d);

/*
 * Begins the stories of the messages that have an entry with this field ("POSTERN_RECIPIENT") and
 * value, from the newest on.
 */
void diary_find(struct diary *d, const char *field, struct span value, struct stories *out);

/*
 * Has somebody whose entries do not count written one with this field and value? His number, as
 * text, or "": no.
 */
enum { DIARY_UID = 16 };
void diary_doubt(struct diary *d, const char *field, struct span value, char uid[static DIARY_UID]);

/* Adds all entries of these messages; lanes that they name are noted. */
void diary_tell(struct diary *d, struct stories *s);

/*
 * ... and, to one that has its story, what befell the lanes that it is known to be in, between the
 * first of its entries and the last, or until now if it waits.
 */
void diary_tell_lanes(struct diary *d, struct story *s);

#endif
