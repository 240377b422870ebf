/*
 * release: messages that were held are queued again, and due at once.
 */
#include "admin/act.h"

#include "admin/wake.h"
#include "queue/held.h"

static int
release_one(struct act *act, const struct lane *l, struct message *m)
{
	int r = held_let_go(l, &act->other, &act->admin->spool, m->id);
	if (r == 0)
		act_log(act, l, m);
	return r;
}

/* They are seized no more, so a relay that is told of them finds them. */
static int
release_lane(struct act *act, const struct lane *l)
{
	if (act->other.dir < 0)
		return 0;
	int r = held_sync(&act->other, l);
	lane_wait_no_more(&act->other);
	wake_lane(act->admin, l->name);
	return r;
}

static int
run(struct admin *a, int argc, char **argv)
{
	static const struct act_deed deed = {
		.verb = "release",
		.done = "released",
		.held = true,
		.whole = true,
		.one = release_one,
		.lane = release_lane,
	};
	return act_run(a, argc, argv, &deed);
}

static const struct command_option options[] = { ACT_OPTIONS, { NULL, NULL, NULL } };

const struct command command_release = {
	.name = "release",
	.operands = "[ID|LANE|ADDRESS]...",
	.what = "queue held messages again",
	.needs = NEEDS_OWNER,
	.most = -1,
	.options = options,
	.run = run,
};
