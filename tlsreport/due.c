#include "tlsreport/due.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dns/txt.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/crc.h"
#include "lib/dir.h"
#include "lib/fetchwire.h"
#include "process/log.h"
#include "queue/tally.h"
#include "tlsreport/agenda.h"
#include "tlsreport/make.h"
#include "tlsreport/outbox.h"
#include "tlsreport/post.h"
#include "tlsreport/subject.h"

enum {
	HOW = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
	LOOK_UP = 20, /* s for one domain's TXT; there may be many, and no hurry */
	NAME_SIZE = sizeof("_smtp._tls.") + LIMIT_DOMAIN,
};

/* ---- times --------------------------------------------------------------------------------- */

int64_t
due_time(const char *host, const char *domain, int64_t end)
{
	uint32_t sum = crc32c(crc32c(0, host, strlen(host)), domain, strlen(domain));
	return end + DUE_FIRST + sum % DUE_SPREAD;
}

static void
note_next(struct due *d, int64_t at)
{
	if (at < d->next)
		d->next = at;
}

/* This host has trouble of its own: nothing of it is settled. */
static void
note_trouble(struct due *d, const char *what)
{
	struct log_fields f = { .event = "tls_report" };
	log_event(LOG_ERR, &f, "reports on TLS: %s: %s", what, strerror(errno));
	note_next(d, d->now + DUE_AGAIN);
}

static int64_t
time_of(const struct subject *s)
{
	int64_t end = tally_begin(s->day) + TALLY_DAY_SECONDS;
	return due_time(s->conf->who.hostname, s->domain, end);
}

/* When it is tried again, if it comes to nothing now: as far away as its time is past. */
static int64_t
time_of_another(const struct due *d, const struct subject *s)
{
	int64_t wait = d->now - time_of(s);
	if (wait > DUE_AGAIN_MOST)
		wait = DUE_AGAIN_MOST;
	return d->now + (wait < DUE_AGAIN ? DUE_AGAIN : wait);
}

/* A time that is later was written by another clock. */
static bool
is_put_off(const struct due *d, int64_t until)
{
	return until > d->now && until <= d->now + DUE_AGAIN_MOST;
}

/* ---- the days, and their domains ------------------------------------------------------------ */

enum known { KNOWN_FIT, KNOWN_NONE, KNOWN_TROUBLE };

/* Does this errno say that a name is no directory, and not that we cannot open one now? */
static bool
is_none_of_ours(int err)
{
	return err == ENOENT || err == ENOTDIR || err == ELOOP;
}

/* One of `days`, a directory: s->dir is to be closed. NONE: it is none of ours. */
static enum known
open_subject(struct due *d, int days, const char *day, const char *domain, struct subject *s)
{
	*s = (struct subject){ .conf = d->conf, .spool = d->spool, .day = day, .domain = domain,
		.dir = -1, .is_signed = d->is_signed };
	s->what = (struct aggregate){ .day = day, .domain = domain,
		.organization = d->conf->who.hostname, .contact = d->conf->tls_reports.from };
	if (!lane_name_valid(span_of(domain)))
		return KNOWN_NONE;
	s->dir = openat(days, domain, HOW);
	if (s->dir < 0 && !is_none_of_ours(errno)) {
		note_trouble(d, domain);
		return KNOWN_TROUBLE;
	}
	aggregate_name(&s->what, d->conf->who.hostname);
	return s->dir < 0 ? KNOWN_NONE : KNOWN_FIT;
}

/* What is done with each; true: nothing is left to do for it. */
typedef bool visit(struct due *d, const struct subject *s, struct agenda *todo);

/* True: for none of the day is anything left to do. */
static bool
each_domain(struct due *d, const char *name, int day, visit *does, struct agenda *todo)
{
	bool all = true;
	auto_dir domains = dir_open(day);
	if (domains == NULL) {
		note_trouble(d, name);
		return false;
	}
	for (const char *domain; (domain = dir_next(domains)) != NULL;) {
		struct subject s;
		if (domain[0] == '.' || domain[0] == '@')
			continue;
		enum known k = open_subject(d, day, name, domain, &s);
		all = k != KNOWN_TROUBLE && (k == KNOWN_NONE || does(d, &s, todo)) && all;
		cleanup_fd(&s.dir);
	}
	bool read = errno == 0;
	if (!read)
		note_trouble(d, name);
	return all && read;
}

