#include "status/page.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "status/chart.h"

enum {
	LABEL_SIZE = 32,
	LANES_SHOWN = 20,
	LANES_CHARTED = 8,
	REASONS_SHOWN = 8,
	POINT = SAMPLES_STEP * 15
};

static const char style[] =
	":root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#5b6675;"
	"--edge:#dfe3e9;--track:#eceff3;--plain:#3568c0;--good:#2f8554;--wait:#b26a00;--bad:#"
	"c0392b}\n"
	"@media(prefers-color-scheme:dark){:root{--back:#12161c;--card:#1b212a;--ink:#e6eaf0;"
	"--soft:#9aa6b5;--edge:#2c3542;--track:#262e39;--plain:#7aa7f2;--good:#5fbf8a;--wait:#"
	"e0a144;"
	"--bad:#f07f72}}\n"
	"*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);"
	"font:16px/1.45 system-ui,sans-serif}\n"
	"header,main,footer{max-width:76rem;margin:0 auto;padding:.75rem 1rem}\n"
	"h1{font-size:1.35rem;margin:.5rem 0 0;overflow-wrap:anywhere}h2{font-size:1rem;margin:0 0 "
	".6rem}\n"
	"p{margin:.2rem 0}.soft,footer{color:var(--soft);font-size:.875rem}\n"
	".tiles,.cards{display:grid;gap:.75rem}.tiles{grid-template-columns:repeat(auto-fit,"
	"minmax(8.5rem,1fr));margin-bottom:.75rem}\n"
	".cards{grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr))}\n"
	"section,.tile{background:var(--card);border:1px solid var(--edge);border-radius:.6rem;"
	"padding:.8rem 1rem;min-width:0}\n"
	".tile "
	"b{display:block;font-size:1.6rem;line-height:1.25;font-variant-numeric:tabular-nums}\n"
	".tile.alarm b{color:var(--bad)}\n"
	"svg{display:block;width:100%;height:auto}text{font:12px "
	"system-ui,sans-serif;fill:var(--ink)}\n"
	".axis{font-size:10px;fill:var(--soft)}.end{text-anchor:end}.middle{text-anchor:middle}"
	".value{font-variant-numeric:tabular-nums}\n"
	".track{fill:var(--track)}.grid{stroke:var(--edge)}.line{fill:none;stroke-width:2;"
	"stroke-linejoin:round;stroke-linecap:round}\n"
	"rect.plain{fill:var(--plain)}rect.good{fill:var(--good)}rect.wait{fill:var(--wait)}"
	"rect.bad{fill:var(--bad)}\n"
	".line.plain{stroke:var(--plain)}.line.good{stroke:var(--good)}.line.bad{stroke:var(--bad)}"
	".line.wait{stroke:var(--wait)}\n"
	".legend{font-size:.875rem}.legend "
	"span{white-space:nowrap}.key{display:inline-block;width:.8em;height:.8em;border-radius:"
	"2px;"
	"margin:0 .35em 0 .6em;vertical-align:-.05em}\n"
	".key.plain{background:var(--plain)}.key.good{background:var(--good)}.key.wait{"
	"background:var(--wait)}.key.bad{background:var(--bad)}\n"
	".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.875rem;"
	"font-variant-numeric:tabular-nums}\n"
	"th,td{text-align:right;padding:.25rem .4rem;border-bottom:1px solid var(--edge);"
	"white-space:nowrap}th{color:var(--soft);font-weight:500}\n"
	"th:first-child,td:first-child{text-align:left;white-space:normal;overflow-wrap:anywhere;"
	"min-width:9rem}.wide{grid-column:1/-1}\n";

/* ---- what everything is made of ----------------------------------------------------------- */

static void
begin_card(struct buf *out, const char *title, const char *class)
{
	buf_printf(out, "<section%s%s%s><h2>%s</h2>\n", class != NULL ? " class=\"" : "",
		class != NULL ? class : "", class != NULL ? "\"" : "", title);
}

static void
end_card(struct buf *out)
{
	buf_puts(out, "</section>\n");
}

static void
put_missing(struct buf *out, const char *what, const char *why)
{
	buf_printf(out, "<p class=\"soft\">%s: ", what);
	chart_text(out, why);
	buf_puts(out, "</p>\n");
}

