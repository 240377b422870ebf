#include "admin/pick.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "admin/progress.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "mail/match.h"
#include "queue/held.h"

enum { US_PER_S = 1000000, FIRST_NAMES = 256 };

/* ---- what is meant ------------------------------------------------------------------------- */

int64_t
pick_time(const char *text)
{
	static const struct { char letter; int64_t s; } units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 60 * 60 }, { 'd', 24 * 60 * 60 }, { '\0', 1 },
	};
	struct span digits = span_digits(span_of(text));
	int64_t v = span_number(digits);
	const char *rest = text + digits.n;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (rest[0] == units[i].letter && (rest[0] == '\0' || rest[1] == '\0'))
			return v >= 0 && v < INT32_MAX ? v * units[i].s : -1;
	return -1;
}

int
pick_read(struct pick *p, const struct admin *a, int argc, char **argv, bool any)
{
	const char *older = admin_option(a, "older");
	*p = (struct pick){ .operands = argv, .n = argc, .waiting = true,
		.lane = admin_plain(admin_option(a, "lane")),
		.from = admin_plain(admin_option(a, "from")),
		.to = admin_plain(admin_option(a, "to")) };
	for (int i = 0; i < argc; i++)
		argv[i] = admin_plain(argv[i]);
	if (older != NULL && (p->older = pick_time(older)) < 0)
		return admin_misused(a, "--older %s: no time like 90s, 30m, 6h or 2d", older);
	bool said = p->lane != NULL || p->from != NULL || p->to != NULL || older != NULL;
	if (argc == 0 && !said && !any)
		return admin_misused(a, "%s what? An id, a lane, an address, or an option",
			a->command->name);
	return 0;
}

static bool
is_id(const char *operand)
{
	return id_valid(span_of(operand));
}

static bool
is_address(const char *operand)
{
	return strchr(operand, '@') != NULL;
}

static bool
is_lane_of(const char *list, const char *name)
{
	return strcasecmp(list, name) == 0 || match_domain(list, span_of(name));
}

/* May messages of this lane be meant? Ids and addresses may be in any. */
static bool
fits_lane(const struct pick *p, const char *name)
{
	if (p->lane != NULL && !is_lane_of(p->lane, name))
		return false;
	for (int i = 0; i < p->n; i++)
		if (is_id(p->operands[i]) || is_address(p->operands[i]) ||
			strcasecmp(p->operands[i], name) == 0)
			return true;
	return p->n == 0;
}

static bool
fits_id(const struct pick *p, const struct lane *l, const char *id)
{
	int64_t us = id_time_us(id);
	if ((p->latest != 0 && us > p->latest) ||
		(p->older != 0 && us > clock_wall_us() - p->older * US_PER_S))
		return false;
	for (int i = 0; i < p->n; i++)
		if (strcmp(p->operands[i], id) == 0 || is_address(p->operands[i]) ||
			(!is_id(p->operands[i]) && strcasecmp(p->operands[i], l->name) == 0))
			return true;
	return p->n == 0;
}

static bool
is_sender(const char *list, struct span sender)
{
	return strcmp(list, "<>") == 0 ? sender.n == 0 : match_sender(list, sender);
}

static bool
is_recipient(const char *list, const struct message *m)
{
	for (int i = 0; i < m->n; i++)
		if (!m->rcpt[i].settled && match_sender(list, m->rcpt[i].address))
			return true;
	return false;
}

static bool
has_address(const struct message *m, const char *address)
{
	return span_ieq(m->env.sender, span_of(address)) || is_recipient(address, m);
}

static bool
fits_message(const struct pick *p, const struct lane *l, const struct message *m)
{
	if ((p->from != NULL && !is_sender(p->from, m->env.sender)) ||
		(p->to != NULL && !is_recipient(p->to, m)))
		return false;
	for (int i = 0; i < p->n; i++)
		if (strcmp(p->operands[i], m->id) == 0 ||
			strcasecmp(p->operands[i], l->name) == 0 ||
			(is_address(p->operands[i]) && has_address(m, p->operands[i])))
			return true;
	return p->n == 0;
}

static bool
names_no_address(const struct pick *p)
{
	for (int i = 0; i < p->n; i++)
		if (is_address(p->operands[i]))
			return false;
	return p->from == NULL && p->to == NULL;
}

/* Does it take a look into each message to tell? */
static bool
needs_look(const struct pick *p)
{
	return p->look || !names_no_address(p);
}

/* ---- names --------------------------------------------------------------------------------- */

