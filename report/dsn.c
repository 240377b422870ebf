#include "report/dsn.h"

#include <errno.h>

#include "conf/routes.h"
#include "conf/submission.h"
#include "lib/cleanup.h"
#include "mail/alabel.h"
#include "mail/lane_name.h"
#include "queue/draft.h"
#include "report/report.h"

static bool
says_anything(const struct report *r)
{
	for (int i = 0; i < r->m->n; i++)
		if (report_kind(r, &r->m->rcpt[i]) != REPORT_NOTHING)
			return true;
	return false;
}

/* Queues the report, with the id it has. 0 or -errno. */
static int
queue(const struct report *report, const struct spool *s, const char *lane, struct draft *draft)
{
	struct envelope env = { .sender = { "", 0 }, .utf8 = !span_is_ascii(report->to),
		.require_tls = report->m->env.require_tls, .ours = true };
	auto_buf text = buf_new(0);
	int r = draft_begin(draft, s, &env);
	if (r == 0)
		r = draft_recipient(draft, lane, report->to, &(struct terms){ 0 });
	if (r == 0)
		r = report_write(report, &text);
	if (r < 0) {
		draft_drop(draft);
		return r;
	}
	draft_body(draft, buf_span(&text));
	return draft_commit(draft);
}

int
dsn_queue(const struct message *m, const struct spool *s, const struct conf *conf, bool waiting,
	char id[static ID_SIZE], char lane[static LANE_NAME_SIZE])
{
	auto_memory struct draft *draft = calloc(1, sizeof(*draft)); /* 90 KiB */
	const char *other = conf->relay.double_bounce;
	char room[ALABEL_ADDRESS];
	if (draft == NULL)
		return -ENOMEM;
	struct report report = { .m = m, .conf = conf, .id = draft->id, .to = m->env.sender,
		.waiting = waiting };
	bool reachable = routes_lane_of(conf, report.to, lane);
	if (!reachable) {
		report.double_bounce = true;
		report.to = span_of(other != NULL ? other : "");
		reachable = routes_lane_of(conf, report.to, lane);
	}
	if (!says_anything(&report))
		return report.double_bounce ? DSN_NOBODY : DSN_NOTHING;
	if (!reachable || !submission_may_leave(conf, report.to))
		return DSN_NOBODY;
	report.to = alabel_address(report.to, room);
	int r = queue(&report, s, lane, draft);
	buf_free(&draft->head);
	if (r < 0)
		return r;
	memcpy(id, draft->id, ID_SIZE);
	return report.double_bounce ? DSN_DOUBLE_BOUNCE : DSN_SENDER;
}
