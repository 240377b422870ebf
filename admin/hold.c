/*
 * hold: takes messages out of the way of relays, until they are released.
 */
#include "admin/act.h"


#include "queue/held.h"

static int
hold_one(struct act *act, const struct lane *l, struct message *m)
{
	int r = act->other.dir >= 0 ? 0
		: held_open_for_writing(&act->other, &act->admin->spool, l->name);
	if (r == 0)
		r = held_take(l, &act->other, m->id);
	if (r == 0)
		act_log(act, l, m);
	return r;
}

static int
hold_lane(struct act *act, const struct lane *l)
{
	return act->other.dir >= 0 ? held_sync(&act->other, l) : 0;
}

static int
run(struct admin *a, int argc, char **argv)
{
	static const struct act_deed deed = {
		.verb = "hold",
		.done = "held",
		.waiting = true,
		.whole = true,
		.one = hold_one,
		.lane = hold_lane,
	};
	return act_run(a, argc, argv, &deed);
}

static const struct command_option options[] = { ACT_OPTIONS, { NULL, NULL, NULL } };

const struct command command_hold = {
	.name = "hold",
	.operands = "[ID|LANE|ADDRESS]...",
	.what = "keep messages back, neither tried nor returned, until they are released",
	.needs = NEEDS_OWNER,
	.most = -1,
	.options = options,
	.run = run,
};
