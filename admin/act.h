/*
 * act: what hold, release, remove and bounce have in common.
 *
 * The messages that are meant are counted, and if there are more than one, whoever called is asked.
 * Then each is opened and seized (message_seize), so that no relay has it meanwhile; one that a
 * relay has in hand is tried again for a moment, and else left alone and told of. What was done to
 * a lane is on disk when the next lane begins. A file that is seized is so in all its lanes, and a
 * relay that came by there passed it by: so at the end those are to be looked at again.
 */
#ifndef POSTERN_ACT_H
#define POSTERN_ACT_H

#include "admin/admin.h"
#include "admin/pick.h"
#include "admin/progress.h"

struct act;

/* What is done. */
struct act_deed {
	const char *verb, *done; /* "remove", "removed" */
	bool waiting, held;      /* where from */
	bool whole;              /* those that are not are left alone */
	/*
	 * Does it to one that is seized; of one that is not whole, its fd and id alone are known.
	 * 0 or -errno, and perhaps a reason in act->why. It may log.
	 */
	int (*one)(struct act *act, const struct lane *l, struct message *m);
	/* Behind the last of a lane: makes sure that it is on disk. May be NULL. 0 or -errno. */
	int (*lane)(struct act *act, const struct lane *l);
};

struct act {
	struct admin *admin;
	const struct act_deed *deed;
	struct lane other;  /* where messages of this lane move to; closed behind each lane */
	struct buf why;     /* what there is to say about one message */
	char who[64];       /* who does it, for the log */
	char **others;      /* other lanes of messages that were seized; owned */
	size_t n_others;
	struct progress bar;
	/* how it went */
	int64_t patience;   /* ms that may still be waited for relays */
	int64_t n, done, busy, failed;
};

/* Reads the command line and does it. The status to end with. */
int act_run(struct admin *a, int argc, char **argv, const struct act_deed *deed);

/* A line in the log: "ID: removed from lane LANE by WHO". */
void act_log(const struct act *act, const struct lane *l, const struct message *m);

#define ACT_OPTIONS \
	PICK_OPTIONS, \
	{ "all", NULL, "all there are" }, \
	{ "yes", NULL, "do not ask" }

#endif