/* All that there is of the day, but for its mark. */
static void
remove_domains(int day)
{
	auto_dir all = dir_open(day);
	for (const char *name; all != NULL && (name = dir_next(all)) != NULL;)
		if (name[0] != '.' && name[0] != '@')
			outbox_remove(day, name);
}

/* Nothing of it counts any more, whatever somebody may yet count who was stopped since then. */
static void
end_day(int day)
{
	if (mknodat(day, TALLY_DONE, S_IFREG | S_IRUSR | S_IWUSR, 0) < 0 && errno != EEXIST)
		return;
	(void)fsync(day);
	remove_domains(day);
}

/* ---- giving up ----------------------------------------------------------------------------- */

static int
tell_given_up(void *context, const char *url, struct span packed)
{
	auto_buf line = buf_new(LIMIT_COMMAND);
	(void)packed;
	buf_printf(&line, "given up, for it could not be posted in time to %s", url);
	buf_add(&line, (struct span){ "", 1 });
	subject_tell(context, LOG_NOTICE, line.err == 0 ? line.p : "given up");
	return -EAGAIN; /* it goes with its day */
}

static int
give_up_post(void *context, int n, int64_t when)
{
	const struct subject *s = context;
	(void)when;
	(void)outbox_post(s->dir, n, tell_given_up, context);
	return 0;
}

static bool
give_up(struct due *d, const struct subject *s, struct agenda *todo)
{
	struct subject of = *s;
	(void)d;
	(void)todo;
	if (!outbox_is_sealed(s->dir))
		return false;
	if (outbox_flush(d->spool, s->dir) < 0)
		subject_tell(s, LOG_NOTICE, "given up, for it could not be queued in time");
	(void)outbox_posts(s->dir, give_up_post, &of);
	return true;
}

