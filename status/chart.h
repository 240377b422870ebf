/*
 * chart: figures as SVG inside a page, without a script.
 *
 * What text it gets may hold anything: chart_text escapes it. Colours are classes of the page's
 * style.
 */
#ifndef POSTERN_CHART_H
#define POSTERN_CHART_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"

/* Adds text that may hold anything, for HTML and for values of attributes. */
void chart_text(struct buf *out, const char *s);

/* A number for people: "1 234", "5.1k", "2.3M". */
void chart_number(struct buf *out, uint64_t n);

/* A time for people: "850 ms", "12 s", "3 h". */
void chart_seconds(struct buf *out, int64_t s);

struct chart_bar {
	const char *label; /* owned by the caller */
	uint64_t value;
	const char *class; /* good, wait, bad or plain */
};

/* Bars that lie beside their labels; `title` is read out by those who do not see it. */
void chart_bars(struct buf *out, const char *title, const struct chart_bar *bars, int n);

enum { CHART_POINTS = 96, CHART_SERIES = 3 };

struct chart_series {
	const char *name, *class;
	uint64_t value[CHART_POINTS];
	bool known[CHART_POINTS]; /* else there is a gap */
};

/* Lines over a day that ends now, a point each quarter of an hour. */
void chart_lines(struct buf *out, const char *title, const struct chart_series *s, int n);

#endif
