/*
 * list: what is in the queue, message by message, the oldest of each lane first.
 */
#include "admin/command.h"

#include <string.h>

#include "admin/past.h"
#include "admin/pick.h"
#include "lib/clock.h"
#include "lib/cleanup.h"

enum { NUMBER = 32, PEOPLE = 4096 };

struct list {
	struct admin *admin;
	char lane[LANE_NAME_SIZE]; /* whose state is known */
	struct lane_state state;
};

static const char *
state_of(const struct rcpt *to)
{
	return !to->settled ? "waiting" : to->outcome == DONE ? "delivered" : "failed";
}

static json_t *
recipients_of(const struct message *m)
{
	json_t *all = json_array();
	for (int i = 0; m != NULL && i < m->n; i++)
		(void)json_array_append_new(all, json_pack("{s:o, s:s}", "address",
			out_string(m->rcpt[i].address), "state", state_of(&m->rcpt[i])));
	return all;
}

static void
print_json(struct list *s, const struct picked *p, const struct past *past, int64_t next)
{
	const struct message *m = p->m;
	out_json(&s->admin->out, json_pack("{s:s, s:o, s:b, s:I, s:o, s:o, s:o, s:i, s:o, s:o}",
		"id", p->id,
		"lane", out_string(span_of(p->lane->name)),
		"held", p->held,
		"arrived", (json_int_t)id_time(p->id),
		"size", m != NULL ? json_integer((json_int_t)m->length) : json_null(),
		"sender", m != NULL ? out_string(m->env.sender) : json_null(),
		"recipients", recipients_of(m),
		"attempts", past->attempts,
		"next", past_json_next(next),
		"last", past->last.text.n > 0 ? out_string(past->last.text) : json_null()));
}

/* Those who wait, with commas between them. */
static void
put_people(struct buf *b, const struct message *m)
{
	for (int i = 0; i < m->n; i++) {
		if (m->rcpt[i].settled)
			continue;
		buf_puts(b, b->n > 0 ? ", " : "");
		buf_add(b, m->rcpt[i].address);
	}
}

static void
print_row(struct list *s, const struct picked *p, int64_t next)
{
	struct out *o = &s->admin->out;
	char age[NUMBER], when[NUMBER], size[NUMBER] = "?";
	auto_buf people = buf_new(PEOPLE);
	out_duration(age, sizeof(age), clock_wall() - id_time(p->id));
	past_say_next(when, sizeof(when), next);
	if (p->m != NULL) {
		out_size(size, sizeof(size), p->m->length);
		put_people(&people, p->m);
	}
	out_cell(o, span_of(p->id));
	out_cell(o, span_of(age));
	out_cell(o, span_of(size));
	out_cell(o, span_of(when));
	out_cell(o, p->m == NULL ? span_of("(not a whole message)")
		: p->m->env.sender.n > 0 ? p->m->env.sender : span_of("<>"));
	out_cell(o, buf_span(&people));
}

static bool
print(void *ctx, const struct picked *p)
{
	struct list *s = ctx;
	struct past past;
	if (strcmp(s->lane, p->lane->name) != 0) {
		snprintf(s->lane, sizeof(s->lane), "%s", p->lane->name);
		lane_state(p->lane, &s->state);
	}
	int64_t next = past_next_try(p->lane, p->id, p->held, &s->state);
	past_read(&past, p->lane, p->id);
	if (s->admin->out.json)
		print_json(s, p, &past, next);
	else
		print_row(s, p, next);
	past_free(&past);
	return true;
}

static int
run(struct admin *a, int argc, char **argv)
{
	static const struct out_column columns[] = {
		{ "id", ID_LEN, false },
		{ "age", 10, true },
		{ "size", 9, true },
		{ "next try", 10, true },
		{ "from", 24, false },
		{ "to", 24, false },
	};
	struct list s = { .admin = a };
	struct pick_visitor v = { print, NULL, &s };
	struct pick p;
	int status = pick_read(&p, a, argc, argv, true);
	if (status != 0)
		return status;
	p.held = true;
	p.waiting = admin_option(a, "held") == NULL;
	p.look = true;
	if (!a->out.json)
		out_table(&a->out, columns, sizeof(columns) / sizeof(columns[0]));
	int64_t n = pick_each(&p, a, &v);
	if (n < 0)
		admin_trouble(a, "spool: %s", strerror((int)-n));
	bool well = n > 0 || admin_option(a, "or-none") != NULL;
	return n < 0 ? ADMIN_LATER : well ? ADMIN_DONE : ADMIN_NOTHING;
}

static const struct command_option options[] = {
	PICK_OPTIONS,
	{ "held", NULL, "held ones alone" },
	{ "or-none", NULL, "status 0 also if there are none" },
	{ NULL, NULL, NULL },
};

const struct command command_list = {
	.name = "list",
	.operands = "[ID|LANE|ADDRESS]...",
	.what = "messages in the queue",
	.needs = NEEDS_QUEUE,
	.most = -1,
	.options = options,
	.run = run,
};
