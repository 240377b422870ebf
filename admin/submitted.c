#include "admin/submitted.h"

#include <string.h>

#include "admin/out.h"
#include "conf/recipient_map.h"
#include "conf/submission.h"
#include "lib/cleanup.h"

enum { WHY_SIZE = 1024 };

static bool
is_any_set(const struct conf_submission *s, unsigned add)
{
	return s->masquerade != NULL || s->force_from != NULL || s->recipient_map != NULL ||
		(s->guard != NULL && strcmp(s->guard, "no") != 0) || add != 0;
}

static json_t *
list_lines(const struct buf *lines)
{
	json_t *list = json_array();
	for (struct span rest = buf_span(lines); rest.n > 0;)
		(void)json_array_append_new(list, out_string(span_cut(&rest, '\n')));
	return list;
}

static json_t *
fields_of(unsigned fields)
{
	char names[REWRITE_NAMES];
	rewrite_names(fields, names);
	return fields != 0 ? json_string(names) : json_null();
}

static const char *const words[] = { [SUBMISSION_AS_GIVEN] = "as given",
	[SUBMISSION_ELSEWHERE] = "elsewhere", [SUBMISSION_GUARDED] = "nowhere",
	[SUBMISSION_SUNK] = "into files", [SUBMISSION_TOO_LONG] = "too long" };

json_t *
submitted_by_strangers(const struct conf *c, const struct address *to)
{
	auto_buf instead = buf_new(SUBMISSION_RECIPIENTS);
	enum submission_verdict v = submission_recipients(c, false, to, &instead);
	if (v == SUBMISSION_AS_GIVEN)
		return json_null();
	return json_pack("{s:s, s:o}", "goes", words[v], "recipients", list_lines(&instead));
}

json_t *
submitted_fate(struct conf *c, struct span sender, const struct address *to)
{
	char room[SUBMISSION_SENDER];
	auto_buf why = buf_new(WHY_SIZE), instead = buf_new(SUBMISSION_RECIPIENTS);
	unsigned add = submission_plan(c, SUBMITTER_LOCAL).add;
	if (!is_any_set(&c->submission, add))
		return json_null();
	if (c->submission.recipient_map != NULL)
		(void)recipient_map_load(c->submission.recipient_map, &c->submission.map, &why);
	struct span from = submission_sender(c, sender, room);
	enum submission_verdict v = submission_recipients(c, true, to, &instead);
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "goes", words[v], "recipients",
		list_lines(&instead), "sender", span_eq(from, sender) ? json_null()
		: out_string(from), "adds", fields_of(add), "trouble",
		why.n > 0 ? out_string(buf_span(&why)) : json_null());
}