static void
put_tile(struct buf *out, const char *what, uint64_t n, bool alarm)
{
	buf_printf(out, "<div class=\"tile%s\"><b>", alarm ? " alarm" : "");
	chart_number(out, n);
	buf_printf(out, "</b>%s</div>\n", what);
}

/* ---- the parts ---------------------------------------------------------------------------- */

static void
put_tiles(struct buf *out, const struct figures *f)
{
	struct sample s = figures_sample(f);
	buf_puts(out, "<div class=\"tiles\">\n");
	if (f->surveyed) {
		put_tile(out, "waiting", f->queue.messages, false);
		buf_puts(out, "<div class=\"tile\"><b>");
		chart_seconds(out, f->queue.age);
		buf_puts(out, "</b>oldest</div>\n");
		put_tile(out, "lanes down", f->queue.down, f->queue.down > 0);
		if (f->queue.held > 0) /* a rare thing, and not to be forgotten */
			put_tile(out, "held", f->queue.held, false);
	}
	if (f->counted) {
		put_tile(out, "accepted", s.accepted, false);
		put_tile(out, "delivered", s.delivered, false);
		put_tile(out, "failed", s.bounced, false);
		put_tile(out, "refused", s.refused, false);
	}
	buf_puts(out, "</div>\n");
}

/* Adds to `into` what was done since the sample before; less than it had means a boot between. */
static void
add_growth(struct chart_series *into, int point, uint64_t before, uint64_t now)
{
	into->known[point] = true;
	into->value[point] += now >= before ? now - before : now;
}

static void
put_day(struct buf *out, const struct figures *f)
{
	static struct chart_series series[CHART_SERIES];
	series[0] = (struct chart_series){ .name = "accepted", .class = "plain" };
	series[1] = (struct chart_series){ .name = "delivered", .class = "good" };
	series[2] = (struct chart_series){ .name = "deferred or failed", .class = "bad" };
	begin_card(out, "Throughput, each quarter of an hour", NULL);
	for (int i = 1; i < f->samples; i++) {
		const struct sample *a = &f->sample[i - 1], *b = &f->sample[i];
		int64_t point = CHART_POINTS - 1 - (f->now - b->time) / POINT;
		if (point < 0 || point >= CHART_POINTS || b->time - a->time > POINT)
			continue;
		add_growth(&series[0], (int)point, a->accepted, b->accepted);
		add_growth(&series[1], (int)point, a->delivered, b->delivered);
		add_growth(
			&series[2], (int)point, a->deferred + a->bounced, b->deferred + b->bounced);
	}
	if (f->samples < 2)
		put_missing(out, "There are no samples of the last day",
			"the timer takes one each minute: systemctl enable --now "
			"postern-status.timer");
	else
		chart_lines(out,
			"Messages accepted, recipients delivered, deferred or failed, over "
			"24 hours",
			series, CHART_SERIES);
	end_card(out);
}

static void
name_bucket(char label[static LABEL_SIZE], int i)
{
	static const char *const units[] = { "ms", "s", "min", "h", "d" };
	static const int64_t sizes[] = { 1, 1000, 60000, 3600000, 86400000 };
	int64_t ms = INT64_C(1) << i;
	size_t u = 0;
	while (u < 4 && ms >= 2 * sizes[u + 1])
		u++;
	snprintf(label, LABEL_SIZE, "up to %lld %s", (long long)((ms + sizes[u] / 2) / sizes[u]),
		units[u]);
}

