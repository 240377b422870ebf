#include "process/json.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"

enum { US_PER_S = 1000000, LEVELS = 8 };

/* What was written so far; an octet for NUL is kept free, and one for the bracket. */
struct line {
	char *p;
	size_t n, room;
};

static void
add_octet(struct line *l, char c)
{
	if (l->n + 2 < l->room)
		l->p[l->n] = c;
	l->n++;
}

static void
add_text(struct line *l, const char *s)
{
	while (*s != '\0')
		add_octet(l, *s++);
}

/* The backslash of \xHH is one of the text, so it is doubled like any other. */
static void
add_escaped(struct line *l, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	if (c == '"' || c == '\\') {
		add_octet(l, '\\');
		add_octet(l, (char)c);
	} else if (c >= 0x20 && c < 0x7f) {
		add_octet(l, (char)c);
	} else {
		add_text(l, "\\\\x");
		add_octet(l, hex[c >> 4]);
		add_octet(l, hex[c & 15]);
	}
}

static void
add_string(struct line *l, const char *s)
{
	add_octet(l, '"');
	while (*s != '\0')
		add_escaped(l, (unsigned char)*s++);
	add_octet(l, '"');
}

/* Digits, and perhaps a fraction behind them. */
static bool
is_number(const char *s)
{
	size_t n = strspn(s, "0123456789");
	bool leading = s[0] == '0' && n > 1;
	if (n == 0 || leading)
		return false;
	if (s[n] != '.')
		return s[n] == '\0';
	size_t more = strspn(s + n + 1, "0123456789");
	return more > 0 && s[n + 1 + more] == '\0';
}

/* A value that does not fit is not cut in the middle of an escape: the whole pair is left out. */
static void
add_pair(struct line *l, const char *name, const char *value, bool number)
{
	size_t before = l->n;
	if (value == NULL)
		return;
	add_octet(l, ',');
	add_string(l, name);
	add_octet(l, ':');
	if (number && is_number(value))
		add_text(l, value);
	else
		add_string(l, value);
	if (l->n + 2 > l->room)
		l->n = before;
}

static void
add_time(struct line *l)
{
	char stamp[CLOCK_STAMP_SIZE], fraction[16];
	int64_t us = clock_wall_us();
	clock_stamp(us / US_PER_S, stamp);
	stamp[strcspn(stamp, "Z")] = '\0';
	snprintf(fraction, sizeof(fraction), ".%06dZ", (int)(us % US_PER_S));
	add_text(l, "{\"time\":\"");
	add_text(l, stamp);
	add_text(l, fraction);
	add_octet(l, '"');
}

size_t
json_line(int priority, const struct log_fields *f, const char *program, const char *text,
	char *out, size_t room)
{
	static const char levels[LEVELS][8] = { "emerg", "alert", "crit", "err", "warning",
		"notice", "info", "debug" };
	char pid[24];
	struct line l = { .p = out, .room = room };
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	add_time(&l);
	add_pair(&l, "level", levels[priority & (LEVELS - 1)], false);
	add_pair(&l, "program", program, false);
	add_pair(&l, "pid", pid, true);
#define PAIR(name, NAME, number, meaning) add_pair(&l, #name, f->name, number);
	LOG_FIELD_TABLE(PAIR)
#undef PAIR
	add_pair(&l, "message", text, false);
	out[l.n++] = '}';
	out[l.n] = '\0';
	return l.n;
}
