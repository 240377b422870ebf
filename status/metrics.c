#include "status/metrics.h"

#include <inttypes.h>
#include <string.h>

enum { MS_PER_S = 1000 };

static const struct row {
	const char *name, *help;
	bool histogram;
	enum counter first;
} rows[] = {
#define ROW_C(id, name, unit, help) { name, help, false, COUNTER_##id },
#define ROW_H(id, name, unit, help) { name, help, true, COUNTER_##id },
	COUNTERS_TABLE(ROW_C, ROW_H)
#undef ROW_C
#undef ROW_H
};

/* Counters that are one thing for several reasons; their rows stand together in the table. */
static const struct group {
	const char *prefix, *metric, *label, *help;
} groups[] = {
	{ "refused_4yz", "refused_4yz", NULL, "refusals for now" },
	{ "refused_5yz", "refused_5yz", NULL, "refusals for good" },
	{ "refused_", "refused", "reason", "refusals, by what was said (docs/COUNTERS.md)" },
	{ "lanes_deferred_", "lanes_deferred", "class", "attempts that reached no host" },
	{ "deferred_", "deferred", "class", "recipients that wait after an attempt" },
	{ "bounced_", "bounced", "class", "recipients that failed" },
};

static const struct group *
group_of(const struct row *r)
{
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (strncmp(r->name, groups[i].prefix, strlen(groups[i].prefix)) == 0)
			return &groups[i];
	return NULL;
}

/* Backslash, quotation mark and end of line; in a help text, too. */
static void
put_escaped(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n')
			buf_puts(out, "\\n");
		else if (*s == '\\' || *s == '"')
			buf_add(out, (struct span){ (char[]){ '\\', *s }, 2 });
		else
			buf_add(out, (struct span){ s, 1 });
	}
}

/* In the older format a counter's metadata have its sample's name, and marks are not escaped. */
static void
put_head(struct buf *out, const char *name, const char *type, const char *help,
	enum metrics_format format)
{
	const char *total = strcmp(type, "counter") == 0 && format == METRICS_TEXT ? "_total" : "";
	buf_printf(out, "# HELP postern_%s%s ", name, total);
	for (; *help != '\0'; help++)
		if (*help == '\\' || (*help == '"' && format == METRICS_OPEN))
			buf_add(out, (struct span){ (char[]){ '\\', *help }, 2 });
		else
			buf_add(out, (struct span){ help, 1 });
	buf_printf(out, "\n# TYPE postern_%s%s %s\n", name, total, type);
}

static void
put_seconds(struct buf *out, uint64_t ms)
{
	buf_printf(out, "%" PRIu64 ".%03u", ms / MS_PER_S, (unsigned)(ms % MS_PER_S));
}

static void
put_histogram(
	struct buf *out, const struct figures *f, const struct row *r, enum metrics_format format)
{
	char name[64];
	uint64_t n = 0;
	snprintf(name, sizeof(name), "%s_seconds", r->name);
	put_head(out, name, "histogram", r->help, format);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		n += f->value[r->first + i];
		buf_printf(out, "postern_%s_bucket{le=\"", name);
		if (i < HISTOGRAM_BUCKETS - 1)
			put_seconds(out, UINT64_C(1) << i);
		else
			buf_puts(out, "+Inf");
		buf_printf(out, "\"} %" PRIu64 "\n", n);
	}
	buf_printf(out, "postern_%s_sum ", name);
	put_seconds(out, f->value[r->first + HISTOGRAM_BUCKETS]);
	buf_printf(out, "\npostern_%s_count %" PRIu64 "\n", name, n);
}

static void
put_counters(struct buf *out, const struct figures *f, enum metrics_format format)
{
	const struct group *before = NULL;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		const struct group *in = group_of(r);
		const char *metric = in != NULL ? in->metric : r->name;
		if (r->histogram) {
			put_histogram(out, f, r, format);
			continue;
		}
		if (in == NULL || in != before)
			put_head(out, metric, "counter", in != NULL ? in->help : r->help, format);
		before = in;
		buf_printf(out, "postern_%s_total", metric);
		if (in != NULL && in->label != NULL)
			buf_printf(out, "{%s=\"%s\"}", in->label, r->name + strlen(in->prefix));
		buf_printf(out, " %" PRIu64 "\n", f->value[r->first]);
	}
}

