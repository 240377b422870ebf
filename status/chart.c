#include "status/chart.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	WIDTH = 360,
	ROW = 20,
	LABEL = 128,
	NUMBER = 52,
	BAR = WIDTH - LABEL - NUMBER,
	PLOT = 150,
	LEFT = 34,
	BOTTOM = 18,
	TOP = 8,
	K = 1000,
	LABEL_TEXT = 19, /* characters */
};

void
chart_text(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
			buf_printf(out, "&#%d;", c);
		else if (c < 0x20 || c >= 0x7f)
			buf_printf(out, "\\x%02x", c);
		else
			buf_add(out, (struct span){ s, 1 });
	}
}

void
chart_number(struct buf *out, uint64_t n)
{
	static const char units[] = "kMGTPE";
	uint64_t whole = n, rest = 0;
	int i = -1;
	for (; whole >= 10 * K && i < (int)sizeof(units) - 2; i++) {
		rest = whole % K;
		whole /= K;
	}
	if (i < 0 && n >= K)
		buf_printf(out, "%" PRIu64 "&#8239;%03" PRIu64, n / K, n % K);
	else if (i < 0)
		buf_printf(out, "%" PRIu64, n);
	else if (whole < 100)
		buf_printf(out, "%" PRIu64 ".%" PRIu64 "%c", whole, rest / 100, units[i]);
	else
		buf_printf(out, "%" PRIu64 "%c", whole, units[i]);
}

void
chart_seconds(struct buf *out, int64_t s)
{
	static const struct {
		int64_t size;
		const char *unit;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	size_t i = 0;
	while (i < 3 && s < 2 * units[i].size)
		i++;
	buf_printf(out, "%lld %s", (long long)(s / units[i].size), units[i].unit);
}

static uint64_t
most_of(const struct chart_bar *bars, int n)
{
	uint64_t most = 1;
	for (int i = 0; i < n; i++)
		most = bars[i].value > most ? bars[i].value : most;
	return most;
}

/* Of `size` octets, for a value of at most `most`; one that is not 0 can be seen. */
static int
scaled(uint64_t value, uint64_t most, int size)
{
	int n = (int)((double)value / (double)most * size);
	return n == 0 && value > 0 ? 1 : n;
}

/* What has no room beside its bar is cut; the title of the bar has all of it. */
static void
put_label(struct buf *out, const char *label)
{
	char cut[LABEL_TEXT + 1];
	bool whole = strlen(label) <= LABEL_TEXT;
	snprintf(cut, sizeof(cut), "%.*s%s", whole ? LABEL_TEXT : LABEL_TEXT - 3, label,
		whole ? "" : "...");
	chart_text(out, cut);
}

static void
begin_svg(struct buf *out, const char *title, int height)
{
	buf_printf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\"><title>", WIDTH, height);
	chart_text(out, title);
	buf_puts(out, "</title>\n");
}

void
chart_bars(struct buf *out, const char *title, const struct chart_bar *bars, int n)
{
	uint64_t most = most_of(bars, n);
	begin_svg(out, title, n * ROW + 2);
	for (int i = 0; i < n; i++) {
		int y = i * ROW, width = scaled(bars[i].value, most, BAR);
		buf_printf(out, "<g><title>");
		chart_text(out, bars[i].label);
		buf_printf(out, ": %" PRIu64 "</title><text x=\"%d\" y=\"%d\" class=\"end\">",
			bars[i].value, LABEL - 6, y + 14);
		put_label(out, bars[i].label);
		buf_printf(out,
			"</text><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"2\" "
			"class=\"track\"/>",
			LABEL, y + 3, BAR, ROW - 7);
		buf_printf(out,
			"<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"2\" "
			"class=\"%s\"/>",
			LABEL, y + 3, width, ROW - 7, bars[i].class);
		buf_printf(out, "<text x=\"%d\" y=\"%d\" class=\"end value\">", WIDTH - 2, y + 14);
		chart_number(out, bars[i].value);
		buf_puts(out, "</text></g>\n");
	}
	buf_puts(out, "</svg>\n");
}

/* The axes: what is at the top, and how long ago. */
static void
put_axes(struct buf *out, uint64_t most)
{
	static const char *const hours[] = { "24 h ago", "18", "12", "6", "now" };
	for (int i = 0; i <= 2; i++) {
		int y = TOP + i * (PLOT - TOP) / 2;
		buf_printf(out,
			"<path d=\"M%d %dH%d\" class=\"grid\"/><text x=\"%d\" y=\"%d\" "
			"class=\"end axis\">",
			LEFT, y, WIDTH, LEFT - 4, y + 4);
		chart_number(out, most * (uint64_t)(2 - i) / 2);
		buf_puts(out, "</text>");
	}
	for (int i = 0; i <= 4; i++)
		buf_printf(out, "<text x=\"%d\" y=\"%d\" class=\"%s axis\">%s</text>",
			LEFT + i * (WIDTH - LEFT) / 4, PLOT + BOTTOM - 4,
			i == 0	 ? "start"
			: i == 4 ? "end"
				 : "middle",
			hours[i]);
}

static void
put_line(struct buf *out, const struct chart_series *s, uint64_t most)
{
	bool pen = false;
	buf_printf(out, "<path class=\"line %s\" d=\"", s->class);
	for (int i = 0; i < CHART_POINTS; i++) {
		if (s->known[i])
			buf_printf(out, "%c%d %d", pen ? 'L' : 'M',
				LEFT + i * (WIDTH - LEFT - 2) / (CHART_POINTS - 1),
				PLOT - scaled(s->value[i], most, PLOT - TOP));
		/* A point with nothing beside it is a line of no length, which has round ends. */
		if (s->known[i] && !pen)
			buf_puts(out, "h0");
		pen = s->known[i];
	}
	buf_puts(out, "\"/>\n");
}

void
chart_lines(struct buf *out, const char *title, const struct chart_series *s, int n)
{
	uint64_t most = 2;
	for (int k = 0; k < n; k++)
		for (int i = 0; i < CHART_POINTS; i++)
			if (s[k].known[i] && s[k].value[i] > most)
				most = s[k].value[i];
	most += most % 2; /* its half is a number, too */
	buf_puts(out, "<p class=\"legend\">");
	for (int k = 0; k < n; k++) {
		buf_printf(out, "<span><span class=\"key %s\"></span>", s[k].class);
		chart_text(out, s[k].name);
		buf_puts(out, "</span> ");
	}
	buf_puts(out, "</p>\n");
	begin_svg(out, title, PLOT + BOTTOM);
	put_axes(out, most);
	for (int k = 0; k < n; k++)
		put_line(out, &s[k], most);
	buf_puts(out, "</svg>\n");
}
