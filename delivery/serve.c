#include "delivery/serve.h"

#include <errno.h>
#include <poll.h>
#include <sysexits.h>

#include "delivery/lanes.h"
#include "delivery/notes.h"
#include "delivery/turns.h"
#include "delivery/visit.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/log.h"
#include "queue/bell.h"

/* Does the lane need this login? A bell may have any name in it. */
static bool
is_ours(const struct relay *r, const char *lane)
{
	char login[LOGIN_NAME_SIZE];
	way_login(&r->common, lane, login);
	return strcmp(login, r->login_name) == 0;
}

enum { LONG_AGO = 1 }; /* wall clock, s */

/*
 * All lanes of this login get the time at which they are due. `first`: what is due has waited until
 * now, the longer the better, but first of all what was never tried; later it is new mail of which
 * nothing was heard.
 */
static void
look_at_all(struct relay *r, bool first)
{
	int64_t next, now = clock_wall();
	auto_dir lanes = lanes_open(&r->spool);
	for (const char *name; lanes != NULL && (name = lanes_next(lanes)) != NULL;) {
		if (!is_ours(r, name))
			continue;
		bool due = lane_looks_due(&r->spool, name, now, conf_longest_retry(&r->common),
			&next);
		int64_t since = next > 0 && next <= now ? next : LONG_AGO;
		turns_lane(r, name, !due ? next : first ? since : 0);
	}
}

/* However often it is rung for any lane, all are looked at once, behind the names. */
static void
hear(struct relay *r, struct bell *bell)
{
	char lane[LANE_NAME_SIZE];
	bool all = false;
	for (enum bell_heard heard; (heard = bell_hear(bell, lane)) != BELL_SILENT;) {
		all = all || heard == BELL_ALL;
		if (heard == BELL_LANE && is_ours(r, lane))
			turns_lane(r, lane, 0);
	}
	if (all)
		look_at_all(r, false);
}

/*
 * Of a relay that is deaf: who rang in vain has left a mark. `ms` is how long there is nothing else
 * to do, as poll has it; the time until we look again.
 */
static int
look_for_mark(struct relay *r, int dir, int ms)
{
	enum { PAUSE = 1000 };
	if (!bell_take_mark(dir))
		return ms < 0 || ms > PAUSE ? PAUSE : ms;
	look_at_all(r, false);
	return 0;
}

/* Goes on as long as something is due, or a message that is tried alone is not settled. */
static void
go_on(struct relay *r, struct bell *bell, int dir)
{
	r->orphaned = r->keeper < 0;
	for (int ms; turns_turn(r, &ms) || (!r->orphaned && suspects_any(&r->suspects));) {
		struct pollfd p[] = { { .fd = bell->fd, .events = POLLIN },
			{ .fd = r->turns.wake, .events = POLLIN },
			{ .fd = r->orphaned ? -1 : r->keeper, .events = POLLIN } };
		if (bell->fd < 0)
			ms = look_for_mark(r, dir, ms);
		if (poll(p, 3, ms) < 0)
			continue;
		if (p[0].revents != 0)
			hear(r, bell);
		if (p[2].revents != 0)
			r->orphaned = !notes_hear(r);
	}
}

int
serve_run(struct relay *r, int dir)
{
	struct log_fields f = { .event = "failed" };
	struct bell bell;
	r->visit = visit_all;
	int err = turns_init(r);
	if (err == 0)
		err = bell_listen(&bell, dir);
	if (err == -ENOENT) {
		bell_be_deaf(&bell);
	} else if (err < 0) {
		log_event(LOG_ERR, &f, "cannot listen for mail: %s", strerror(-err));
		return EX_TEMPFAIL;
	}
	(void)bell_take_mark(dir);
	look_at_all(r, true);
	go_on(r, &bell, dir);
	bell_close(&bell);
	turns_free(r);
	return r->unsettled ? EX_TEMPFAIL : EXIT_SUCCESS;
}
