#include "admin/diary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>

#include "admin/out.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/library.h"

#define FUNCTIONS(F) \
	F(open) F(open_directory) F(open_files) F(close) F(add_match) F(add_disjunction) \
	F(flush_matches) F(seek_head) F(seek_tail) F(seek_realtime_usec) F(next) F(previous) \
	F(get_data) F(get_realtime_usec)

static struct {
#define DECLARE(name) __typeof__(sd_journal_##name) *name;
	FUNCTIONS(DECLARE)
#undef DECLARE
} journal;

enum { BELIEVED = 4 };

struct diary {
	sd_journal *j;
	uid_t believed[BELIEVED];
	int n;
};

enum { MATCH_MAX = 2048, LANE_EVENTS = 500, /* in one story */
	LANE_LOOKED_AT = 20000 /* entries, most of which are of other messages */ };

static bool
load(void)
{
	void *so = library_load("libsystemd.so.0");
	bool all = so != NULL;
#define FIND(name) all = all && library_find(so, "sd_journal_" #name, &journal.name);
	FUNCTIONS(FIND)
#undef FIND
	return all;
}

struct diary *
diary_open(const char *path, const char **why)
{
	struct stat st;
	const char *files[] = { path, NULL };
	*why = "libsystemd cannot be loaded";
	struct diary *d = load() ? calloc(1, sizeof(*d)) : NULL;
	if (d == NULL)
		return NULL;
	int r = path == NULL ? journal.open(&d->j, SD_JOURNAL_LOCAL_ONLY)
		: stat(path, &st) < 0 ? -errno
		: S_ISDIR(st.st_mode) ? journal.open_directory(&d->j, path, 0)
				      : journal.open_files(&d->j, files, 0);
	if (r >= 0)
		return d;
	*why = strerror(-r);
	free(d);
	return NULL;
}

void
diary_close(struct diary *d)
{
	if (d == NULL)
		return;
	journal.close(d->j);
	free(d);
}

void
diary_believe(struct diary *d, uid_t uid)
{
	for (int i = 0; i < d->n; i++)
		if (d->believed[i] == uid)
			return;
	if (d->n < BELIEVED)
		d->believed[d->n++] = uid;
}

/* The value of a field of the entry that is looked at; nothing: it has none. */
static struct span
value_of(struct diary *d, const char *field)
{
	const void *p;
	size_t n, begin = strlen(field) + 1;
	if (journal.get_data(d->j, field, &p, &n) < 0 || n < begin)
		return (struct span){ 0 };
	return (struct span){ (const char *)p + begin, n - begin };
}

static void
match(struct diary *d, const char *field, struct span value)
{
	auto_buf b = buf_new(MATCH_MAX);
	buf_printf(&b, "%s=", field);
	buf_add(&b, value);
	if (b.err == 0)
		(void)journal.add_match(d->j, b.p, b.n);
}

/* From here on, what is of those who are believed. Of several values of a field one is enough. */
static void
match_believed(struct diary *d)
{
	char uid[DIARY_UID];
	journal.flush_matches(d->j);
	for (int i = 0; i < d->n; i++) {
		snprintf(uid, sizeof(uid), "%u", (unsigned)d->believed[i]);
		match(d, "_UID", span_of(uid));
	}
}

bool
diary_has_any(struct diary *d)
{
	match_believed(d);
	return journal.seek_tail(d->j) >= 0 && journal.previous(d->j) > 0;
}

void
diary_doubt(struct diary *d, const char *field, struct span value, char uid[static DIARY_UID])
{
	uid[0] = '\0';
	journal.flush_matches(d->j);
	match(d, field, value);
	if (journal.seek_tail(d->j) < 0 || journal.previous(d->j) <= 0)
		return;
	struct span who = value_of(d, "_UID");
	snprintf(uid, DIARY_UID, "%.*s", (int)who.n, who.n > 0 ? who.p : "");
}

void
diary_find(struct diary *d, const char *field, struct span value, struct stories *out)
{
	match_believed(d);
	match(d, field, value);
	if (journal.seek_tail(d->j) < 0)
		return;
	while (!out->more && journal.previous(d->j) > 0)
		(void)story_of(out, value_of(d, "POSTERN_QUEUE_ID"));
}

static json_t *
entry_of(struct diary *d)
{
	static const struct {
		const char *field, *name;
	} fields[] = { { "SYSLOG_IDENTIFIER", "program" }, { "POSTERN_EVENT", "event" },
		{ "POSTERN_SENDER", "sender" }, { "POSTERN_RECIPIENT", "recipient" },
		{ "POSTERN_LANE", "lane" }, { "POSTERN_RELAY", "relay" },
		{ "POSTERN_STATUS", "status" }, { "MESSAGE", "text" } };
	uint64_t us = 0;
	json_t *o = json_object();
	(void)journal.get_realtime_usec(d->j, &us);
	(void)json_object_set_new(o, "time", json_integer((json_int_t)us));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct span v = value_of(d, fields[i].field);
		if (v.p != NULL)
			(void)json_object_set_new(o, fields[i].name, out_string(v));
	}
	return o;
}

void
diary_tell(struct diary *d, struct stories *s)
{
	match_believed(d);
	for (int i = 0; i < s->n; i++)
		match(d, "POSTERN_QUEUE_ID", span_of(s->v[i].id));
	if (s->n == 0 || journal.seek_head(d->j) < 0)
		return;
	while (journal.next(d->j) > 0) {
		struct story *one = story_find(s, value_of(d, "POSTERN_QUEUE_ID"));
		if (one == NULL)
			continue;
		story_note_lane(one, value_of(d, "POSTERN_LANE"));
		story_add(one, entry_of(d));
	}
}

static json_int_t
time_of(const json_t *event)
{
	return json_integer_value(json_object_get(event, "time"));
}

static int
compare(const void *a, const void *b)
{
	json_int_t x = time_of(*(json_t *const *)a), y = time_of(*(json_t *const *)b);
	return x < y ? -1 : x > y;
}

/* In the order of their times: some were found later than others. */
static void
sort(struct story *s)
{
	size_t i, n = json_array_size(s->events);
	json_t *one, **v = calloc(n + 1, sizeof(json_t *)), *sorted = json_array();
	if (v == NULL)
		return;
	json_array_foreach(s->events, i, one)
		v[i] = one;
	qsort(v, n, sizeof(json_t *), compare);
	for (i = 0; i < n; i++)
		(void)json_array_append(sorted, v[i]);
	free(v);
	json_decref(s->events);
	s->events = sorted;
}

void
diary_tell_lanes(struct diary *d, struct story *s)
{
	size_t n = json_array_size(s->events);
	json_int_t from = n > 0 ? time_of(json_array_get(s->events, 0)) : id_time_us(s->id);
	json_int_t until = n > 0 ? time_of(json_array_get(s->events, n - 1)) : from;
	int told = 0, looked = 0;
	match_believed(d);
	for (int i = 0; i < s->lanes; i++)
		match(d, "POSTERN_LANE", span_of(s->lane[i]));
	if (s->lanes == 0 || from < 0 || journal.seek_realtime_usec(d->j, (uint64_t)from) < 0)
		return;
	while (told < LANE_EVENTS && looked++ < LANE_LOOKED_AT && journal.next(d->j) > 0) {
		uint64_t us = 0;
		(void)journal.get_realtime_usec(d->j, &us);
		if (!s->waits && (json_int_t)us > until)
			break;
		if (value_of(d, "POSTERN_QUEUE_ID").p != NULL)
			continue; /* of this message, or of another one */
		story_add(s, entry_of(d));
		told++;
	}
	sort(s);
}