int
pick_open_lane(const struct admin *a, const char *name, bool held, struct lane *l)
{
	return held ? held_open(l, &a->spool, name) : lane_look(l, &a->spool, name);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Room for one more of `size` octets; it doubles. */
static bool
grow(void **v, size_t n, size_t size)
{
	if (n > 0 && (n < FIRST_NAMES || (n & (n - 1)) != 0))
		return true;
	void *more = reallocarray(*v, n > 0 ? 2 * n : FIRST_NAMES, size);
	if (more == NULL)
		return false;
	*v = more;
	return true;
}

int64_t
pick_lanes(int dir, char ***names)
{
	auto_dir d = dir_open(dir);
	int64_t n = 0;
	int err = d == NULL && dir >= 0 ? -errno : 0;
	*names = NULL;
	if (dir < 0) /* no mail ever came */
		return 0;
	for (const char *name; err == 0 && (name = dir_next(d)) != NULL;) {
		if (!lane_name_valid(span_of(name)))
			continue;
		char *copy = strdup(name);
		if (copy == NULL || !grow((void **)names, (size_t)n, sizeof(**names))) {
			free(copy);
			err = -ENOMEM;
		} else {
			(*names)[n++] = copy;
		}
	}
	if (err == 0 && errno != 0)
		err = -errno;
	if (err < 0) {
		pick_lanes_free(*names, n);
		*names = NULL;
		return err;
	}
	if (n > 0)
		qsort(*names, (size_t)n, sizeof(**names), compare_names);
	return n;
}

void
pick_lanes_free(char **names, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

typedef char name[ID_SIZE];

/* By age: the first character is the priority. */
static int
compare_ids(const void *a, const void *b)
{
	return strcmp((const char *)a + 1, (const char *)b + 1);
}

/* Those of a lane that may be meant, the oldest first. */
static size_t
read_ids(const struct pick *p, const struct lane *l, name **ids)
{
	auto_dir d = dir_open(l->dir);
	size_t n = 0;
	*ids = NULL;
	for (const char *id; d != NULL && (id = dir_next(d)) != NULL;) {
		if (!id_valid(span_of(id)) || !fits_id(p, l, id))
			continue;
		if (!grow((void **)ids, n, sizeof(**ids)))
			break;
		memcpy((*ids)[n++], id, ID_SIZE);
	}
	if (n > 0)
		qsort(*ids, n, sizeof(**ids), compare_ids);
	return n;
}

/* ---- the walk ------------------------------------------------------------------------------ */

struct walk {
	const struct pick *pick;
	const struct admin *admin;
	const struct pick_visitor *visitor;
	bool look;
	bool over;
	int64_t n;
};

static void
visit(struct walk *w, const struct picked *found)
{
	w->n++;
	w->over = (w->visitor->message != NULL && !w->visitor->message(w->visitor->ctx, found)) ||
		progress_is_interrupted();
}

/* One that is gone, or still being written, is none. What cannot be opened fits if ids do. */
static void
visit_id(struct walk *w, const struct lane *l, bool held, const char *id)
{
	struct message m = MESSAGE_CLOSED;
	struct picked found = { .lane = l, .id = id, .held = held };
	const struct pick *p = w->pick;
	if (!w->look) {
		visit(w, &found);
		return;
	}
	found.err = message_look(&m, l, id);
	if (found.err == 0) {
		found.m = &m;
		if (fits_message(p, l, &m))
			visit(w, &found);
		message_close(&m);
	} else if (found.err != -ENOENT && found.err != -EAGAIN && names_no_address(p)) {
		visit(w, &found);
	}
}

static void
walk_lane(struct walk *w, const char *lane, bool held)
{
	struct lane l;
	name *ids;
	if (!fits_lane(w->pick, lane) || pick_open_lane(w->admin, lane, held, &l) < 0)
		return;
	int64_t before = w->n;
	size_t n = read_ids(w->pick, &l, &ids);
	for (size_t i = 0; i < n && !w->over; i++)
		visit_id(w, &l, held, ids[i]);
	if (w->n > before && w->visitor->lane != NULL)
		w->visitor->lane(w->visitor->ctx, &l, held);
	free(ids);
	lane_close(&l);
}

static int
walk_all(struct walk *w, int dir, bool held)
{
	char **names;
	int64_t n = pick_lanes(dir, &names);
	for (int64_t i = 0; i < n && !w->over; i++)
		walk_lane(w, names[i], held);
	if (n >= 0)
		pick_lanes_free(names, n);
	return n < 0 ? (int)n : 0;
}

int64_t
pick_each(const struct pick *p, const struct admin *a, const struct pick_visitor *v)
{
	struct walk w = { .pick = p, .admin = a, .visitor = v, .look = needs_look(p) };
	int err = p->waiting ? walk_all(&w, a->spool.lanes, false) : 0;
	if (err == 0 && p->held && !w.over) {
		auto_fd all = held_open_all(&a->spool);
		err = all >= 0 ? walk_all(&w, all, true) : all == -ENOENT ? 0 : all;
	}
	return err < 0 ? err : w.n;
}

int64_t
pick_count(const struct pick *p, const struct admin *a)
{
	const struct pick_visitor nobody = { .message = NULL };
	return pick_each(p, a, &nobody);
}