static void
forget_day(struct due *d, const char *name, int day)
{
	struct log_fields f = { .event = "tls_report" };
	if (faccessat(day, TALLY_DONE, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
		!each_domain(d, name, day, give_up, NULL))
		log_event(LOG_NOTICE, &f, "reports on TLS on %s: given up for domains of which it "
			"could not be told in time where they want theirs", name);
	remove_domains(day);
	(void)unlinkat(day, TALLY_DONE, 0);
	(void)unlinkat(d->dir, name, AT_REMOVEDIR);
}

static int
open_day(struct due *d, const char *name)
{
	int day = tally_begin(name) < 0 ? -1 : openat(d->dir, name, HOW);
	if (day < 0 && tally_begin(name) >= 0 && !is_none_of_ours(errno))
		note_trouble(d, name);
	return day;
}

/* Those that are over for too long. */
static void
forget_days(struct due *d)
{
	auto_dir days = dir_open(d->dir);
	for (const char *name; days != NULL && (name = dir_next(days)) != NULL;) {
		auto_fd day = open_day(d, name);
		if (day >= 0 && d->now > tally_begin(name) + TALLY_DAY_SECONDS + DUE_END)
			forget_day(d, name, day);
	}
}

/* ---- looking up ---------------------------------------------------------------------------- */

/* Who wants it? FOUND, TEMPORARY, or another: nobody does. */
static enum answer
look_up(const struct due *d, const struct subject *s, struct rua *to)
{
	struct txt txt = { .texts = buf_new(0) };
	char name[NAME_SIZE];
	const char *why = "";
	snprintf(name, sizeof(name), "_smtp._tls.%s", s->domain);
	enum answer a = txt_find(d->resolver, name, clock_deadline(LOOK_UP), &txt);
	if (a == ANSWER_FOUND && !rua_parse(buf_span(&txt.texts), to, &why)) {
		a = ANSWER_NO_DATA;
		subject_tell(s, LOG_INFO, why);
	}
	buf_free(&txt.texts);
	return a;
}

/* It is settled who gets a report, and mail for them is on its way. 0, or else: not now. */
static int
settle(const struct due *d, const struct subject *s)
{
	struct rua to = { .n = 0 };
	int64_t again = time_of_another(d, s);
	subject_put_off(s, again); /* before: what kills us is not the first the next time */
	enum answer a = look_up(d, s, &to);
	if (a == ANSWER_TEMPORARY)
		return -ETIMEDOUT; /* that of another day is not asked now either */
	if (a != ANSWER_FOUND)
		to.n = 0;
	int r = make_reports(s, &to, again);
	if (r < 0)
		subject_tell(s, LOG_ERR, strerror(-r));
	return r;
}

static void
add(struct due *d, struct agenda *todo, const struct subject *s, int place, bool again,
	int64_t when)
{
	struct agenda_item item = { .place = place, .again = again, .when = when };
	snprintf(item.day, sizeof(item.day), "%s", s->day);
	snprintf(item.domain, sizeof(item.domain), "%s", s->domain);
	if (agenda_add(todo, &item) < 0)
		note_trouble(d, s->domain);
}

/* Is it to be looked up now? The time of its directory is later than its own if it was already. */
static bool
find_unsettled(struct due *d, const struct subject *s, struct agenda *todo)
{
	struct stat st;
	int64_t due = time_of(s), until = fstat(s->dir, &st) == 0 ? (int64_t)st.st_mtime : 0;
	if (outbox_is_sealed(s->dir))
		return true;
	if (due > d->now || is_put_off(d, until))
		note_next(d, due > d->now ? due : until);
	else
		add(d, todo, s, 0, until > due, until > due ? until : due);
	return false;
}

/* Mail that is left by one that died. */
static void
flush(struct due *d, const struct subject *s)
{
	int r = outbox_flush(d->spool, s->dir);
	if (r == 0)
		return;
	subject_tell(s, LOG_ERR, strerror(-r));
	note_next(d, d->now + DUE_AGAIN);
}

static int
try_look_up(struct due *d, const struct subject *s, const struct agenda_item *item)
{
	(void)item;
	int r = settle(d, s);
	if (r == 0)
		flush(d, s);
	else
		note_next(d, time_of_another(d, s));
	return r;
}

/* ---- posting ------------------------------------------------------------------------------- */

/* One try. */
struct posting {
	const struct due *due;
	const struct subject *subject;
	int64_t seconds;
	bool told; /* what came of it */
};

static int
post(void *context, const char *url, struct span packed)
{
	struct posting *p = context;
	const struct subject *s = p->subject;
	const struct due *d = p->due;
	const struct poster poster = { .conf = d->conf, .resolver = d->resolver,
		.starter = d->starter, .domain = s->domain, .seconds = p->seconds };
	auto_buf why = buf_new(LIMIT_COMMAND), line = buf_new(LIMIT_COMMAND);
	int r = post_report(&poster, url, packed, &why);
	buf_printf(&line, "%s %s%s%.*s",
		r == 0 ? "posted to" : r == -EPERM ? "not posted to" : "not posted now to", url,
		why.n > 0 ? ": " : "", (int)why.n, why.n > 0 ? why.p : "");
	buf_add(&line, (struct span){ "", 1 });
	subject_tell(s, r == 0 ? LOG_INFO : LOG_NOTICE, line.err == 0 ? line.p : url);
	p->told = true;
	return r == -EPERM ? 0 : r;
}

static int
try_post(struct due *d, const struct subject *s, const struct agenda_item *item)
{
	const int64_t again = time_of_another(d, s);
	struct posting p = { d, s, item->again ? FETCH_TIME : DUE_QUICK, false };
	(void)outbox_put_off(s->dir, item->place, again); /* before, as above */
	int r = outbox_post(s->dir, item->place, post, &p);
	if (r == -ECHILD) /* that is no word about the web server */
		(void)outbox_put_off(s->dir, item->place, item->again ? item->when : 0);
	if (r < 0)
		note_next(d, r == -ECHILD ? d->now + DUE_AGAIN : again);
	if (r < 0 && !p.told)
		subject_tell(s, LOG_ERR, strerror(-r));
	return r;
}

struct finding {
	struct due *d;
	const struct subject *subject;
	struct agenda *todo;
};

static int
find_post(void *context, int n, int64_t when)
{
	const struct finding *f = context;
	if (is_put_off(f->d, when))
		note_next(f->d, when);
	else
		add(f->d, f->todo, f->subject, n, when != 0,
			when != 0 ? when : time_of(f->subject));
	return 0;
}

/* What is to be posted now? */
static bool
find_unsent(struct due *d, const struct subject *s, struct agenda *todo)
{
	struct finding f = { d, s, todo };
	if (!outbox_is_sealed(s->dir))
		return false;
	flush(d, s);
	if (d->conf->submission.guard != NULL)
		return true; /* which came after it: mail waits, too */
	int r = outbox_posts(s->dir, find_post, &f);
	if (r < 0) {
		errno = -r;
		note_trouble(d, s->domain);
	}
	return true;
}

/* ---- a run --------------------------------------------------------------------------------- */

typedef int try(struct due *d, const struct subject *s, const struct agenda_item *item);

/* False: this host can do no more of these now. */
static bool
try_item(struct due *d, const struct agenda_item *item, try *does, struct agenda *todo)
{
	struct subject s;
	auto_fd day = openat(d->dir, item->day, HOW);
	if (day < 0)
		note_trouble(d, item->day);
	if (day < 0 || open_subject(d, day, item->day, item->domain, &s) != KNOWN_FIT)
		return true;
	int r = does(d, &s, item);
	if (r == -ETIMEDOUT)
		agenda_end(todo, item->domain);
	cleanup_fd(&s.dir);
	return r != -ECHILD;
}

/* All of one kind, first tries or others, as far as their share of the run reaches. */
static void
try_kind(struct due *d, struct agenda *todo, try *does, bool again)
{
	int64_t end = clock_ms() + d->share;
	bool begun = false, able = true;
	for (size_t i = 0; i < todo->n; i++) {
		const struct agenda_item *item = &todo->v[i];
		if (item->again != again)
			continue;
		if (!able) {
			note_next(d, d->now + DUE_AGAIN);
		} else if (item->ended || (begun && clock_ms() >= end)) {
			note_next(d, d->now);
		} else {
			able = try_item(d, item, does, todo);
			begun = true;
		}
	}
}

/* What a day is to have done with it, by those of its domains that it is time for. */
static bool
is_open(struct due *d, const char *name, int day)
{
	int64_t over = tally_begin(name) + TALLY_DAY_SECONDS;
	if (d->now < over + DUE_FIRST)
		note_next(d, over + DUE_FIRST);
	return d->now >= over + DUE_FIRST && d->now <= over + DUE_END &&
		faccessat(day, TALLY_DONE, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
}

static void
each_day(struct due *d, visit *does, struct agenda *todo)
{
	auto_dir days = dir_open(d->dir);
	if (days == NULL)
		note_trouble(d, TALLY_DIR);
	for (const char *name; days != NULL && (name = dir_next(days)) != NULL;) {
		auto_fd day = open_day(d, name);
		if (day >= 0 && is_open(d, name, day) &&
			each_domain(d, name, day, does, todo) && todo == NULL)
			end_day(day);
	}
}

static void
go_over(struct due *d, visit *finds, try *does)
{
	struct agenda todo = { 0 };
	each_day(d, finds, &todo);
	agenda_sort(&todo);
	try_kind(d, &todo, does, false);
	try_kind(d, &todo, does, true);
	agenda_free(&todo);
}

static bool
is_finished(struct due *d, const struct subject *s, struct agenda *todo)
{
	(void)d;
	(void)todo;
	return outbox_is_sealed(s->dir) && outbox_is_empty(s->dir);
}

void
due_run(struct due *d)
{
	d->next = d->now - d->now % TALLY_DAY_SECONDS + TALLY_DAY_SECONDS + DUE_FIRST;
	forget_days(d);
	go_over(d, find_unsettled, try_look_up);
	go_over(d, find_unsent, try_post);
	each_day(d, is_finished, NULL);
}