/* Every second bucket, from the first with something in it to the last. */
static void
put_histogram(struct buf *out, const struct figures *f, enum counter h, const char *title,
	const char *help)
{
	char label[HISTOGRAM_BUCKETS][LABEL_SIZE];
	struct chart_bar bars[HISTOGRAM_BUCKETS];
	int n = 0;
	uint64_t left = figures_sum(f, h, h + HISTOGRAM_BUCKETS - 1), all = left;
	begin_card(out, title, NULL);
	for (int i = 1; i < HISTOGRAM_BUCKETS - 1 && left > 0; i += 2) {
		uint64_t here = f->value[(int)h + i] + f->value[(int)h + i - 1];
		left -= here < left ? here : left;
		if (here == 0 && n == 0)
			continue;
		name_bucket(label[n], i);
		bars[n] = (struct chart_bar){ label[n], here, "plain" };
		n++;
	}
	if (left > 0)
		bars[n++] = (struct chart_bar){ "longer", left, "plain" };
	if (all == 0)
		buf_puts(out, "<p class=\"soft\">Nothing yet.</p>\n");
	else
		chart_bars(out, title, bars, n);
	buf_printf(out, "<p class=\"soft\">%s</p>\n", help);
	end_card(out);
}

static void
put_ages(struct buf *out, const struct survey *q)
{
	static const char *const names[SURVEY_AGES] = { "less than 1 min", "1 to 10 min",
		"10 min to 1 h", "1 to 6 h", "6 h to 1 d", "more than a day" };
	struct chart_bar bars[SURVEY_AGES];
	for (int i = 0; i < SURVEY_AGES; i++)
		bars[i] = (struct chart_bar){ names[i], q->by_age[i],
			i < 2	? "good"
			: i < 4 ? "wait"
				: "bad" };
	begin_card(out, "Queue by age", NULL);
	chart_bars(out, "Messages that wait, by age", bars, SURVEY_AGES);
	end_card(out);
}

static void
put_outcomes(struct buf *out, const struct figures *f)
{
	static const struct {
		const char *label, *class;
		enum counter c;
	} rows[] = {
		{ "delivered", "good", COUNTER_DELIVERED },
		{ "waits: DNS", "wait", COUNTER_DEFERRED_DNS },
		{ "waits: connection", "wait", COUNTER_DEFERRED_CONNECT },
		{ "waits: TLS", "wait", COUNTER_DEFERRED_TLS },
		{ "waits: our login", "wait", COUNTER_DEFERRED_AUTH },
		{ "waits: lost", "wait", COUNTER_DEFERRED_LOST },
		{ "waits: host 4yz", "wait", COUNTER_DEFERRED_HOST_4YZ },
		{ "waits: host 5yz", "wait", COUNTER_DEFERRED_HOST_5YZ },
		{ "waits: ours", "wait", COUNTER_DEFERRED_OURS },
		{ "failed: DNS", "bad", COUNTER_BOUNCED_DNS },
		{ "failed: host 5yz", "bad", COUNTER_BOUNCED_HOST_5YZ },
		{ "failed: ours", "bad", COUNTER_BOUNCED_OURS },
		{ "failed: too old", "bad", COUNTER_BOUNCED_EXPIRED },
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	struct chart_bar bars[ROWS];
	int n = 0;
	for (int i = 0; i < ROWS; i++)
		if (i == 0 || f->value[rows[i].c] > 0)
			bars[n++] = (struct chart_bar){ rows[i].label, f->value[rows[i].c],
				rows[i].class };
	begin_card(out, "Answers by class", NULL);
	chart_bars(out, "Recipients by the outcome of an attempt", bars, n);
	buf_puts(out, "<p class=\"soft\">Recipients, after each attempt.</p>\n");
	end_card(out);
}

static int
by_value(const void *a, const void *b)
{
	const struct chart_bar *x = a, *y = b;
	return (x->value < y->value) - (x->value > y->value);
}

static void
put_refusals(struct buf *out, const struct figures *f)
{
	static const struct {
		const char *name;
		enum counter c;
	} all[] = {
#define NAME_C(id, name, unit, help) { name, COUNTER_##id },
#define NAME_H(id, name, unit, help)
		COUNTERS_TABLE(NAME_C, NAME_H)
#undef NAME_C
#undef NAME_H
	};
	static const char prefix[] = "refused_";
	struct chart_bar bars[sizeof(all) / sizeof(all[0])];
	int n = 0;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strncmp(all[i].name, prefix, sizeof(prefix) - 1) == 0 &&
			all[i].c != COUNTER_REFUSED_4YZ && all[i].c != COUNTER_REFUSED_5YZ &&
			f->value[all[i].c] > 0)
			bars[n++] = (struct chart_bar){ all[i].name + sizeof(prefix) - 1,
				f->value[all[i].c], "bad" };
	qsort(bars, (size_t)n, sizeof(bars[0]), by_value);
	begin_card(out, "What clients were refused", NULL);
	if (n == 0)
		buf_puts(out, "<p class=\"soft\">Nothing yet.</p>\n");
	else
		chart_bars(out, "Refusals by reason", bars, n < REASONS_SHOWN ? n : REASONS_SHOWN);
	end_card(out);
}

