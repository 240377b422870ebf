/*
 * pick: which messages a command is about, and all of them one by one.
 *
 * They are named by operands (ids, lanes, addresses) and by --lane, --from, --to and --older; what
 * is named by several of these is meant only where all of them agree. An operand with "@" in it is
 * an address, sender or recipient; one that looks like an id is one; any other is a lane.
 *
 * The walk goes lane by lane, and in each from the oldest message to the youngest. It holds the
 * names of one lane, so that it begins at once however much there is. Mail comes and goes
 * meanwhile.
 */
#ifndef POSTERN_PICK_H
#define POSTERN_PICK_H

#include "admin/admin.h"
#include "queue/message.h"

/* Rows of a command's options. */
#define PICK_OPTIONS \
	{ "lane", "LANE", "in this lane; .domain: in those below it" }, \
	{ "from", "SENDER", "from an address, a domain, .domain, or <>" }, \
	{ "to", "RECIPIENT", "to one, said in the same way" }, \
	{ "older", "TIME", "that came at least so long ago: 90s, 30m, 6h, 2d" }

struct pick {
	char *const *operands;
	int n;
	const char *lane, *from, *to; /* NULL: any */
	int64_t older;    /* s; 0: any */
	int64_t latest;   /* us: none whose id is of a later time; 0: any */
	bool waiting;     /* those in lanes */
	bool held;        /* ... and those that are held */
	bool look;        /* each is to be opened by message_look */
};

/* A message of the walk. */
struct picked {
	const struct lane *lane; /* its @lock is not open */
	const char *id;
	bool held;
	const struct message *m; /* as message_look has it; NULL: nobody looked, or err */
	int err;                 /* why that could not be; -EBADMSG: it is not whole */
};

struct pick_visitor {
	/* False: that is enough. */
	bool (*message)(void *ctx, const struct picked *p);
	/* Behind the last message of a lane; may be NULL. */
	void (*lane)(void *ctx, const struct lane *l, bool held);
	void *ctx;
};

/*
 * Reads operands and options. 0; or ADMIN_USAGE, and what is wrong was told: also where nothing was
 * named at all, unless `any`.
 */
int pick_read(struct pick *p, const struct admin *a, int argc, char **argv, bool any);

/* How many were visited; or -errno, where the lanes cannot be read. */
int64_t pick_each(const struct pick *p, const struct admin *a, const struct pick_visitor *v);

/* How many there are. */
int64_t pick_count(const struct pick *p, const struct admin *a);

/* Lanes in this directory (a->spool.lanes, or held), sorted: how many, or -errno. */
int64_t pick_lanes(int dir, char ***names);
void pick_lanes_free(char **names, int64_t n);

/* Opens a lane for looking, without its lock: none is made. 0 or -errno. */
int pick_open_lane(const struct admin *a, const char *name, bool held, struct lane *l);

/* "90s", "2d": seconds, or -1. */
int64_t pick_time(const char *text);

#endif
