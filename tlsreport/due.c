#include "tlsreport/due.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/routes.h"
#include "conf/submission.h"
#include "dns/txt.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/crc.h"
#include "lib/dir.h"
#include "mail/alabel.h"
#include "process/log.h"
#include "queue/draft.h"
#include "queue/lane.h"
#include "queue/tally.h"
#include "tlsreport/letter.h"
#include "tlsreport/outbox.h"
#include "tlsreport/post.h"
#include "tlsreport/rua.h"

enum {
	HOW = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
	LOOK_UP = 20, /* s for one domain's TXT; there may be many, and no hurry */
	NAME_SIZE = sizeof("_smtp._tls.") + LIMIT_DOMAIN,
};

/* What there is to say about a domain and day. */
struct job {
	const struct due *due;
	const char *day, *domain;
	int dir; /* the domain's */
	struct aggregate what;
};

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

/* ---- saying so ----------------------------------------------------------------------------- */

static void
tell(const struct job *j, int priority, const char *what)
{
	struct log_fields f = { .event = "tls_report" };
	log_event(priority, &f, "report on TLS for %s on %s: %s", j->domain, j->day, what);
}

static void
tell_queued(const struct job *j, const char *id, const char *to, const char *lane)
{
	struct log_fields f = { .event = "tls_report", .queue_id = id, .recipient = to,
		.lane = lane };
	log_event(LOG_INFO, &f, "%s: report on TLS for %s on %s, to <%s>", id, j->domain, j->day,
		to);
}

/* ---- the mail ------------------------------------------------------------------------------ */

/* It has no sender, so that nothing comes back, and goes even where the TLS is at fault. */
static int
write_draft(const struct job *j, struct draft *draft, const struct spool *box, const char *lane,
	const char *to, struct span packed)
{
	const struct conf *conf = j->due->conf;
	const struct envelope env = { .ours = true };
	const struct letter letter = { .what = &j->what, .from = conf->tls_reports.from, .to = to,
		.id = draft->id, .host = conf->who.hostname, .packed = packed };
	auto_buf text = buf_new(0);
	int r = draft_begin(draft, box, &env);
	if (r == 0)
		r = draft_recipient(draft, lane, span_of(to),
			&(struct terms){ .notify = NOTIFY_NEVER });
	if (r == 0)
		r = letter_write(&letter, &text);
	if (r < 0) {
		draft_drop(draft);
		return r;
	}
	draft_leave_free(draft, conf->receive.min_free);
	draft_body(draft, buf_span(&text));
	return draft_commit(draft);
}

/* One mail into the outbox. 0; -EACCES: none may go there; or -errno. */
static int
write_mail(const struct job *j, const struct spool *box, const char *to, struct span packed)
{
	const struct conf *conf = j->due->conf;
	char lane[LANE_NAME_SIZE];
	if (!routes_lane_of(conf, span_of(to), lane) || !submission_may_leave(conf, span_of(to)))
		return -EACCES;
	auto_memory struct draft *draft = calloc(1, sizeof(*draft)); /* 90 KiB */
	if (draft == NULL)
		return -ENOMEM;
	int r = write_draft(j, draft, box, lane, to, packed);
	buf_free(&draft->head);
	if (r == 0)
		tell_queued(j, draft->id, to, lane);
	return r;
}

/* May it go by mail? Without a signature nobody looks at it (RFC 8460 section 3). */
static bool
may_mail(const struct job *j)
{
	if (j->due->conf->dkim.keys != NULL)
		return true;
	tell(j, LOG_WARNING, "not sent by mail, for nobody looks at one that is not signed "
		"(dkim_keys)");
	return false;
}

/* May it be posted? A host for tests sends nothing, and without libcurl nobody can. */
static bool
may_post(const struct job *j)
{
	if (CONF_HAS_FETCH && j->due->conf->submission.guard == NULL)
		return true;
	tell(j, LOG_INFO, CONF_HAS_FETCH ? "not posted, for there is a guard"
					 : "not posted: built without libcurl");
	return false;
}

/* Behind the outbox: what was written for a web server. */
static int
post(void *context, const char *url, struct span packed)
{
	const struct job *j = context;
	const struct due *d = j->due;
	const struct poster poster = { .conf = d->conf, .resolver = d->resolver,
		.starter = d->starter };
	auto_buf why = buf_new(LIMIT_COMMAND), line = buf_new(LIMIT_COMMAND);
	int r = post_report(&poster, url, packed, &why);
	buf_printf(&line, "%s %s%s%.*s",
		r == 0 ? "posted to" : r == -EPERM ? "not posted to" : "not posted now to", url,
		why.n > 0 ? ": " : "", (int)why.n, why.n > 0 ? why.p : "");
	buf_add(&line, (struct span){ "", 1 });
	tell(j, r == 0 ? LOG_INFO : LOG_NOTICE, line.err == 0 ? line.p : url);
	return r == -EPERM ? 0 : r;
}

/* To each place; none of them is left out for the sake of another. 0, or -errno: not now. */
static int
write_all(const struct job *j, const struct spool *box, const struct rua *to, struct span packed)
{
	for (int i = 0; i < to->n; i++) {
		const struct rua_place *p = &to->v[i];
		int r = 0;
		if (p->kind == RUA_POST)
			r = may_post(j) ? outbox_put(box, i, p->text, packed) : 0;
		else if (may_mail(j))
			r = write_mail(j, box, p->text, packed);
		if (r == -EACCES)
			tell(j, LOG_INFO, "no mail may go where it is asked for");
		else if (r < 0)
			return r;
	}
	return 0;
}

