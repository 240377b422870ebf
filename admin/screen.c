#include "admin/screen.h"

#include <ncurses.h>
#include <stdio.h>

#include "lib/library.h"

#define FUNCTIONS(F) \
	F(newterm) F(endwin) F(delscreen) F(cbreak) F(noecho) F(curs_set) F(wtimeout) F(wgetch) \
	F(werase) F(wmove) F(waddnstr) F(wrefresh) F(wattr_on) F(wattr_off) F(getmaxx) F(getmaxy)

/* Some of these are macros, too, in the header. */
#undef getmaxx
#undef getmaxy
#undef wattr_on
#undef wattr_off

static struct {
#define DECLARE(name) __typeof__(name) *name;
	FUNCTIONS(DECLARE)
#undef DECLARE
	WINDOW **window; /* stdscr */
	SCREEN *screen;
} curses;

static bool
load(void)
{
	void *so = library_load("libncursesw.so.6");
	bool all = so != NULL && library_find(so, "stdscr", &curses.window);
#define FIND(name) all = all && library_find(so, #name, &curses.name);
	FUNCTIONS(FIND)
#undef FIND
	return all;
}

const char *
screen_open(void)
{
	if (!load())
		return "libncursesw cannot be loaded";
	curses.screen = curses.newterm(NULL, stdout, stdin);
	if (curses.screen == NULL)
		return "this terminal is not known (TERM)";
	(void)curses.cbreak();
	(void)curses.noecho();
	(void)curses.curs_set(0);
	return NULL;
}

void
screen_close(void)
{
	(void)curses.curs_set(1);
	(void)curses.endwin();
	curses.delscreen(curses.screen);
}

void
screen_size(int *rows, int *columns)
{
	*rows = curses.getmaxy(*curses.window);
	*columns = curses.getmaxx(*curses.window);
}

void
screen_draw(struct span lines)
{
	WINDOW *w = *curses.window;
	(void)curses.werase(w);
	for (int row = 0; lines.n > 0; row++) {
		struct span line = span_line(&lines);
		(void)curses.wmove(w, row, 0);
		if (row == 0)
			(void)curses.wattr_on(w, A_REVERSE, NULL);
		if (line.n > 0)
			(void)curses.waddnstr(w, line.p, (int)line.n);
		(void)curses.wattr_off(w, A_REVERSE, NULL);
	}
	(void)curses.wrefresh(w);
}

int
screen_key(int ms)
{
	curses.wtimeout(*curses.window, ms);
	int key = curses.wgetch(*curses.window);
	return key == KEY_RESIZE ? SCREEN_RESIZED : key == ERR ? SCREEN_NOTHING : key;
}
