#include "admin/story.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mail/address.h"

enum { TIME_TEXT = 40, US_PER_S = 1000000, US_PER_MS = 1000 };

int
story_begin_all(struct stories *s)
{
	*s = (struct stories){ .v = calloc(STORY_MESSAGES, sizeof(*s->v)) };
	return s->v != NULL ? 0 : -ENOMEM;
}

void
story_end_all(struct stories *s)
{
	for (int i = 0; i < s->n; i++)
		json_decref(s->v[i].events);
	free(s->v);
	*s = (struct stories){ .v = NULL };
}

/* Ids are in capitals where the log is one that readers of Postfix's understand. */
static bool
read_id(struct span text, char out[static ID_SIZE])
{
	if (text.n != ID_LEN)
		return false;
	for (size_t i = 0; i < ID_LEN; i++)
		out[i] = ascii_lower(text.p[i]);
	out[ID_LEN] = '\0';
	return id_valid(span_of(out));
}

struct story *
story_find(struct stories *s, struct span text)
{
	char id[ID_SIZE];
	if (!read_id(text, id))
		return NULL;
	for (int i = 0; i < s->n; i++)
		if (strcmp(s->v[i].id, id) == 0)
			return &s->v[i];
	return NULL;
}

struct story *
story_of(struct stories *s, struct span text)
{
	char id[ID_SIZE];
	struct story *known = story_find(s, text);
	if (known != NULL || !read_id(text, id))
		return known;
	if (s->n == STORY_MESSAGES) {
		s->more = true;
		return NULL;
	}
	struct story *one = &s->v[s->n++];
	memcpy(one->id, id, sizeof(id));
	one->events = json_array();
	return one;
}

bool
story_has_lane(const struct story *s, struct span lane)
{
	for (int i = 0; i < s->lanes; i++)
		if (span_eq(span_of(s->lane[i]), lane))
			return true;
	return false;
}

void
story_note_lane(struct story *s, struct span lane)
{
	if (!lane_name_valid(lane) || s->lanes == STORY_LANES || story_has_lane(s, lane))
		return;
	snprintf(s->lane[s->lanes++], LANE_NAME_SIZE, "%.*s", (int)lane.n, lane.p);
}

void
story_add(struct story *s, json_t *event)
{
	if (json_array_size(s->events) < STORY_EVENTS)
		(void)json_array_append_new(s->events, event);
	else
		json_decref(event);
}

enum clue
story_clue(const char *asked, char id[static ID_SIZE], struct span *what)
{
	struct span s = span_of(asked);
	struct address a;
	bool brackets = s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>';
	if (brackets)
		s = (struct span){ s.p + 1, s.n - 2 };
	*what = s;
	if (read_id(s, id))
		return CLUE_ID;
	struct span rest = s, left = span_cut(&rest, '@');
	bool ours = read_id(left, id);
	if (!ours)
		id[0] = '\0';
	if (left.n == s.n || left.n == 0) /* no address; but there are such Message-IDs */
		return brackets && s.n > 0 ? CLUE_MESSAGE_ID : CLUE_NONE;
	if (ours || brackets)
		return CLUE_MESSAGE_ID;
	return address_mailbox(s, &a) == 0 ? CLUE_ADDRESS : CLUE_MESSAGE_ID;
}

/* ---- as text ------------------------------------------------------------------------------- */

static void
say_time(struct out *o, json_int_t us)
{
	char text[TIME_TEXT] = "";
	struct tm tm;
	time_t s = (time_t)(us / US_PER_S);
	if (localtime_r(&s, &tm) != NULL)
		(void)!strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	out_say(o, "%s.%03d  ", text, (int)(us % US_PER_S / US_PER_MS));
}

void
story_say(struct out *o, const json_t *e)
{
	const json_t *time = json_object_get(e, "time");
	const char *program = json_string_value(json_object_get(e, "program"));
	const char *text = json_string_value(json_object_get(e, "text"));
	if (json_is_integer(time))
		say_time(o, json_integer_value(time));
	if (program != NULL) {
		out_text(o, span_of(program));
		out_say(o, ": ");
	}
	if (text != NULL)
		out_text(o, span_of(text));
	out_say(o, "\n");
}
