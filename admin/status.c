/*
 * status: the queue lane by lane: how much there is, since when, when it is tried next, and what
 * was said last; and to which hosts there are connections.
 */
#include "admin/command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "admin/connections.h"
#include "admin/past.h"
#include "admin/pick.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "queue/held.h"

enum { NUMBER = 32, ANSWER = 1200 };

/* A lane, and all together. */
struct status_lane {
	char *name;
	int64_t messages, held;
	int64_t oldest;   /* wall clock, s; 0: there is none */
	int64_t next;     /* 0: now; INT64_MAX: all are held */
	int attempts;     /* with the host down */
	bool down;        /* the host could not be reached */
	int couriers;     /* connections, made or being made; -1: no relay is at it */
	struct buf last;  /* what was said last */
};

struct status {
	struct status_lane *v;
	size_t n, room;
	int64_t messages, held, oldest;
	int64_t aside, receiving; /* files that are not whole, and that are being written; -1: ? */
	struct connections connections;
};

/* ---- a lane -------------------------------------------------------------------------------- */

/* Messages in a directory, and the oldest of them. */
static int64_t
count(int dir, char oldest[static ID_SIZE])
{
	auto_dir d = dir_open(dir);
	int64_t n = 0;
	oldest[0] = '\0';
	for (const char *id; d != NULL && (id = dir_next(d)) != NULL;) {
		if (!id_valid(span_of(id)))
			continue;
		if (n++ == 0 || strcmp(id + 1, oldest + 1) < 0)
			memcpy(oldest, id, ID_SIZE);
	}
	return n;
}

/* What a host said last; of mail that was put off one by one, to the oldest. */
static void
find_last(struct status_lane *s, const struct lane *l, const char *oldest)
{
	struct past past;
	if (s->down) {
		past_lane_reason(&s->last, l);
		return;
	}
	past_read(&past, l, oldest);
	buf_add(&s->last, past.last.text);
	past_free(&past);
}

/* The lane's own time is that of the first message in it, or of its host. */
static int64_t
next_of(const struct lane *l)
{
	struct lane_state st;
	lane_state(l, &st);
	return st.next > clock_wall() ? st.next : 0;
}

static void
look_at_lane(const struct admin *a, struct status_lane *s)
{
	struct lane l;
	struct lane_state st;
	char oldest[ID_SIZE];
	if (pick_open_lane(a, s->name, false, &l) < 0)
		return;
	s->messages = count(l.dir, oldest);
	if (s->messages > 0) {
		lane_state(&l, &st);
		s->oldest = id_time(oldest);
		s->down = st.down;
		s->attempts = st.attempts;
		s->next = next_of(&l);
		s->couriers = lane_shown(&l);
		find_last(s, &l, oldest);
	}
	lane_close(&l);
}

static void
look_at_held(const struct admin *a, struct status_lane *s)
{
	struct lane l;
	char oldest[ID_SIZE];
	if (pick_open_lane(a, s->name, true, &l) < 0)
		return;
	s->held = count(l.dir, oldest);
	if (s->held > 0) {
		int64_t t = id_time(oldest);
		if (s->messages == 0)
			s->next = INT64_MAX;
		if (s->messages == 0)
			find_last(s, &l, oldest);
		s->oldest = s->oldest == 0 || t < s->oldest ? t : s->oldest;
	}
	lane_close(&l);
}

/* ---- all ----------------------------------------------------------------------------------- */

static struct status_lane *
add_lane(struct status *s, const char *name)
{
	if (s->n == s->room) {
		size_t room = s->room > 0 ? 2 * s->room : 64;
		struct status_lane *v = reallocarray(s->v, room, sizeof(*v));
		if (v == NULL)
			return NULL;
		s->v = v;
		s->room = room;
	}
	char *copy = strdup(name);
	if (copy == NULL)
		return NULL;
	s->v[s->n] = (struct status_lane){ .name = copy, .couriers = -1, .last = buf_new(ANSWER) };
	return &s->v[s->n++];
}

