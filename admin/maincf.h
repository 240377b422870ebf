/*
 * maincf: main.cf of Postfix as a sheet: "name = value" lines that go on where a line begins with
 * white space, with the values of names ("$name") in their places.
 */
#ifndef POSTERN_MAINCF_H
#define POSTERN_MAINCF_H

#include "admin/translate.h"

/* Reads it; each value is on one line. 0 or -errno. The caller frees in either case, once. */
int maincf_read(struct sheet *s, const char *path);
void maincf_free(struct sheet *s);

#endif
