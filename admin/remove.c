/*
 * remove: messages go, and nobody is told but the log.
 */
#include "admin/act.h"

#include <errno.h>
#include <unistd.h>

static int
remove_one(struct act *act, const struct lane *l, struct message *m)
{
	int r = message_remove(l, m->id);
	if (r == 0)
		act_log(act, l, m);
	return r;
}

static int
remove_lane(struct act *act, const struct lane *l)
{
	(void)act;
	return fsync(l->dir) < 0 ? -errno : 0;
}

static int
run(struct admin *a, int argc, char **argv)
{
	static const struct act_deed deed = {
		.verb = "remove",
		.done = "removed",
		.waiting = true,
		.held = true,
		.one = remove_one,
		.lane = remove_lane,
	};
	return act_run(a, argc, argv, &deed);
}

static const struct command_option options[] = { ACT_OPTIONS, { NULL, NULL, NULL } };

const struct command command_remove = {
	.name = "remove",
	.operands = "[ID|LANE|ADDRESS]...",
	.what = "throw messages away; nobody is told",
	.needs = NEEDS_OWNER,
	.most = -1,
	.options = options,
	.run = run,
};