static void
put_lane(struct buf *out, const struct survey_lane *l)
{
	buf_puts(out, "<tr><td>");
	chart_text(out, l->name);
	buf_puts(out, "</td><td>");
	chart_number(out, l->messages);
	buf_puts(out, "</td><td>");
	chart_seconds(out, l->age);
	buf_puts(out, "</td><td>");
	if (l->next > 0)
		chart_seconds(out, l->next);
	else
		buf_puts(out, "now");
	if (l->down)
		buf_printf(out, "</td><td>down, %d tries</td></tr>\n", l->failures);
	else
		buf_puts(out, "</td><td></td></tr>\n");
}

static void
put_fullest(struct buf *out, const struct survey *q)
{
	struct chart_bar bars[LANES_CHARTED];
	int n = q->n < LANES_CHARTED ? q->n : LANES_CHARTED;
	for (int i = 0; i < n; i++)
		bars[i] = (struct chart_bar){ q->top[i].name, q->top[i].messages,
			q->top[i].down ? "bad" : "plain" };
	begin_card(out, "Queue by lane", NULL);
	if (n == 0)
		buf_puts(out, "<p class=\"soft\">Nothing waits.</p>\n");
	else
		chart_bars(out, "Messages that wait, by lane", bars, n);
	end_card(out);
}

static void
put_lanes(struct buf *out, const struct survey *q)
{
	int n = q->n < LANES_SHOWN ? q->n : LANES_SHOWN;
	if (n == 0)
		return;
	begin_card(out, "Lanes", "wide");
	buf_puts(out, "<div class=\"scroll\"><table><tr><th>lane</th><th>messages</th>"
		      "<th>oldest</th><th>next try</th><th></th></tr>\n");
	for (int i = 0; i < n; i++)
		put_lane(out, &q->top[i]);
	buf_puts(out, "</table></div>\n");
	if (q->lanes > (uint64_t)n)
		buf_printf(out, "<p class=\"soft\">The fullest of %llu lanes.</p>\n",
			(unsigned long long)q->lanes);
	end_card(out);
}

void
page_write(struct buf *out, const struct figures *f)
{
	char stamp[CLOCK_STAMP_SIZE];
	clock_stamp(f->now, stamp);
	buf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
		      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
		      "<meta name=\"robots\" content=\"noindex\">\n"
		      "<meta http-equiv=\"refresh\" content=\"60\">\n<title>Postern on ");
	chart_text(out, f->hostname);
	buf_puts(out, "</title>\n<style>\n");
	buf_puts(out, style);
	buf_puts(out, "</style></head>\n<body><header><h1>Postern on ");
	chart_text(out, f->hostname);
	buf_printf(out,
		"</h1><p class=\"soft\">%s, numbers since the last boot</p></header>\n<main>\n",
		stamp);
	put_tiles(out, f);
	if (!f->counted)
		put_missing(out, "The counters cannot be read", f->uncounted);
	if (!f->surveyed)
		put_missing(out, "The queue cannot be looked at", f->unsurveyed);
	buf_puts(out, "<div class=\"cards\">\n");
	put_day(out, f);
	if (f->counted) {
		put_outcomes(out, f);
		put_histogram(out, f, COUNTER_QUEUE_TIME, "How long mail took",
			"From MAIL until a recipient was delivered or failed.");
	}
	if (f->surveyed)
		put_ages(out, &f->queue);
	if (f->counted)
		put_refusals(out, f);
	if (f->surveyed) {
		put_fullest(out, &f->queue);
		put_lanes(out, &f->queue);
	}
	buf_puts(out, "</div></main>\n<footer>Postern " POSTERN_VERSION
		      " &middot; <a href=\"/metrics\">metrics</a></footer></body></html>\n");
}