static struct status_lane *
find_lane(struct status *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].name, name) == 0)
			return &s->v[i];
	return add_lane(s, name);
}

/* The lane that was added last has nothing in it: it is about to be taken away. */
static void
drop_empty(struct status *s)
{
	struct status_lane *last = &s->v[s->n - 1];
	if (last->messages > 0 || last->held > 0)
		return;
	free(last->name);
	buf_free(&last->last);
	s->n--;
}

static int
read_lanes(const struct admin *a, struct status *s)
{
	char **names;
	int64_t n = pick_lanes(a->spool.lanes, &names);
	for (int64_t i = 0; i < n; i++) {
		struct status_lane *l = add_lane(s, names[i]);
		if (l == NULL)
			break;
		look_at_lane(a, l);
		drop_empty(s);
	}
	if (n >= 0)
		pick_lanes_free(names, n);
	return n < 0 ? (int)n : 0;
}

static int
read_held(const struct admin *a, struct status *s)
{
	char **names;
	auto_fd all = held_open_all(&a->spool);
	int64_t n = all >= 0 ? pick_lanes(all, &names) : all == -ENOENT ? 0 : all;
	for (int64_t i = 0; i < n; i++) {
		size_t before = s->n;
		struct status_lane *l = find_lane(s, names[i]);
		if (l == NULL)
			break;
		look_at_held(a, l);
		if (s->n > before)
			drop_empty(s);
	}
	if (all >= 0 && n >= 0)
		pick_lanes_free(names, n);
	return n < 0 ? (int)n : 0;
}

/*
 * Names in a directory of the spool that are not hidden; 0: it was never needed; -1: it cannot be
 * read.
 */
static int64_t
count_files(int spool, const char *name)
{
	auto_fd dir = openat(spool, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 && errno == ENOENT)
		return 0;
	auto_dir d = dir_open(dir);
	int64_t n = 0;
	for (const char *file; d != NULL && (file = dir_next(d)) != NULL;)
		n += file[0] != '.';
	return d != NULL ? n : -1;
}

static void
add_up(struct status *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct status_lane *l = &s->v[i];
		s->messages += l->messages;
		s->held += l->held;
		s->oldest = s->oldest == 0 || l->oldest < s->oldest ? l->oldest : s->oldest;
	}
}

/* Most messages first. */
static int
compare(const void *a, const void *b)
{
	const struct status_lane *x = a, *y = b;
	int64_t n = x->messages + x->held, m = y->messages + y->held;
	return n != m ? (n < m) - (n > m) : strcmp(x->name, y->name);
}

static int
look(const struct admin *a, struct status *s)
{
	struct stat st;
	int err = read_lanes(a, s);
	if (err == 0)
		err = read_held(a, s);
	if (s->n > 0)
		qsort(s->v, s->n, sizeof(*s->v), compare);
	add_up(s);
	s->aside = count_files(a->spool.root, "aside");
	s->receiving = count_files(a->spool.root, "tmp");
	if (fstat(a->spool.root, &st) == 0)
		(void)connections_read(&s->connections, st.st_uid);
	return err;
}

static void
free_status(struct status *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].name);
		buf_free(&s->v[i].last);
	}
	free(s->v);
	connections_free(&s->connections);
}

/* ---- text ---------------------------------------------------------------------------------- */

static void
print_lane(struct out *o, const struct status_lane *l)
{
	char age[NUMBER], when[NUMBER];
	out_duration(age, sizeof(age), clock_wall() - l->oldest);
	past_say_next(when, sizeof(when), l->next);
	out_cellf(o, "%" PRId64, l->messages);
	out_cellf(o, "%" PRId64, l->held);
	out_cell(o, span_of(age));
	out_cell(o, span_of(l->couriers >= 0 ? "at work" : when));
	out_cellf(o, "%d", l->couriers > 0 ? l->couriers : 0);
	out_cell(o, span_of(l->name));
	out_cell(o, buf_span(&l->last));
}