static void
put_gauge(struct buf *out, const char *name, const char *help, uint64_t value,
	enum metrics_format format)
{
	put_head(out, name, "gauge", help, format);
	buf_printf(out, "postern_%s %" PRIu64 "\n", name, value);
}

static void
put_ages(struct buf *out, const struct survey *q, enum metrics_format format)
{
	put_head(out, "queue_age_messages", "gauge",
		"messages that wait, by age: at least so many seconds, and less than the next",
		format);
	for (int i = 0; i < SURVEY_AGES; i++)
		buf_printf(out, "postern_queue_age_messages{from=\"%lld\"} %" PRIu64 "\n",
			i > 0 ? (long long)survey_age_end(i - 1) : 0LL, q->by_age[i]);
}

static uint64_t
lane_messages(const struct survey_lane *l)
{
	return l->messages;
}

static uint64_t
lane_age(const struct survey_lane *l)
{
	return (uint64_t)l->age;
}

static uint64_t
lane_next(const struct survey_lane *l)
{
	return (uint64_t)l->next;
}

static uint64_t
lane_failures(const struct survey_lane *l)
{
	return (uint64_t)l->failures;
}

static void
put_lanes(struct buf *out, const struct survey *q, enum metrics_format format)
{
	static const struct {
		const char *name, *help;
		uint64_t (*of)(const struct survey_lane *);
	} gauges[] = {
		{ "lane_messages", "messages that wait in the lane, of the fullest",
			lane_messages },
		{ "lane_oldest_seconds", "age of the oldest of them", lane_age },
		{ "lane_next_try_seconds", "until the lane is tried again", lane_next },
		{ "lane_failures", "attempts in a row that reached no host", lane_failures },
	};
	for (size_t g = 0; g < sizeof(gauges) / sizeof(gauges[0]) && q->n > 0; g++) {
		put_head(out, gauges[g].name, "gauge", gauges[g].help, format);
		for (int i = 0; i < q->n; i++) {
			buf_printf(out, "postern_%s{lane=\"", gauges[g].name);
			put_escaped(out, q->top[i].name);
			buf_printf(out, "\"} %" PRIu64 "\n", gauges[g].of(&q->top[i]));
		}
	}
}

void
metrics_write(struct buf *out, const struct figures *f, enum metrics_format format)
{
	bool open = format == METRICS_OPEN;
	put_head(out, open ? "build" : "build_info", open ? "info" : "gauge",
		"which Postern this is", format);
	buf_puts(out, "postern_build_info{version=\"" POSTERN_VERSION "\"} 1\n");
	put_gauge(out, "counters_readable", "1: the counters could be read", f->counted, format);
	put_gauge(out, "queue_readable", "1: the queue could be looked at", f->surveyed, format);
	if (f->counted)
		put_counters(out, f, format);
	if (f->surveyed) {
		const struct survey *q = &f->queue;
		put_gauge(out, "queue_messages",
			"messages that wait; one for several lanes "
			"counts in each",
			q->messages, format);
		put_gauge(out, "queue_lanes", "lanes with mail", q->lanes, format);
		put_gauge(out, "queue_lanes_down", "lanes of which no host can be reached", q->down,
			format);
		put_gauge(out, "queue_oldest_seconds", "age of the oldest message",
			(uint64_t)q->age, format);
		put_gauge(out, "queue_held_messages",
			"messages that are held, and wait for nobody but who lets them go",
			q->held, format);
		put_gauge(out, "queue_held_oldest_seconds", "age of the oldest of them",
			(uint64_t)q->held_age, format);
		put_gauge(out, "spool_free_bytes", "room on the file system of the spool",
			q->free_octets, format);
		put_ages(out, q, format);
		put_lanes(out, q, format);
	}
	if (open)
		buf_puts(out, "# EOF\n");
}
