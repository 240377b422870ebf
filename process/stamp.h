/*
 * stamp: has a file that a process was made from been replaced or changed since?
 *
 * A process that serves many clients looks before each of them, so that what is new is in force
 * with the next connection. That costs a system call for each file, and none of them is opened.
 */
#ifndef POSTERN_STAMP_H
#define POSTERN_STAMP_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct stamp {
	bool there;
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

enum stamp_kind {
	STAMP_FILE,      /* another one, or its content */
	STAMP_DIRECTORY, /* another one; what is in it comes and goes */
};

enum { STAMPS = 16 };

struct stamps {
	int n;
	struct {
		char path[PATH_MAX];
		enum stamp_kind kind;
		struct stamp was;
	} of[STAMPS];
};

/*
 * Remembers how it is now. NULL is left out, and what is too much: then the answer is false.
 */
bool stamp_add(struct stamps *s, const char *path, enum stamp_kind kind);

/* The program that runs here. */
void stamp_add_program(struct stamps *s);

/* Its path; NULL: it is not known. */
const char *stamp_program(const struct stamps *s);

/* The first that is not as it was, or NULL. */
const char *stamp_changed(const struct stamps *s);

/* All are now as they should be. */
void stamp_renew(struct stamps *s);

#endif
