#include "admin/frame.h"

#include <stdio.h>
#include <string.h>

#include "admin/out.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

enum {
	LINE = 1024,
	TIME_TEXT = 32,
	NAME_LEAST = 20, /* characters of a lane's name */
	OTHERS = 44,     /* ... of the columns behind it */
};

void
frame_add_lane(struct frame *f, const struct frame_lane *lane)
{
	int at = f->shown;
	while (at > 0 && f->lane[at - 1].messages < lane->messages)
		at--;
	if (at == FRAME_LANES)
		return;
	int kept = f->shown < FRAME_LANES ? f->shown : FRAME_LANES - 1;
	memmove(&f->lane[at + 1], &f->lane[at], (size_t)(kept - at) * sizeof(f->lane[0]));
	f->lane[at] = *lane;
	f->shown = kept + 1;
}

/* What was printed so far, and how much there may be. */
struct sheet {
	struct buf *out;
	int rows, columns;
	bool utf8;
};

/* A line, cut where the screen ends; none if that is full. */
static void
put(struct sheet *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
put(struct sheet *s, const char *fmt, ...)
{
	auto_buf line = buf_new(LINE), safe = buf_new(4 * LINE);
	va_list ap;
	if (s->rows <= 0)
		return;
	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	out_safe(&safe, buf_span(&line), s->utf8);
	size_t n = safe.n;
	while (n > 0 && out_width((struct span){ safe.p, n }) > (size_t)s->columns)
		n--;
	buf_add(s->out, (struct span){ safe.p, n });
	buf_puts(s->out, "\n");
	s->rows--;
}

static void
age(char text[static TIME_TEXT], int64_t seconds)
{
	out_duration(text, TIME_TEXT, seconds);
}

static void
put_head(struct sheet *s, const struct frame *f)
{
	char stamp[CLOCK_STAMP_SIZE], old[TIME_TEXT] = "", held[TIME_TEXT] = "";
	clock_stamp(f->now, stamp);
	put(s, "postern on %s, %s; q quits", f->host, stamp);
	put(s, "%d sessions, %d relays, %d connections to hosts", f->sessions, f->relays,
		f->connections);
	if (f->oldest > 0)
		age(old, f->now - f->oldest);
	if (f->held > 0)
		snprintf(held, sizeof(held), "; %lld held", (long long)f->held);
	put(s, "%lld messages in %lld lanes, %lld of them down%s%s%s", (long long)f->messages,
		(long long)f->lanes, (long long)f->down, f->oldest > 0 ? "; the oldest for " : "",
		old, held);
	put(s, "%s", "");
}

static void
put_rates(struct sheet *s, const struct frame *f)
{
	if (f->uncounted != NULL) {
		put(s, "no counters: %s", f->uncounted);
		put(s, "%s", "");
		return;
	}
	put(s, "%-26s %15s %12s", "", "since the boot", "a second");
	for (int i = 0; i < f->rates; i++) {
		const struct frame_rate *r = &f->rate[i];
		if (r->each >= 0)
			put(s, "%-26s %15llu %12.1f", r->name, (unsigned long long)r->total,
				r->each);
		else
			put(s, "%-26s %15llu %12s", r->name, (unsigned long long)r->total, "-");
	}
	put(s, "%s", "");
}

static void
put_lane(struct sheet *s, const struct frame *f, const struct frame_lane *l, int width)
{
	char old[TIME_TEXT], next[TIME_TEXT] = "now";
	age(old, f->now - l->oldest);
	if (l->next > f->now)
		age(next, l->next - f->now);
	put(s, "%-*.*s %9lld %12s %12s  %s", width, width, l->name, (long long)l->messages, old,
		next, l->down ? "down" : "");
}

void
frame_print(const struct frame *f, int rows, int columns, bool utf8, struct buf *out)
{
	struct sheet s = { out, rows, columns, utf8 };
	int width = columns - OTHERS > NAME_LEAST ? columns - OTHERS : NAME_LEAST;
	put_head(&s, f);
	put_rates(&s, f);
	put(&s, "%-*s %9s %12s %12s", width, "lane", "messages", "oldest", "next try");
	for (int i = 0; i < f->shown; i++)
		put_lane(&s, f, &f->lane[i], width);
}
