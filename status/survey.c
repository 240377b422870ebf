#include "status/survey.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "lib/cleanup.h"
#include "lib/dir.h"
#include "lib/id.h"
#include "queue/held.h"

static const int64_t ends[SURVEY_AGES - 1] = { 60, 600, 3600, 6 * 3600, 86400 };

int64_t
survey_age_end(int i)
{
	return i < SURVEY_AGES - 1 ? ends[i] : INT64_MAX;
}

static void
count_message(struct survey *v, struct survey_lane *l, int64_t age)
{
	int i = 0;
	age = age > 0 ? age : 0; /* of a clock that was set back */
	while (age >= survey_age_end(i))
		i++;
	v->by_age[i]++;
	l->messages++;
	l->age = age > l->age ? age : l->age;
}

/* A lane that has more than one of the fullest takes its place. */
static void
keep_if_full(struct survey *v, const struct survey_lane *l)
{
	int at = v->n;
	while (at > 0 && l->messages > v->top[at - 1].messages)
		at--;
	if (at == SURVEY_LANES)
		return;
	int behind = (v->n < SURVEY_LANES ? v->n++ : v->n - 1) - at;
	memmove(&v->top[at + 1], &v->top[at], (size_t)behind * sizeof(v->top[0]));
	v->top[at] = *l;
}

/* Is it no lane at all, or none any more? */
static bool
is_none(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -ELOOP;
}

/* 0 or -errno: then what waits there is not known, which is not nothing. */
static int
count_lane(struct survey *v, const struct spool *s, const char *name, int64_t now)
{
	struct lane lane;
	struct lane_state state;
	struct survey_lane l = { .messages = 0 };
	int r = lane_look(&lane, s, name);
	if (r < 0)
		return is_none(r) ? 0 : r;
	auto_dir d = dir_open(lane.dir);
	r = d == NULL ? -errno : 0;
	for (const char *e; d != NULL && (e = dir_next(d)) != NULL;)
		if (id_valid(span_of(e)))
			count_message(v, &l, now - id_time(e));
	lane_state(&lane, &state);
	lane_close(&lane);
	if (l.messages == 0)
		return r;
	memcpy(l.name, lane.name, sizeof(l.name));
	l.down = state.down;
	l.failures = state.attempts;
	l.next = state.next > now ? state.next - now : 0;
	v->lanes++;
	v->down += state.down;
	v->messages += l.messages;
	v->age = l.age > v->age ? l.age : v->age;
	keep_if_full(v, &l);
	return 0;
}

/* What is held of one lane. */
static void
count_held(struct survey *v, const struct spool *s, const char *name, int64_t now)
{
	struct lane lane;
	if (held_open(&lane, s, name) < 0)
		return;
	auto_dir d = dir_open(lane.dir);
	for (const char *e; d != NULL && (e = dir_next(d)) != NULL;) {
		if (!id_valid(span_of(e)))
			continue;
		v->held++;
		v->held_age = now - id_time(e) > v->held_age ? now - id_time(e) : v->held_age;
	}
	lane_close(&lane);
}

static void
count_all_held(struct survey *v, const struct spool *s, int64_t now)
{
	auto_fd held = held_open_all(s);
	auto_dir d = held >= 0 ? dir_open(held) : NULL; /* most often nothing was ever held */
	for (const char *name; d != NULL && (name = dir_next(d)) != NULL;)
		if (lane_name_valid(span_of(name)))
			count_held(v, s, name, now);
}

int
survey_take(struct survey *v, const struct spool *s, int64_t now)
{
	struct statvfs room;
	auto_dir d = dir_open(s->lanes);
	if (d == NULL)
		return -errno;
	*v = (struct survey){ .messages = 0 };
	if (fstatvfs(s->lanes, &room) == 0)
		v->free_octets = (uint64_t)room.f_bavail * room.f_frsize;
	int err = 0;
	for (const char *name; (name = dir_next(d)) != NULL;) {
		int r = lane_name_valid(span_of(name)) ? count_lane(v, s, name, now) : 0;
		err = err < 0 ? err : r;
	}
	count_all_held(v, s, now);
	return err;
}
