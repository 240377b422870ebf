/*
 * screen: a terminal as a screen, by ncursesw, which is loaded when it is wanted: who has no use
 * for it need not have it.
 */
#ifndef POSTERN_SCREEN_H
#define POSTERN_SCREEN_H

#include "lib/span.h"

enum { SCREEN_RESIZED = 0x1000, SCREEN_NOTHING = -1 };

/* NULL, or why there is none: the text stays. setlocale was called. */
const char *screen_open(void);
void screen_close(void);

/* As it is now. */
void screen_size(int *rows, int *columns);

/* Shows these lines, the first one marked, and nothing else. They are safe to print. */
void screen_draw(struct span lines);

/* Waits for a key so many ms: a character, SCREEN_RESIZED, or SCREEN_NOTHING. */
int screen_key(int ms);

#endif
