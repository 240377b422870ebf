/*
 * bounce: messages go back to their senders, who are told why.
 *
 * The report is durable before a recipient is forgotten, as when a relay gives up (docs/QUEUE.md,
 * "By hand").
 */
#include "admin/act.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "admin/wake.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/log.h"
#include "report/dsn.h"

enum { REASON = 500, NAME = 256 };

#define BOUNCED "554 5.0.0 given back by the postmaster of this host"

static void
fail_all(struct act *act, struct message *m)
{
	const char *reason = admin_option(act->admin, "reason");
	for (int i = 0; i < m->n; i++) {
		struct rcpt *to = &m->rcpt[i];
		if (to->settled)
			continue;
		to->outcome = HARD;
		buf_puts(&to->text, BOUNCED);
		if (reason != NULL && reason[0] != '\0') {
			buf_puts(&to->text, ": ");
			buf_escape(&to->text, span_of(reason), REASON);
		}
	}
}

static void
log_all(const struct act *act, const struct lane *l, const struct message *m)
{
	char rcpt[NAME], sender[NAME];
	buf_escape_text(sender, sizeof(sender), m->env.sender);
	for (int i = 0; i < m->n; i++) {
		const struct rcpt *to = &m->rcpt[i];
		if (to->settled)
			continue;
		buf_escape_text(rcpt, sizeof(rcpt), to->address);
		struct log_fields f = { .event = "bounced", .queue_id = m->id, .sender = sender,
			.recipient = rcpt, .lane = l->name };
		log_event(LOG_NOTICE, &f, "%s: bounced <%s>, delay %lld s, %.*s, by %s", m->id,
			rcpt, (long long)(clock_wall() - m->arrived), (int)to->text.n, to->text.p,
			act->who);
	}
}

/* Says who is told, and wakes who tells. */
static void
tell_of_report(struct act *act, const struct message *m, int told, const char *id, const char *lane)
{
	struct log_fields f = { .event = "report", .queue_id = m->id };
	if (dsn_reader(told) != NULL) {
		log_event(LOG_INFO, &f, "%s: %s is told by %s", m->id,
			dsn_reader(told), id);
		wake_lane(act->admin, lane);
		return;
	}
	const char *why = told == DSN_NOBODY ? "no sender to tell" : "nobody wants to be told";
	log_event(LOG_NOTICE, &f, "%s: dropped: %s", m->id, why);
	buf_puts(&act->why, why);
}

static int
bounce_one(struct act *act, const struct lane *l, struct message *m)
{
	char id[ID_SIZE], lane[LANE_NAME_SIZE];
	if (!message_waits(m)) /* a relay is about to take it away */
		return message_remove(l, m->id);
	int r = message_try_mark(m, true);
	if (r < 0) {
		buf_printf(&act->why, "it cannot be written down: %s", strerror(-r));
		return r;
	}
	fail_all(act, m);
	int told = dsn_queue(m, &act->admin->spool, &act->admin->conf, false, id, lane);
	if (told < 0) {
		buf_printf(&act->why, "cannot queue the report: %s", strerror(-told));
		return told == -EAGAIN ? -EIO : told;
	}
	/* So that, whatever comes, nobody gets what its sender takes for lost. */
	r = message_mark(m, l);
	if (r == 0)
		r = message_remove(l, m->id);
	if (r == 0)
		log_all(act, l, m);
	tell_of_report(act, m, told, id, lane);
	return r;
}

static int
bounce_lane(struct act *act, const struct lane *l)
{
	(void)act;
	return fsync(l->dir) < 0 ? -errno : 0;
}

static int
run(struct admin *a, int argc, char **argv)
{
	static const struct act_deed deed = {
		.verb = "bounce",
		.done = "bounced",
		.waiting = true,
		.held = true,
		.whole = true,
		.one = bounce_one,
		.lane = bounce_lane,
	};
	return act_run(a, argc, argv, &deed);
}

static const struct command_option options[] = {
	ACT_OPTIONS,
	{ "reason", "TEXT", "what the senders are told" },
	{ NULL, NULL, NULL },
};

const struct command command_bounce = {
	.name = "bounce",
	.operands = "[ID|LANE|ADDRESS]...",
	.what = "give messages back to their senders",
	.needs = NEEDS_OWNER,
	.most = -1,
	.options = options,
	.run = run,
};
