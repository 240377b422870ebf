/*
 * retry: what waits for its time is due now, and its relay hears of it.
 *
 * A lane that waits for its host is tried whole: to try one of its messages is to try the host.
 * Mail that its sender asked to be held back (RFC 4865) still waits, and what is held by hand is
 * for `release`.
 */
#include "admin/pick.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/progress.h"
#include "admin/wake.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "queue/history.h"

enum { LOOK_EVERY = 200 }; /* ms, at the lanes that are waited for */

struct retry {
	struct admin *admin;
	struct progress bar;
	int64_t n;       /* messages that were made due */
	int64_t lanes;
	int err;         /* the first that could not be */
	char **due;      /* lanes that were, to be waited for; owned */
};

static bool
retry_one(void *ctx, const struct picked *p)
{
	struct retry *r = ctx;
	int err = history_make_due(p->lane, p->id);
	r->n += err == 0;
	if (err < 0 && r->err == 0)
		r->err = err;
	progress_show(&r->bar, r->n);
	return true;
}

/* Remembered, if there is room, to be waited for. */
static void
note_lane(struct retry *r, const char *name)
{
	char *copy = strdup(name);
	char **due = reallocarray(r->due, (size_t)r->lanes + 1, sizeof(*due));
	if (due != NULL)
		r->due = due;
	if (due == NULL || copy == NULL)
		free(copy);
	else
		r->due[r->lanes++] = copy;
}

static void
retry_lane(void *ctx, const struct lane *l, bool held)
{
	struct retry *r = ctx;
	(void)held;
	lane_wait_no_more(l);
	wake_lane(r->admin, l->name);
	note_lane(r, l->name);
	if (r->admin->out.json)
		out_json(&r->admin->out, json_pack("{s:o, s:s}", "lane",
			out_string(span_of(l->name)), "result", "due"));
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* A relay was there: the lane waits again, or it is gone. */
static bool
was_tried(const struct admin *a, const char *lane)
{
	int64_t next;
	return !lane_looks_due(&a->spool, lane, clock_wall(), conf_longest_retry(&a->conf), &next);
}

/* Lanes that were tried; their names go. */
static int64_t
count_tried(struct retry *r)
{
	int64_t n = 0;
	for (int64_t i = 0; i < r->lanes; i++) {
		if (r->due[i] != NULL && was_tried(r->admin, r->due[i])) {
			free(r->due[i]);
			r->due[i] = NULL;
		}
		n += r->due[i] == NULL;
	}
	return n;
}

/* Until each lane was tried, or somebody has seen enough: the mail goes on without us. */
static int64_t
follow(struct retry *r)
{
	int64_t n;
	progress_begin(&r->bar, "lanes tried; ^C leaves, the mail goes on", r->lanes);
	while ((n = count_tried(r)) < r->lanes && !progress_is_interrupted()) {
		progress_show(&r->bar, n);
		progress_pause(LOOK_EVERY);
	}
	progress_end(&r->bar);
	return n;
}

/* ---- all ----------------------------------------------------------------------------------- */

static bool
is_to_be_followed(const struct admin *a)
{
	if (admin_option(a, "wait") != NULL)
		return true;
	return a->conf.relay.max_connections > 0 && admin_option(a, "no-wait") == NULL &&
		isatty(STDERR_FILENO) == 1 && !a->out.json;
}

static int
end(struct retry *r, int64_t all, bool cut)
{
	struct admin *a = r->admin;
	int64_t tried = -1;
	if (!cut && is_to_be_followed(a))
		tried = follow(r);
	if (!a->out.json && all > 0) {
		out_say(&a->out, "%" PRId64 " of %" PRId64 " messages in %" PRId64
			" lanes are due%s", r->n, all, r->lanes, cut ? ", then interrupted" : "");
		if (tried >= 0)
			out_say(&a->out, "; %" PRId64 " lanes were tried", tried);
		out_say(&a->out, "\n");
	}
	for (int64_t i = 0; i < r->lanes; i++)
		free(r->due[i]);
	free(r->due);
	if (r->err < 0)
		admin_trouble(a, "spool: %s", strerror(-r->err));
	else if (all == 0)
		admin_trouble(a, "no such message");
	return cut || r->err < 0 ? ADMIN_LATER : all == 0 ? ADMIN_NOTHING : ADMIN_DONE;
}

static int
run(struct admin *a, int argc, char **argv)
{
	struct retry r = { .admin = a };
	struct pick_visitor v = { retry_one, retry_lane, &r };
	struct pick p;
	int status = pick_read(&p, a, argc, argv, admin_option(a, "all") != NULL);
	if (status != 0)
		return status;
	if (a->conf.relay.max_connections == 0)
		admin_trouble(a, "max_connections is 0: nothing is delivered, due or not");
	progress_watch();
	p.latest = clock_wall_us();
	int64_t all = pick_count(&p, a);
	progress_begin(&r.bar, "messages made due", all);
	int64_t n = all > 0 && !progress_is_interrupted() ? pick_each(&p, a, &v) : all;
	progress_end(&r.bar);
	if (n < 0 && r.err == 0)
		r.err = (int)n;
	return end(&r, all, progress_is_interrupted());
}

static const struct command_option options[] = {
	PICK_OPTIONS,
	{ "all", NULL, "all there are" },
	{ "wait", NULL, "until they were tried; so it is on a terminal" },
	{ "no-wait", NULL, "not on a terminal, either" },
	{ NULL, NULL, NULL },
};

const struct command command_retry = {
	.name = "retry",
	.operands = "[ID|LANE|ADDRESS]...",
	.what = "deliver now what waits for its time",
	.needs = NEEDS_OWNER,
	.most = -1,
	.options = options,
	.run = run,
};