/* What was counted becomes mail. 0 or -errno. */
static int
make_report(const struct job *j, const struct rua *to)
{
	struct spool box;
	auto_buf text = buf_new(AGGREGATE_MAX), packed = buf_new(AGGREGATE_MAX);
	int r = aggregate_write(&j->what, j->dir, &text);
	if (r == 0)
		r = aggregate_pack(buf_span(&text), &packed);
	if (r < 0 && r != -ENODATA)
		return r;
	int err = outbox_begin(&box, j->due->spool, j->dir);
	if (err == 0 && r == 0)
		err = write_all(j, &box, to, buf_span(&packed));
	if (err < 0) {
		outbox_forget(&box, j->dir);
		return err;
	}
	return outbox_seal(&box, j->dir);
}

/* ---- one domain ---------------------------------------------------------------------------- */

/* Who wants it? FOUND, TEMPORARY, or another: nobody does. */
static enum answer
look_up(const struct job *j, struct rua *to)
{
	struct txt txt = { .texts = buf_new(0) };
	char name[NAME_SIZE];
	const char *why = "";
	snprintf(name, sizeof(name), "_smtp._tls.%s", j->domain);
	enum answer a = txt_find(j->due->resolver, name, clock_deadline(LOOK_UP), &txt);
	if (a == ANSWER_FOUND && !rua_parse(buf_span(&txt.texts), to, &why)) {
		a = ANSWER_NO_DATA;
		tell(j, LOG_INFO, why);
	}
	buf_free(&txt.texts);
	return a;
}

/* Not before that time; where it stands, a new file of the day would change it: none comes. */
static void
put_off(const struct job *j, int64_t until)
{
	const struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = until } };
	(void)futimens(j->dir, t);
}

static bool
is_put_off(const struct job *j, int64_t *until)
{
	struct stat st;
	*until = fstat(j->dir, &st) == 0 ? (int64_t)st.st_mtime : 0;
	return *until > j->due->now && *until <= j->due->now + DUE_AGAIN;
}

/* 0: it is settled what is sent; else it is tried again. */
static int
decide(const struct job *j)
{
	struct rua to = { .n = 0 };
	enum answer a = look_up(j, &to);
	if (a == ANSWER_TEMPORARY)
		return -EAGAIN;
	if (a != ANSWER_FOUND)
		to.n = 0;
	int r = make_report(j, &to);
	if (r < 0)
		tell(j, LOG_ERR, strerror(-r));
	return r;
}

/* True: nothing is left to do for it. */
static bool
settle_domain(struct due *d, const char *day, int days, const char *domain)
{
	auto_fd dir = openat(days, domain, HOW);
	struct job j = { .due = d, .day = day, .domain = domain, .dir = dir,
		.what = { .day = day, .domain = domain, .organization = d->conf->who.hostname,
			.contact = d->conf->tls_reports.from } };
	if (dir < 0 || !lane_name_valid(span_of(domain)))
		return true; /* none of ours */
	int64_t again, due = due_time(d->conf->who.hostname, domain,
		tally_begin(day) + TALLY_DAY_SECONDS);
	aggregate_name(&j.what, d->conf->who.hostname);
	bool sealed = outbox_is_sealed(dir), early = !sealed && due > d->now;
	if (early || is_put_off(&j, &again)) {
		note_next(d, early ? due : again);
		return false;
	}
	if ((sealed || decide(&j) == 0) && outbox_flush(d->spool, dir, post, &j) == 0)
		return true;
	put_off(&j, d->now + DUE_AGAIN);
	note_next(d, d->now + DUE_AGAIN);
	return false;
}

/* ---- days ---------------------------------------------------------------------------------- */

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

static void
forget_day(const struct due *d, const char *name, int day)
{
	remove_domains(day);
	(void)unlinkat(day, TALLY_DONE, 0);
	(void)unlinkat(d->dir, name, AT_REMOVEDIR);
}

static bool
settle_domains(struct due *d, const char *name, int day)
{
	bool all = true;
	auto_dir domains = dir_open(day);
	if (domains == NULL)
		return false;
	for (const char *domain; (domain = dir_next(domains)) != NULL;)
		if (domain[0] != '.' && domain[0] != '@')
			all = settle_domain(d, name, day, domain) && all;
	return all && errno == 0;
}

static void
do_day(struct due *d, const char *name)
{
	int64_t begin = tally_begin(name), over = begin + TALLY_DAY_SECONDS;
	auto_fd day = begin < 0 ? -1 : openat(d->dir, name, HOW);
	if (day < 0)
		return;
	if (d->now < over + DUE_FIRST)
		note_next(d, over + DUE_FIRST);
	else if (d->now > over + DUE_END)
		forget_day(d, name, day);
	else if (faccessat(day, TALLY_DONE, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
		settle_domains(d, name, day))
		end_day(day);
}

void
due_run(struct due *d)
{
	d->next = d->now - d->now % TALLY_DAY_SECONDS + TALLY_DAY_SECONDS + DUE_FIRST;
	auto_dir days = dir_open(d->dir);
	for (const char *name; days != NULL && (name = dir_next(days)) != NULL;)
		do_day(d, name);
}
