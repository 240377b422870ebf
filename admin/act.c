#include "admin/act.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/wake.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "process/log.h"
#include "queue/held.h"

enum {
	PATIENCE = 1500, /* ms in all; a relay has a message for as long as its host takes */
	PAUSE = 50,      /* ms from one try to the next */
	WHY = 4096,
	NAME = 256,      /* of a sender in the log */
};

/* ---- words --------------------------------------------------------------------------------- */

void
act_log(const struct act *act, const struct lane *l, const struct message *m)
{
	char sender[NAME];
	buf_escape_text(sender, sizeof(sender), m->env.sender);
	struct log_fields f = { .event = act->deed->done, .queue_id = m->id, .lane = l->name,
		.sender = m->env.sender.p != NULL ? sender : NULL };
	log_event(LOG_NOTICE, &f, "%s: %s, lane %s, by %s", m->id, act->deed->done, l->name,
		act->who);
}

/* Where nothing takes events they are not for standard error, unless the configuration says so. */
static void
open_log(const struct conf *c)
{
	bool none = c->log == LOG_TO_AUTO && log_try(LOG_TO_JOURNAL) < 0 &&
		log_try(LOG_TO_SYSLOG) < 0;
	log_open(none ? LOG_TO_NONE : c->log, "postern");
	if (c->log_format == LOG_FORMAT_JSON) /* Postfix has no lines for what is done by hand */
		log_shape(c->log_format, c->who.hostname);
}

/* One message, as a program reads it. */
static void
tell_program(struct act *act, const struct lane *l, const char *id, const char *result)
{
	json_t *o = json_pack("{s:s, s:o, s:s}", "id", id, "lane", out_string(span_of(l->name)),
		"result", result);
	if (act->why.n > 0)
		(void)json_object_set_new(o, "why", out_string(buf_span(&act->why)));
	out_json(&act->admin->out, o);
}

static void
tell(struct act *act, const struct lane *l, const char *id, int err)
{
	const struct act_deed *d = act->deed;
	act->done += err == 0;
	act->busy += err == -EAGAIN;
	act->failed += err < 0 && err != -EAGAIN;
	if (err == -EAGAIN && act->why.n == 0)
		buf_puts(&act->why, "a relay has it in hand");
	else if (err == -EBADMSG && act->why.n == 0)
		buf_puts(&act->why, "it is not a whole message");
	else if (err < 0 && act->why.n == 0)
		buf_puts(&act->why, strerror(-err));
	progress_clear(&act->bar);
	if (act->admin->out.json)
		tell_program(act, l, id,
			err == 0 ? d->done : err == -EAGAIN ? "in_hand" : "failed");
	else if (err < 0 || act->why.n > 0)
		admin_trouble(act->admin, "%s in %s: %s%s%s%.*s", id, l->name,
			err < 0 ? "not " : "", err < 0 ? d->done : "", err < 0 ? ": " : "",
			(int)act->why.n, act->why.p);
}

/* ---- one message --------------------------------------------------------------------------- */

