#include "tlsreport/make.h"

#include <errno.h>
#include <stdlib.h>

#include "conf/routes.h"
#include "conf/submission.h"
#include "lib/cleanup.h"
#include "process/log.h"
#include "queue/draft.h"
#include "tlsreport/letter.h"
#include "tlsreport/outbox.h"

/* ---- saying so ----------------------------------------------------------------------------- */

static void
tell_queued(const struct subject *s, const char *id, const char *to, const char *lane)
{
	struct log_fields f = { .event = "tls_report", .queue_id = id, .recipient = to,
		.lane = lane };
	log_event(LOG_INFO, &f, "%s: report on TLS for %s on %s, to <%s>", id, s->domain, s->day,
		to);
}

/* ---- the mail ------------------------------------------------------------------------------ */

/* It has no sender, so that nothing comes back, and goes even where the TLS is at fault. */
static int
write_draft(const struct subject *s, struct draft *draft, const struct spool *box, const char *lane,
	const char *to, struct span packed)
{
	const struct conf *conf = s->conf;
	const struct envelope env = { .ours = true };
	const struct letter letter = { .what = &s->what, .from = conf->tls_reports.from, .to = to,
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

/* One mail into the outbox, if any may go there. 0 or -errno. */
static int
write_mail(const struct subject *s, const struct spool *box, const char *to, struct span packed)
{
	const struct conf *conf = s->conf;
	char lane[LANE_NAME_SIZE];
	if (!routes_lane_of(conf, span_of(to), lane) || !routes_open_to(conf, span_of(to)) ||
		!submission_may_leave(conf, span_of(to))) {
		subject_tell(s, LOG_INFO, "no mail may go where it is asked for");
		return 0;
	}
	auto_memory struct draft *draft = calloc(1, sizeof(*draft)); /* 90 KiB */
	if (draft == NULL)
		return -ENOMEM;
	int r = write_draft(s, draft, box, lane, to, packed);
	buf_free(&draft->head);
	if (r == 0)
		tell_queued(s, draft->id, to, lane);
	return r;
}

/* Why not by mail? Without a signature nobody looks at it (RFC 8460 section 3). NULL: it may. */
static const char *
trouble_with_mail(const struct subject *s)
{
	if (s->is_signed)
		return NULL;
	return "not sent by mail, for nobody looks at one that is not signed (dkim_keys)";
}

/* Why is none posted? A host for tests sends nothing, and without libcurl nobody can. */
static const char *
trouble_with_posts(const struct conf *c)
{
	if (!CONF_HAS_FETCH)
		return "not posted: built without libcurl";
	return c->submission.guard != NULL ? "not posted, for there is a guard" : NULL;
}

static int
put_post(const struct subject *s, const struct spool *box, int n, const char *url,
	struct span packed)
{
	if (!spool_has_room(box, (int64_t)packed.n, s->conf->receive.min_free))
		return -ENOSPC;
	return outbox_put(box, n, url, packed);
}

/* To the n-th place, unless it may not go there, which is told. 0, or -errno: not now. */
static int
write_one(const struct subject *s, const struct spool *box, int n, const struct rua_place *to,
	struct span packed)
{
	bool mail = to->kind == RUA_MAIL;
	const char *trouble = mail ? trouble_with_mail(s) : trouble_with_posts(s->conf);
	if (trouble != NULL) {
		subject_tell(s, mail ? LOG_WARNING : LOG_INFO, trouble);
		return 0;
	}
	return mail ? write_mail(s, box, to->text, packed) : put_post(s, box, n, to->text, packed);
}

/* To each place; none of them is left out for the sake of another. 0, or -errno: not now. */
static int
write_all(const struct subject *s, const struct spool *box, const struct rua *to,
	struct span packed)
{
	int r = 0;
	for (int i = 0; i < to->n && r == 0; i++)
		r = write_one(s, box, i, &to->v[i], packed);
	return r;
}

/* The report, packed. 0, -ENODATA: nothing was counted; or -errno. */
static int
aggregate(const struct subject *s, struct buf *packed)
{
	auto_buf text = buf_new(AGGREGATE_MAX);
	int r = aggregate_write(&s->what, s->dir, &text);
	return r < 0 ? r : aggregate_pack(buf_span(&text), packed);
}

int
make_reports(const struct subject *s, const struct rua *to, int64_t again)
{
	struct spool box;
	auto_buf packed = buf_new(AGGREGATE_MAX);
	int r = to->n > 0 ? aggregate(s, &packed) : -ENODATA;
	if (r < 0 && r != -ENODATA)
		return r;
	int err = outbox_begin(&box, s->spool, s->dir);
	if (err < 0)
		return err;
	subject_put_off(s, again);
	if (r == 0)
		err = write_all(s, &box, to, buf_span(&packed));
	if (err == 0)
		return outbox_seal(&box, s->dir);
	outbox_forget(&box, s->dir);
	subject_put_off(s, again);
	return err;
}
