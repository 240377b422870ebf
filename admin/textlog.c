#include "admin/textlog.h"

#include <stdlib.h>
#include <string.h>

#include "admin/out.h"
#include "lib/cleanup.h"

enum { LINE_SEEN = 64 * 1024 /* octets of a line that are looked at */ };

static bool
is_of_word(char c)
{
	c = ascii_lower(c);
	return ascii_digit(c) || (c >= 'a' && c <= 'z');
}

struct span
textlog_id(struct span *rest)
{
	while (rest->n > 0) {
		size_t n = 0;
		while (rest->n > 0 && !is_of_word(rest->p[0]))
			*rest = span_skip(*rest, 1);
		while (n < rest->n && is_of_word(rest->p[n]))
			n++;
		struct span word = { rest->p, n };
		*rest = span_skip(*rest, n);
		if (n == ID_LEN)
			return word;
	}
	return (struct span){ 0 };
}

/* The next line, without its end. False: that was the last one. */
static bool
next_line(FILE *log, char **line, size_t *size, struct span *out)
{
	ssize_t n = getline(line, size, log);
	if (n < 0)
		return false;
	*out = span_chomp((struct span){ *line, (size_t)n < LINE_SEEN ? (size_t)n : LINE_SEEN });
	return true;
}

/* Where it stands with no letter of an address before or behind it: <a@b>, and no xa@b. */
static bool
holds(struct span line, struct span text)
{
	while (line.n >= text.n && text.n > 0) {
		const char *at = memmem(line.p, line.n, text.p, text.n);
		if (at == NULL)
			return false;
		const char *behind = at + text.n, *end = line.p + line.n;
		bool whole = (at == line.p || at[-1] == '<' || at[-1] == ' ' || at[-1] == '"') &&
			(behind == end || strchr("> \",", *behind) != NULL);
		if (whole)
			return true;
		line = span_skip(line, (size_t)(at + 1 - line.p));
	}
	return false;
}

/* The oldest makes room, for what is newer is asked for more often. */
static void
forget_first(struct stories *s)
{
	if (s->n < STORY_MESSAGES)
		return;
	json_decref(s->v[0].events);
	memmove(&s->v[0], &s->v[1], (size_t)(s->n - 1) * sizeof(s->v[0]));
	s->v[--s->n] = (struct story){ .events = NULL };
	s->more = true;
}

void
textlog_find(FILE *log, struct span text, struct stories *out)
{
	auto_memory char *line = NULL;
	size_t size = 0;
	struct span s, id;
	rewind(log);
	while (next_line(log, &line, &size, &s)) {
		if (!holds(s, text) || (id = textlog_id(&s)).n == 0)
			continue;
		if (story_find(out, id) == NULL)
			forget_first(out);
		(void)story_of(out, id);
	}
}

/* What an event of a recipient says before the address. */
static bool
is_of_recipient(struct span before)
{
	static const char *const words[] = { "delivered ", "deferred ", "bounced ", "to=" };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);
		if (before.n >= n && memcmp(before.p + before.n - n, words[i], n) == 0)
			return true;
	}
	return false;
}

/* The lane of the recipient of a line, which its domain has if it has no route. */
static void
note_lane(struct story *one, struct span line)
{
	char lane[LANE_NAME_SIZE];
	struct span before = span_cut(&line, '<'), address = span_cut(&line, '>');
	(void)span_cut(&address, '@');
	if (is_of_recipient(before) && lane_name_of(address, lane) == 0)
		story_note_lane(one, span_of(lane));
}

/* "lane NAME: ", in a line without a message. Nothing: it is none. */
static struct span
lane_of(struct span line)
{
	const char *at = line.n > 0 ? memmem(line.p, line.n, "lane ", strlen("lane ")) : NULL;
	if (at == NULL)
		return (struct span){ 0 };
	struct span rest = span_skip(line, (size_t)(at - line.p) + strlen("lane "));
	struct span name = span_word(&rest, " ");
	bool whole = name.n > 1 && name.p[name.n - 1] == ':';
	return whole ? (struct span){ name.p, name.n - 1 } : (struct span){ 0 };
}

/* A line about a lane, to those who were in it by then. */
static void
tell_of_lane(struct stories *all, struct span line)
{
	struct span lane = lane_of(line);
	for (int i = 0; lane.n > 0 && i < all->n; i++)
		if (json_array_size(all->v[i].events) > 0 && story_has_lane(&all->v[i], lane))
			story_add(&all->v[i], json_pack("{s:n, s:o, s:o}", "time", "lane",
				out_string(lane), "text", out_string(line)));
}

/* To all messages whose id is in it. False: there is none. */
static bool
tell_of_messages(struct stories *all, struct span line, bool lanes_only)
{
	struct story *last = NULL;
	struct span rest = line;
	for (struct span id; (id = textlog_id(&rest)).n > 0;) {
		struct story *one = story_find(all, id);
		if (one == NULL || one == last)
			continue;
		if (lanes_only)
			note_lane(one, rest);
		else
			story_add(one, json_pack("{s:n, s:o}", "time", "text", out_string(line)));
		last = one;
	}
	return last != NULL;
}

/* What befell its lanes behind its end. */
static void
trim(struct story *s)
{
	size_t n = json_array_size(s->events);
	while (!s->waits && n > 0 &&
		json_object_get(json_array_get(s->events, n - 1), "lane") != NULL)
		(void)json_array_remove(s->events, --n);
}

void
textlog_tell(FILE *log, struct stories *all)
{
	auto_memory char *line = NULL;
	size_t size = 0;
	struct span s;
	rewind(log);
	while (next_line(log, &line, &size, &s))
		(void)tell_of_messages(all, s, true);
	rewind(log);
	while (next_line(log, &line, &size, &s))
		if (!tell_of_messages(all, s, false))
			tell_of_lane(all, s);
	for (int i = 0; i < all->n; i++)
		trim(&all->v[i]);
}