/* Opens it without a look into it. */
static int
open_raw(struct message *m, const struct lane *l, const char *id)
{
	*m = MESSAGE_CLOSED;
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->fd = openat(l->dir, id, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return m->fd < 0 ? -errno : 0;
}

static void
add_other(struct act *act, struct span name)
{
	for (size_t i = 0; i < act->n_others; i++)
		if (span_eq(name, span_of(act->others[i])))
			return;
	char **v = reallocarray(act->others, act->n_others + 1, sizeof(*v));
	if (v == NULL)
		return;
	act->others = v;
	char *copy = strndup(name.p, name.n);
	if (copy != NULL)
		v[act->n_others++] = copy;
}

/* The lanes of its other recipients: "To: <lane> <address>". */
static void
note_others(struct act *act, const struct lane *l, const struct message *m)
{
	struct span rest = buf_span(&m->head);
	while (rest.n > 0) {
		struct span line = span_cut(&rest, '\n');
		if (!span_starts(line, span_of("To: ")))
			continue;
		line = span_skip(line, strlen("To: "));
		struct span name = span_cut(&line, ' ');
		if (lane_name_valid(name) && !span_eq(name, span_of(l->name)))
			add_other(act, name);
	}
}

static int
try_one(struct act *act, const struct lane *l, const char *id)
{
	struct message m;
	int r = message_open(&m, l, id);
	if (r == -EBADMSG && !act->deed->whole)
		r = open_raw(&m, l, id);
	if (r < 0)
		return r;
	r = message_seize(&m, l);
	if (r == 0) {
		note_others(act, l, &m);
		r = act->deed->one(act, l, &m);
	}
	message_close(&m);
	return r;
}

static bool
do_one(void *ctx, const struct picked *found)
{
	struct act *act = ctx;
	int r;
	buf_reset(&act->why);
	while ((r = try_one(act, found->lane, found->id)) == -EAGAIN && act->patience > 0 &&
		!progress_is_interrupted()) {
		progress_pause(PAUSE);
		act->patience -= PAUSE;
	}
	if (r != -ENOENT) { /* else it went by itself meanwhile */
		act->n++;
		progress_show(&act->bar, act->n);
		tell(act, found->lane, found->id, r);
	}
	return true;
}

/* ---- a lane -------------------------------------------------------------------------------- */

static bool
has_mail(const struct lane *l)
{
	auto_dir d = dir_open(l->dir);
	for (const char *name; d != NULL && (name = dir_next(d)) != NULL;)
		if (id_valid(span_of(name)))
			return true;
	return d == NULL;
}

/* An empty lane is taken away by a relay, for who removes it has to hold its lock. */
static void
leave(struct act *act, const struct lane *l, bool held)
{
	if (held) {
		held_tidy(&act->admin->spool, l->name);
	} else if (!has_mail(l)) {
		lane_wait_no_more(l);
		wake_lane(act->admin, l->name);
	}
}

static void
end_lane(void *ctx, const struct lane *l, bool held)
{
	struct act *act = ctx;
	int r = act->deed->lane != NULL ? act->deed->lane(act, l) : 0;
	if (r < 0) {
		act->failed++;
		admin_trouble(act->admin, "%s: what was done may not outlive a loss of power: %s",
			l->name, strerror(-r));
	}
	lane_close(&act->other);
	leave(act, l, held);
}

static void
look_again(struct act *act)
{
	for (size_t i = 0; i < act->n_others; i++) {
		struct lane l;
		if (pick_open_lane(act->admin, act->others[i], false, &l) == 0) {
			lane_announce(l.dir);
			lane_close(&l);
			wake_lane(act->admin, act->others[i]);
		}
		free(act->others[i]);
	}
	free(act->others);
}

/* ---- all ----------------------------------------------------------------------------------- */

/* One message may be in several lanes. */
static bool
is_one(const struct pick *p, int64_t n)
{
	return n <= 1 || (p->n == 1 && id_valid(span_of(p->operands[0])));
}

/* May so many be changed? 0, or a status. */
static int
ask(const struct admin *a, const struct act_deed *deed, int64_t n)
{
	char line[16];
	if (admin_option(a, "yes") != NULL)
		return 0;
	if (isatty(STDIN_FILENO) != 1)
		return admin_misused(a, "that are %" PRId64 " messages: say --yes to %s them", n,
			deed->verb);
	fprintf(stderr, "%s %" PRId64 " messages? [y/N] ", deed->verb, n);
	fflush(stderr);
	if (fgets(line, sizeof(line), stdin) != NULL && (line[0] == 'y' || line[0] == 'Y'))
		return 0;
	admin_trouble(a, "nothing was done");
	return ADMIN_NOTHING;
}

static int
end(struct act *act)
{
	struct admin *a = act->admin;
	const struct act_deed *d = act->deed;
	if (!a->out.json)
		out_say(&a->out, "%s %" PRId64 " of %" PRId64 "%s\n", d->done, act->done, act->n,
			progress_is_interrupted() ? ", then interrupted" : "");
	if (act->busy > 0 || act->failed > 0 || progress_is_interrupted())
		return ADMIN_LATER;
	return act->done > 0 ? ADMIN_DONE : ADMIN_NOTHING;
}

/* Under sudo, who that was before. */
static void
name_caller(struct act *act)
{
	const char *sudo = act->admin->caller == 0 ? getenv("SUDO_USER") : NULL;
	char name[sizeof(act->who) / 2] = "";
	if (sudo != NULL)
		buf_escape_text(name, sizeof(name), span_of(sudo));
	snprintf(act->who, sizeof(act->who), "user %ld%s%s%s", (long)act->admin->caller,
		sudo != NULL ? " (" : "", name, sudo != NULL ? ")" : "");
}

int
act_run(struct admin *a, int argc, char **argv, const struct act_deed *deed)
{
	struct act act = { .admin = a, .deed = deed, .other = LANE_CLOSED,
		.why = buf_new(WHY), .patience = PATIENCE };
	struct pick p;
	int status = pick_read(&p, a, argc, argv, admin_option(a, "all") != NULL);
	if (status != 0)
		return status;
	p.waiting = deed->waiting;
	p.held = deed->held;
	p.latest = clock_wall_us(); /* mail that comes while somebody thinks is not meant */
	int64_t n = pick_count(&p, a);
	if (n < 0) {
		admin_trouble(a, "spool: %s", strerror((int)-n));
		return ADMIN_LATER;
	}
	if (n == 0) {
		admin_trouble(a, "no such message");
		return ADMIN_NOTHING;
	}
	if (!is_one(&p, n) && (status = ask(a, deed, n)) != 0)
		return status;
	open_log(&a->conf);
	name_caller(&act);
	progress_watch();
	struct pick_visitor v = { do_one, end_lane, &act };
	progress_begin(&act.bar, "messages", n);
	(void)pick_each(&p, a, &v);
	progress_end(&act.bar);
	look_again(&act);
	buf_free(&act.why);
	return end(&act);
}
