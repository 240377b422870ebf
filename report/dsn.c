#include "report/dsn.h"

#include <errno.h>

#include "conf/routes.h"
#include "conf/submission.h"
#include "lib/cleanup.h"
#include "mail/alabel.h"
#include "mail/lane_name.h"
#include "queue/draft.h"
#include "report/report.h"
#include "report/shorter.h"

static bool
says_anything(const struct report *r)
{
	for (int i = 0; i < r->m->n; i++)
		if (report_kind(r, &r->m->rcpt[i]) != REPORT_NOTHING)
			return true;
	return false;
}

/* Queues a report, with the id it has; `again`: that one, but shorter. 0, NOT_WHOLE or -errno. */
static int
queue(const struct report *report, bool again, const struct spool *s, const char *lane,
	struct draft *draft)
{
	struct envelope env = { .sender = { "", 0 }, .utf8 = !span_is_ascii(report->to),
		.require_tls = report->m->env.require_tls, .ours = true };
	auto_buf text = buf_new(0);
	int r = draft_begin(draft, s, &env);
	if (r == 0)
		r = draft_recipient(draft, lane, report->to, &(struct terms){ 0 });
	if (r == 0)
		r = again ? shorter_write(report->m, &text) : report_write(report, &text);
	if (r != 0) {
		draft_drop(draft);
		return r;
	}
	draft_body(draft, buf_span(&text));
	return draft_commit(draft);
}

/* It is a report that failed for what it gives back: DSN_SHORTER; or DSN_NOBODY; or -errno. */
static int
queue_shorter(struct report *report, const struct spool *s, char lane[static LANE_NAME_SIZE],
	struct draft *draft)
{
	if (!shorter_may_help(report->m))
		return DSN_NOBODY;
	report->to = report->m->rcpt[0].address;
	if (!routes_lane_of(report->conf, report->to, lane) ||
		!submission_may_leave(report->conf, report->to))
		return DSN_NOBODY;
	int r = queue(report, true, s, lane, draft);
	return r == 0 ? DSN_SHORTER : r == NOT_WHOLE ? DSN_NOBODY : r;
}

/* A report to the sender, or to double_bounce. One of enum dsn or -errno. */
static int
queue_report(struct report *report, const struct spool *s, char lane[static LANE_NAME_SIZE],
	struct draft *draft)
{
	const struct conf *conf = report->conf;
	const char *other = conf->relay.double_bounce;
	char room[ALABEL_ADDRESS];
	report->to = report->m->env.sender;
	bool reachable = routes_lane_of(conf, report->to, lane);
	if (!reachable) {
		report->double_bounce = true;
		report->to = span_of(other != NULL ? other : "");
		reachable = routes_lane_of(conf, report->to, lane);
	}
	if (!says_anything(report))
		return report->double_bounce ? DSN_NOBODY : DSN_NOTHING;
	if (!reachable || !submission_may_leave(conf, report->to))
		return DSN_NOBODY;
	report->to = alabel_address(report->to, room);
	int r = queue(report, false, s, lane, draft);
	return r < 0 ? r : report->double_bounce ? DSN_DOUBLE_BOUNCE : DSN_SENDER;
}

int
dsn_queue(const struct message *m, const struct spool *s, const struct conf *conf, bool waiting,
	char id[static ID_SIZE], char lane[static LANE_NAME_SIZE])
{
	auto_memory struct draft *draft = calloc(1, sizeof(*draft)); /* 90 KiB */
	if (draft == NULL)
		return -ENOMEM;
	struct report report = { .m = m, .conf = conf, .id = draft->id, .waiting = waiting };
	int told = queue_shorter(&report, s, lane, draft);
	if (told == DSN_NOBODY)
		told = queue_report(&report, s, lane, draft);
	buf_free(&draft->head);
	if (dsn_reader(told) != NULL)
		memcpy(id, draft->id, ID_SIZE);
	return told;
}

const char *
dsn_reader(int told)
{
	switch (told) {
	case DSN_SENDER:
		return "sender";
	case DSN_DOUBLE_BOUNCE:
		return "double_bounce";
	case DSN_SHORTER:
		return "the reader of the report";
	default:
		return NULL;
	}
}
