/*
 * out: what `postern` prints, as text for people or as JSON for programs.
 *
 * Nearly all of it was written by strangers: addresses, subjects, replies. Whatever of that could
 * move the cursor of a terminal, hide what stands beside it or change its order is printed as the
 * number of its octet (\x1b) or of its character (\u202e). In JSON the same bytes are escaped as
 * JSON does it; octets that are no UTF-8, for which it has no word, are written as in text.
 *
 * Text that the program itself says goes through out_say; what a stranger wrote through out_text,
 * out_cell or out_string, never through stdio.
 */
#ifndef POSTERN_OUT_H
#define POSTERN_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/buf.h"
#include "lib/span.h"

enum out_colour {
	OUT_PLAIN,
	OUT_BOLD,
	OUT_DIM,
	OUT_GOOD,
	OUT_WARNING,
	OUT_BAD,
};

/* A column of a table. What is wider pushes the others away. The last one has no end. */
struct out_column {
	const char *head;
	int width;  /* characters */
	bool right; /* numbers */
};

struct out {
	FILE *to;
	bool json;     /* JSON instead of text */
	bool terminal; /* `to` is one */
	bool colours;
	bool utf8;     /* characters beyond ASCII may be printed */
	const struct out_column *columns; /* of the table that is being printed; NULL: none is */
	int n;         /* columns */
	int at;        /* column of the next cell */
};

/*
 * Begins. Colours are for terminals alone, and for none with NO_COLOR or TERM=dumb; characters
 * beyond ASCII are for locales with UTF-8. setlocale was called.
 */
void out_begin(struct out *o, FILE *to, bool json);

/* Appends to *b what is safe to print of s. `utf8`: characters beyond ASCII may be. */
void out_safe(struct buf *b, struct span s, bool utf8);

/* Characters that s takes on a line, as out_safe wrote it. */
size_t out_width(struct span s);

/* Our own words. */
void out_say(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A stranger's. */
void out_text(struct out *o, struct span s);

/* What follows is coloured, until OUT_PLAIN; does nothing where there are no colours. */
void out_colour(struct out *o, enum out_colour c);

/*
 * A table, row by row; nothing is kept, so it may be long. Its head is printed at once, and n cells
 * make a row.
 */
void out_table(struct out *o, const struct out_column *columns, int n);
void out_cell(struct out *o, struct span s);
void out_cellf(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A string of JSON, whatever the octets are. */
json_t *out_string(struct span s);

/* A time of the wall clock as JSON: seconds since 1970; 0: null. */
json_t *out_time(int64_t t);

/* Prints a value of JSON on a line of its own, and gives it up. */
void out_json(struct out *o, json_t *value);

/* "3d 4h", "12 min", "5 s": how long, in at most two units. */
void out_duration(char *text, size_t size, int64_t seconds);

/* "1.2 MiB". */
void out_size(char *text, size_t size, uint64_t octets);

/* Ends: 0, or -errno if something could not be written. */
int out_end(struct out *o);

#endif
