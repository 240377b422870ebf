#include "delivery/tour.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "process/log.h"

enum { STALE_TRIES = 3 };

/* Says that the spool is in trouble. This was the last time that the lane is gone over. */
static void
note_trouble(const struct tour *t, const char *what, int err, struct found *found)
{
	struct log_fields f = { .event = "spool", .lane = t->lane.name };
	log_event(LOG_ERR, &f, "lane %s: cannot %s: %s", t->lane.name, what, strerror(-err));
	found->last = true;
	found_note_next(found, clock_wall() + BUSY_RETRY);
}

/* ---- the beginning ------------------------------------------------------------------------- */

/* Opens the lane and takes its lock. 0 or -errno. */
static int
take(struct lane *l, const struct spool *s, const char *name)
{
	int r = -ESTALE;
	for (int i = 0; i < STALE_TRIES && r == -ESTALE; i++) {
		r = lane_open(l, s, name);
		if (r < 0)
			return r;
		r = lane_take(l);
		if (r < 0)
			lane_close(l);
	}
	return r;
}

/* When to look at a lane again that could not be taken; 0: there is none of this name. */
static int64_t
explain(struct relay *r, const char *name, int err)
{
	struct log_fields f = { .event = "spool", .lane = name };
	if (err == -ENOENT || err == -ENOTDIR || err == -ELOOP)
		return 0;
	if (err != -EAGAIN && err != -ESTALE)
		log_event(LOG_ERR, &f, "lane %s: cannot open: %s", name, strerror(-err));
	r->unsettled = true;
	return clock_wall() + BUSY_RETRY;
}

/* It begins anew, with nothing found and no name read. */
static void
reset(struct tour *t, bool marked)
{
	t->found = (struct found){ 0 };
	t->n = t->at = 0;
	t->part = TOUR_ALL;
	t->marked = marked;
	cleanup_dir(&t->dir);
	t->dir = NULL;
}

struct tour *
tour_open(struct relay *r, const char *name, int64_t *next)
{
	struct tour *t = malloc(sizeof(*t));
	struct lane lane = LANE_CLOSED;
	int err = t == NULL ? -ENOMEM : take(&lane, &r->spool, name);
	if (err < 0) {
		free(t);
		*next = explain(r, name, err);
		return NULL;
	}
	t->lane = lane;
	lane_state(&lane, &t->state);
	*next = t->state.next;
	if (!lane_is_due(&t->state, clock_wall(), conf_longest_retry(&r->common)) &&
		t->state.down) {
		lane_close(&t->lane);
		free(t);
		return NULL;
	}
	pthread_mutex_init(&t->lock, NULL);
	t->dir = NULL;
	t->rested = false;
	t->couriers = 0;
	reset(t, false);
	return t;
}

static void
show(struct tour *t, int more)
{
	pthread_mutex_lock(&t->lock);
	lane_show(&t->lane, t->couriers, t->couriers + more);
	t->couriers += more;
	pthread_mutex_unlock(&t->lock);
}

void
tour_join(struct tour *t)
{
	show(t, 1);
}

void
tour_part(struct tour *t)
{
	show(t, -1);
}

/* ---- names --------------------------------------------------------------------------------- */

static void
open_names(struct tour *t)
{
	t->dir = dir_open(t->lane.dir);
	if (t->dir == NULL)
		note_trouble(t, "read it", -errno, &t->found);
}

/*
 * Before it is gone over @retry is made, so that new mail shows. Without room for it the lane is
 * gone over all the same, which makes room; what comes meanwhile is for the next time.
 */
void
tour_begin(struct courier *c)
{
	struct tour *t = c->tour;
	reset(t, true);
	int err = lane_settle(&t->lane);
	if (err < 0)
		note_trouble(t, "make " LANE_RETRY, err, &t->found);
	if (err == 0 || err == -ENOSPC || err == -EDQUOT)
		open_names(t);
}

/*
 * Without @retry, which only the last time needs. To make it, and to remove it with the next
 * message, is much of what a file system has to do for each.
 */
void
tour_look_again(struct courier *c)
{
	reset(c->tour, false);
	open_names(c->tour);
}

