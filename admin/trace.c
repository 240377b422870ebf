/*
 * trace: the whole life of a message, from the journal, or from a log of text.
 *
 * The journal is opened as whoever calls, for root may read it; then it becomes the user of the
 * service, who has no rights there, and reads on by what is open. What was logged of lanes while
 * the message waited in them is part of its life: that is where the reason stands why it waits.
 */
#include "admin/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "admin/headers.h"
#include "admin/pick.h"
#include "admin/source.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "mail/address.h"
#include "mail/message_id.h"
#include "process/program.h"
#include "queue/held.h"
#include "queue/message.h"

enum { WHY_SIZE = 1024, TIME_TEXT = 40 };

/* ---- where it is now ----------------------------------------------------------------------- */

/* Of each message that is in this lane; `lanes` has it. */
static void
note_queued(int lanes, const char *name, struct stories *all)
{
	for (int i = 0; i < all->n; i++) {
		char path[LANE_NAME_SIZE + ID_SIZE + 1];
		struct stat st;
		snprintf(path, sizeof(path), "%s/%s", name, all->v[i].id);
		if (fstatat(lanes, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		all->v[i].waits = true;
		story_note_lane(&all->v[i], span_of(name));
	}
}

static void
note_all_queued(int lanes, struct stories *all)
{
	auto_dir d = dir_open(lanes);
	for (const char *name; d != NULL && (name = dir_next(d)) != NULL;)
		if (lane_name_valid(span_of(name)))
			note_queued(lanes, name, all);
}

static void
find_queued(const struct spool *spool, struct stories *all)
{
	auto_fd held = spool->root >= 0 ? held_open_all(spool) : -1;
	note_all_queued(spool->lanes, all);
	note_all_queued(held, all);
}

/* "lane", "next" (0: at once; null: it is held), "down", "held". */
static json_t *
place_in(const struct lane *l, const char *id, bool held)
{
	struct lane_state st;
	lane_state(l, &st);
	int64_t own = message_next(l, id), next = st.down && st.next > own ? st.next : own;
	return json_pack("{s:o, s:o, s:b, s:b}", "lane", out_string(span_of(l->name)), "next",
		held ? json_null() : out_time(next), "down", !held && st.down, "held", held);
}

/* The lanes that it waits in, and those that it is held from. */
static json_t *
places_of(const struct admin *a, const struct story *s)
{
	json_t *list = json_array();
	for (int i = 0; s->waits && i < 2 * s->lanes; i++) {
		struct lane l;
		struct stat file;
		bool held = i % 2 == 1;
		if (pick_open_lane(a, s->lane[i / 2], held, &l) < 0)
			continue;
		if (fstatat(l.dir, s->id, &file, AT_SYMLINK_NOFOLLOW) == 0)
			(void)json_array_append_new(list, place_in(&l, s->id, held));
		lane_close(&l);
	}
	return list;
}

/* ---- what is said -------------------------------------------------------------------------- */

static void
say_place(struct out *o, const json_t *p)
{
	char text[TIME_TEXT];
	bool held = json_is_true(json_object_get(p, "held"));
	int64_t left = json_integer_value(json_object_get(p, "next")) - clock_wall();
	out_duration(text, sizeof(text), left);
	out_say(o, held ? "now: it is held, for lane " : "now: it waits in lane ");
	out_text(o, span_of(json_string_value(json_object_get(p, "lane"))));
	out_say(o, json_is_true(json_object_get(p, "down"))
		? ", whose hosts cannot be reached" : "");
	if (held)
		out_say(o, "; \"postern release\" lets it go\n");
	else if (left > 0)
		out_say(o, "; next try in %s\n", text);
	else
		out_say(o, "; due now\n");
}

static void
say_now(struct admin *a, const json_t *places, bool known)
{
	size_t i;
	json_t *p;
	struct out *o = &a->out;
	if (!known)
		out_say(o, "now: unknown, for this user may not look into the queue\n");
	else if (json_array_size(places) == 0)
		out_say(o, "now: it is not in the queue any more\n");
	json_array_foreach(places, i, p)
		say_place(o, p);
}

static void
say_story(struct admin *a, struct story *s)
{
	size_t i;
	json_t *e, *places = places_of(a, s);
	bool known = a->spool.root >= 0;
	if (a->out.json) {
		out_json(&a->out, json_pack("{s:s, s:O, s:o}", "id", s->id, "events", s->events,
			"queue", known ? places : (json_decref(places), json_null())));
		return;
	}
	out_colour(&a->out, OUT_BOLD);
	out_say(&a->out, "%s\n", s->id);
	out_colour(&a->out, OUT_PLAIN);
	json_array_foreach(s->events, i, e)
		story_say(&a->out, e);
	say_now(a, places, known);
	json_decref(places);
}

/* ---- the search ---------------------------------------------------------------------------- */

static bool
note_picked(void *ctx, const struct picked *found)
{
	(void)story_of(ctx, span_of(found->id));
	return true;
}

/* Of a recipient no line need tell before a host was reached: the message itself does. */
static void
find_addressed(const struct admin *a, char *asked, struct stories *all)
{
	const struct pick p = { .operands = &asked, .n = 1, .waiting = true, .held = true };
	const struct pick_visitor v = { .message = note_picked, .ctx = all };
	if (a->spool.root >= 0)
		(void)pick_each(&p, a, &v);
}

/* What JSON makes of a text in which nothing else need be escaped. */
static void
double_backslashes(const char *text, char *out)
{
	while (*text != '\0') {
		if (*text == '\\')
			*out++ = '\\';
		*out++ = *text++;
	}
	*out = '\0';
}

/* In the form in which the log has it. */
static void
find_by_message_id(struct source *src, struct span id, struct stories *all)
{
	char shown[MESSAGE_ID_TEXT], json[2 * MESSAGE_ID_TEXT];
	message_id_shown(id, shown);
	double_backslashes(shown, json);
	if (src->diary != NULL)
		diary_find(src->diary, "POSTERN_MESSAGE_ID", span_of(shown), all);
	if (src->text != NULL)
		textlog_find(src->text, span_of(shown), all);
	if (src->text != NULL && strcmp(json, shown) != 0)
		textlog_find(src->text, span_of(json), all);
}

static void
find_messages(struct admin *a, struct source *src, char *asked, struct stories *all)
{
	static const char *const fields[] = { "POSTERN_SENDER", "POSTERN_RECIPIENT" };
	struct span what;
	char id[ID_SIZE];
	enum clue clue = story_clue(asked, id, &what);
	if (id[0] != '\0')
		(void)story_of(all, span_of(id));
	if (clue == CLUE_MESSAGE_ID)
		headers_find(&a->spool, what, all);
	for (size_t i = 0; src->diary != NULL && clue == CLUE_ADDRESS && i < 2; i++)
		diary_find(src->diary, fields[i], what, all);
	if (src->text != NULL && clue == CLUE_ADDRESS)
		textlog_find(src->text, what, all);
	if (clue == CLUE_ADDRESS || clue == CLUE_MESSAGE_ID) /* many look like an address */
		find_by_message_id(src, what, all);
	if (clue == CLUE_ADDRESS)
		find_addressed(a, asked, all);
	find_queued(&a->spool, all);
	source_tell(src, all);
}

static int
compare(const void *a, const void *b)
{
	return id_compare(((const struct story *)a)->id, ((const struct story *)b)->id);
}

/* The oldest first. How many there were. */
static int
say_all(struct admin *a, struct stories *all)
{
	int n = 0;
	qsort(all->v, (size_t)all->n, sizeof(all->v[0]), compare);
	for (int i = 0; i < all->n; i++) {
		if (json_array_size(all->v[i].events) == 0 && !all->v[i].waits)
			continue;
		if (n++ > 0 && !a->out.json)
			out_say(&a->out, "\n");
		say_story(a, &all->v[i]);
	}
	if (all->more)
		admin_trouble(a, "there are more; these are the newest %d", STORY_MESSAGES);
	return n;
}

/* What does not count is not told; that it is there may be why somebody asks. */
static void
say_nothing(struct admin *a, struct source *src, const char *asked)
{
	static const char *const fields[] = { "POSTERN_QUEUE_ID", "POSTERN_SENDER",
		"POSTERN_RECIPIENT", "POSTERN_MESSAGE_ID" };
	char uid[DIARY_UID] = "", id[ID_SIZE];
	struct span what;
	(void)story_clue(asked, id, &what);
	admin_trouble(a, "%s: nothing in %s, nor in the queue", asked, src->name);
	for (size_t i = 0; src->diary != NULL && i < 4 && uid[0] == '\0'; i++)
		diary_doubt(src->diary, fields[i], what, uid);
	if (uid[0] != '\0')
		admin_trouble(a, "user %s has written entries of it, as whom Postern does not run "
			"here: anybody can. Of a journal of another host, say --uid %s", uid, uid);
}

/* In brackets, as the log has one, or with a final dot: it was taken for a Message-ID. */
static bool
is_address_too(const char *asked)
{
	char copy[LIMIT_PATH + 1];
	struct address a;
	int n = snprintf(copy, sizeof(copy), "%s", asked);
	const char *plain = n < (int)sizeof(copy) ? admin_plain(copy) : asked;
	return strcmp(plain, asked) != 0 && address_mailbox(span_of(plain), &a) == 0;
}

static int
trace(struct admin *a, char *asked, struct source *src)
{
	auto_buf why = buf_new(WHY_SIZE);
	struct stories all;
	if (program_drop_root(&a->conf, &a->from, &a->options, &why) < 0) {
		admin_trouble(a, "%.*s", (int)why.n, why.n > 0 ? why.p : "");
		return ADMIN_CONFIG;
	}
	(void)spool_look(&a->spool, a->conf.who.spool);
	if (story_begin_all(&all) < 0) {
		admin_trouble(a, "out of memory");
		return ADMIN_LATER;
	}
	find_messages(a, src, asked, &all);
	int n = say_all(a, &all);
	story_end_all(&all);
	if (n == 0 && is_address_too(asked) && story_begin_all(&all) == 0) {
		find_messages(a, src, admin_plain(asked), &all);
		n = say_all(a, &all);
		story_end_all(&all);
	}
	if (n == 0)
		say_nothing(a, src, asked);
	return n > 0 ? ADMIN_DONE : ADMIN_NOTHING;
}

static int
run(struct admin *a, int argc, char **argv)
{
	struct source src;
	struct span what;
	char id[ID_SIZE];
	(void)argc;
	if (story_clue(argv[0], id, &what) == CLUE_NONE)
		return admin_misused(a, "%s: neither an id, nor an address, nor a Message-ID",
			argv[0]);
	tzset();
	int status = source_open(a, &src);
	if (status == ADMIN_DONE)
		status = trace(a, argv[0], &src);
	source_close(&src);
	return status;
}

static const struct command_option options[] = {
	{ "log", "FILE", "read this log of text, not the journal" },
	{ "journal", "PATH", "read the journal in this file or directory" },
	{ "uid", "NUMBER", "the user of Postern in a journal of another host" },
	{ NULL, NULL, NULL },
};

const struct command command_trace = {
	.name = "trace",
	.operands = "ID|ADDRESS|MESSAGE-ID",
	.what = "the whole life of a message, as the log tells it",
	.needs = NEEDS_CONF,
	.least = 1,
	.most = 1,
	.options = options,
	.run = run,
};