static void
print(struct out *o, const struct status *s)
{
	static const struct out_column columns[] = {
		{ "messages", 8, true },
		{ "held", 6, true },
		{ "oldest", 10, true },
		{ "next try", 10, true },
		{ "conn.", 5, true },
		{ "lane", 28, false },
		{ "last answer", 20, false },
	};
	char age[NUMBER];
	if (s->n > 0)
		out_table(o, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < s->n; i++)
		print_lane(o, &s->v[i]);
	out_duration(age, sizeof(age), clock_wall() - s->oldest);
	out_say(o, "%s%" PRId64 " messages in %zu lanes", s->n > 0 ? "\n" : "", s->messages, s->n);
	if (s->held > 0)
		out_say(o, ", %" PRId64 " held", s->held);
	if (s->n > 0)
		out_say(o, ", the oldest for %s", age);
	out_say(o, "\n");
	if (s->receiving > 0)
		out_say(o, "%" PRId64 " being received\n", s->receiving);
	if (s->aside > 0)
		out_say(o, "%" PRId64 " not whole, in aside/\n", s->aside);
	out_say(o, "%d connections to hosts", s->connections.all);
	for (size_t i = 0; i < s->connections.n; i++)
		out_say(o, "%s%d to %s", i > 0 ? ", " : ": ", s->connections.v[i].n,
			s->connections.v[i].text);
	out_say(o, "\n");
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static json_t *
lane_of(const struct status_lane *l)
{
	return json_pack("{s:o, s:I, s:I, s:o, s:o, s:b, s:i, s:b, s:i, s:o}",
		"lane", out_string(span_of(l->name)), "messages", (json_int_t)l->messages,
		"held", (json_int_t)l->held, "oldest", out_time(l->oldest),
		"next", past_json_next(l->next), "at_work", l->couriers >= 0,
		"connections", l->couriers > 0 ? l->couriers : 0, "down", l->down,
		"attempts", l->attempts, "last", l->last.n > 0 ? out_string(buf_span(&l->last))
		: json_null());
}

/* A number of files; below 0: they could not be counted. */
static json_t *
known(int64_t n)
{
	return n >= 0 ? json_integer((json_int_t)n) : json_null();
}

static void
print_json(struct out *o, const struct status *s)
{
	json_t *lanes = json_array(), *hosts = json_array();
	for (size_t i = 0; i < s->n; i++)
		(void)json_array_append_new(lanes, lane_of(&s->v[i]));
	for (size_t i = 0; i < s->connections.n; i++)
		(void)json_array_append_new(hosts, json_pack("{s:s, s:i}", "host",
			s->connections.v[i].text, "connections", s->connections.v[i].n));
	out_json(o, json_pack("{s:I, s:I, s:o, s:o, s:o, s:i, s:o, s:o}",
		"messages", (json_int_t)s->messages, "held", (json_int_t)s->held,
		"oldest", out_time(s->oldest), "receiving", known(s->receiving),
		"aside", known(s->aside), "connections", s->connections.all, "hosts", hosts,
		"lanes", lanes));
}

static int
run(struct admin *a, int argc, char **argv)
{
	struct status s = { .n = 0 };
	(void)argc;
	(void)argv;
	int err = look(a, &s);
	if (err < 0)
		admin_trouble(a, "spool: %s", strerror(-err));
	else if (a->out.json)
		print_json(&a->out, &s);
	else
		print(&a->out, &s);
	free_status(&s);
	return err < 0 ? ADMIN_LATER : ADMIN_DONE;
}

const struct command command_status = {
	.name = "status",
	.operands = "",
	.what = "the queue, lane by lane, and connections",
	.needs = NEEDS_QUEUE,
	.run = run,
};