/*
 * A file that is not a message: a log without its message is removed, anything else is left
 * alone.
 */
static void
visit_other(const struct tour *t, const char *name)
{
	struct span id = { name, ID_LEN };
	int dir = t->lane.dir;
	struct stat st;
	if (strlen(name) <= ID_LEN || !id_valid(id) || strcmp(name + ID_LEN, ".log") != 0)
		return;
	char message[ID_SIZE];
	snprintf(message, sizeof(message), "%.20s", name);
	if (fstatat(dir, message, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		unlinkat(dir, name, 0);
}

static int
compare_ids(const void *a, const void *b)
{
	return id_compare(a, b);
}

static bool
is_of_part(const struct tour *t, const char *id)
{
	return t->part == TOUR_ALL || (t->part == TOUR_URGENT) == (id_priority(id) > 0);
}

/* Reads names of the part until there is a batch. False: that was the last of them. */
static bool
fill_batch(struct tour *t)
{
	for (t->n = t->at = 0; t->n < TOUR_BATCH;) {
		const char *name = dir_next(t->dir);
		if (name == NULL) {
			if (errno != 0)
				note_trouble(t, "read it", -errno, &t->found);
			return false;
		}
		if (!id_valid(span_of(name)))
			visit_other(t, name);
		else if (is_of_part(t, name))
			memcpy(t->ids[t->n++], name, ID_SIZE);
	}
	return true;
}

/*
 * Reads the next names of the lane; behind the last one t->dir is closed. Where one batch does not
 * hold them all, what is urgent has the first ones.
 */
static void
read_batch(struct tour *t)
{
	bool more = fill_batch(t);
	if (more && t->part == TOUR_ALL) {
		rewinddir(t->dir);
		t->part = TOUR_URGENT;
		more = fill_batch(t);
	}
	if (!more && t->part == TOUR_URGENT) {
		rewinddir(t->dir);
		t->part = TOUR_REST;
	} else if (!more) {
		cleanup_dir(&t->dir);
		t->dir = NULL;
	}
	qsort(t->ids, t->n, sizeof(t->ids[0]), compare_ids);
}

bool
tour_next(struct courier *c, char id[static ID_SIZE])
{
	struct tour *t = c->tour;
	pthread_mutex_lock(&t->lock);
	while (t->at == t->n && t->dir != NULL)
		read_batch(t);
	bool any = t->at < t->n && !t->found.stop;
	if (any)
		memcpy(id, t->ids[t->at++], ID_SIZE);
	pthread_mutex_unlock(&t->lock);
	return any;
}

size_t
tour_left(struct tour *t)
{
	pthread_mutex_lock(&t->lock);
	size_t left = t->n - t->at;
	pthread_mutex_unlock(&t->lock);
	return left;
}

bool
tour_has_more(struct tour *t)
{
	pthread_mutex_lock(&t->lock);
	bool more = t->at < t->n || t->dir != NULL;
	pthread_mutex_unlock(&t->lock);
	return more;
}

void
tour_add(struct tour *t, const struct found *found)
{
	pthread_mutex_lock(&t->lock);
	if (found->next != 0)
		found_note_next(&t->found, found->next);
	t->found.again = t->found.again || found->again;
	t->found.last = t->found.last || found->last;
	t->found.stop = t->found.stop || found->stop;
	pthread_mutex_unlock(&t->lock);
}

/* ---- the end ------------------------------------------------------------------------------- */

int
tour_close(struct relay *r, struct tour *t, int64_t next)
{
	cleanup_dir(&t->dir);
	if (!t->marked && t->found.last)
		(void)lane_settle(&t->lane); /* for the time; what came meanwhile was rung for */
	int left = lane_leave(&t->lane, &r->spool, next);
	if (left < 0 && left != -EAGAIN && !t->found.last)
		note_trouble(t, "write down when it is due", left, &t->found);
	if (t->found.stop || (left < 0 && t->found.last))
		r->unsettled = true; /* it looks due, or is, and cannot be told that it is not */
	lane_close(&t->lane);
	pthread_mutex_destroy(&t->lock);
	free(t);
	return left;
}
