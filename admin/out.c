#include "admin/out.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/file.h"

enum {
	OUT_TEXT = 16 * 1024 * 1024, /* octets of one piece of text, escaped */
	DELETE = 0x7f,
};

void
out_begin(struct out *o, FILE *to, bool json)
{
	const char *term = getenv("TERM"), *without = getenv("NO_COLOR");
	*o = (struct out){ .to = to, .json = json, .terminal = isatty(fileno(to)) == 1 };
	o->colours = o->terminal && !json && term != NULL && strcmp(term, "dumb") != 0 &&
		(without == NULL || *without == '\0');
	o->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* ---- what may be printed ------------------------------------------------------------------- */

/*
 * The character that s begins with, and how many octets it has; 0: it begins with none. Shortest
 * form only, no surrogates, nothing beyond U+10FFFF (RFC 3629).
 */
static size_t
take_character(struct span s, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)s.p[0];
	size_t n = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 :
		first < 0xf5 ? 4 : 0;
	if (n == 0 || n > s.n)
		return 0;
	*c = n == 1 ? first : first & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)s.p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | ((unsigned char)s.p[i] & 0x3f);
	}
	return *c < least[n] || (*c >= 0xd800 && *c < 0xe000) || *c > 0x10ffff ? 0 : n;
}

/*
 * Characters that do something to a line instead of standing in it: controls, order of writing,
 * marks that are not seen, ends of lines, tags, and what is nobody's or everybody's own.
 */
static const struct { uint32_t first, last; } acting[] = {
	{ 0x00, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x034f, 0x034f }, { 0x061c, 0x061c },
	{ 0x115f, 0x1160 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x200b, 0x200f },
	{ 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 }, { 0xe000, 0xf8ff },
	{ 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb },
	{ 0xfffe, 0xffff }, { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0000, 0x10ffff },
};

static bool
is_acting(uint32_t c)
{
	for (size_t i = 0; i < sizeof(acting) / sizeof(acting[0]); i++)
		if (c >= acting[i].first && c <= acting[i].last)
			return true;
	return false;
}

void
out_safe(struct buf *b, struct span s, bool utf8)
{
	while (s.n > 0) {
		uint32_t c = 0;
		size_t n = take_character(s, &c);
		if (n == 0)
			buf_printf(b, "\\x%02x", (unsigned char)s.p[0]);
		else if (c < 0x80 && is_acting(c))
			buf_printf(b, "\\x%02x", (unsigned)c);
		else if (c >= 0x80 && (!utf8 || is_acting(c)))
			buf_printf(b, c > 0xffff ? "\\U%08x" : "\\u%04x", (unsigned)c);
		else
			buf_add(b, (struct span){ s.p, n });
		s = span_skip(s, n > 0 ? n : 1);
	}
}

size_t
out_width(struct span s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* ---- text ---------------------------------------------------------------------------------- */

static void
put(struct out *o, struct span s)
{
	if (s.n > 0)
		(void)fwrite(s.p, 1, s.n, o->to); /* out_end tells */
}

void
out_say(struct out *o, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)vfprintf(o->to, fmt, ap);
	va_end(ap);
}

void
out_text(struct out *o, struct span s)
{
	auto_buf b = buf_new(OUT_TEXT);
	out_safe(&b, s, o->utf8);
	put(o, buf_span(&b));
}

void
out_colour(struct out *o, enum out_colour c)
{
	static const char *const code[] = {
		[OUT_PLAIN] = "\033[0m",
		[OUT_BOLD] = "\033[1m",
		[OUT_DIM] = "\033[2m",
		[OUT_GOOD] = "\033[32m",
		[OUT_WARNING] = "\033[33m",
		[OUT_BAD] = "\033[31m",
	};
	if (o->colours)
		(void)fputs(code[c], o->to);
}

/* ---- tables -------------------------------------------------------------------------------- */

static void
pad(struct out *o, size_t width, int column)
{
	for (size_t n = width; n < (size_t)column; n++)
		(void)fputc(' ', o->to);
}

void
out_cell(struct out *o, struct span s)
{
	const struct out_column *c = &o->columns[o->at];
	auto_buf b = buf_new(OUT_TEXT);
	out_safe(&b, s, o->utf8);
	size_t width = out_width(buf_span(&b));
	bool last = o->at == o->n - 1;
	if (c->right)
		pad(o, width, c->width);
	put(o, buf_span(&b));
	if (!c->right && !last)
		pad(o, width, c->width);
	(void)fputs(last ? "\n" : "  ", o->to);
	o->at = last ? 0 : o->at + 1;
}

void
out_cellf(struct out *o, const char *fmt, ...)
{
	auto_buf b = buf_new(OUT_TEXT);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	out_cell(o, buf_span(&b));
}

void
out_table(struct out *o, const struct out_column *columns, int n)
{
	o->columns = columns;
	o->n = n;
	o->at = 0;
	out_colour(o, OUT_BOLD);
	for (int i = 0; i < n; i++)
		out_cell(o, span_of(columns[i].head));
	out_colour(o, OUT_PLAIN);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

/* It has words for all characters but for none that is not one. */
json_t *
out_string(struct span s)
{
	auto_buf b = buf_new(OUT_TEXT);
	while (s.n > 0) {
		uint32_t c;
		size_t n = take_character(s, &c);
		if (n == 0)
			buf_printf(&b, "\\x%02x", (unsigned char)s.p[0]);
		else
			buf_add(&b, (struct span){ s.p, n });
		s = span_skip(s, n > 0 ? n : 1);
	}
	return json_stringn(b.n > 0 ? b.p : "", b.n);
}

json_t *
out_time(int64_t t)
{
	return t > 0 ? json_integer(t) : json_null();
}

/* All but DEL is escaped by jansson. */
static int
write_json(const char *p, size_t n, void *ctx)
{
	struct out *o = ctx;
	for (size_t i = 0; i < n; i++)
		if (p[i] == DELETE)
			(void)fputs("\\u007f", o->to);
		else
			(void)fputc(p[i], o->to);
	return 0;
}

void
out_json(struct out *o, json_t *value)
{
	(void)json_dump_callback(value, write_json, o, JSON_ENSURE_ASCII | JSON_COMPACT);
	(void)fputc('\n', o->to);
	json_decref(value);
}

/* ---- numbers ------------------------------------------------------------------------------- */

void
out_duration(char *text, size_t size, int64_t seconds)
{
	static const struct { int64_t s; const char *name, *below; int64_t unit; } units[] = {
		{ 24 * 60 * 60, "d", "h", 60 * 60 },
		{ 60 * 60, "h", "min", 60 },
		{ 60, "min", "s", 1 },
	};
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (seconds < units[i].s)
			continue;
		int64_t rest = seconds % units[i].s / units[i].unit;
		int n = snprintf(text, size, "%" PRId64 " %s", seconds / units[i].s, units[i].name);
		if (rest > 0 && n > 0 && (size_t)n < size)
			(void)snprintf(text + n, size - (size_t)n, " %" PRId64 " %s", rest,
				units[i].below);
		return;
	}
	(void)snprintf(text, size, "%" PRId64 " s", seconds > 0 ? seconds : 0);
}

void
out_size(char *text, size_t size, uint64_t octets)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double v = (double)octets;
	const char *unit = "B";
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && v >= 1024; i++) {
		v /= 1024;
		unit = units[i];
	}
	(void)snprintf(text, size, octets < 1024 ? "%.0f %s" : "%.1f %s", v, unit);
}

int
out_end(struct out *o)
{
	return file_flush(o->to);
}
