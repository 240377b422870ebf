#include "report/dsn.h"

#include <errno.h>

#include "conf/routes.h"
#include "lib/cleanup.h"
#include "mail/address.h"
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

/* The mailbox that the report is for: the sender, or double_bounce; empty: there is none. */
static struct span
reader(const struct message *m, const struct conf *conf)
{
	if (m->env.sender.n > 0)
		return m->env.sender;
	return conf->relay.double_bounce != NULL ? span_of(conf->relay.double_bounce) : span_of("");
}

int
dsn_queue(const struct message *m, const struct spool *s, const struct conf *conf, bool waiting,
	char id[static ID_SIZE])
{
	static struct draft draft; /* large, and there is one report at a time */
	char room[ALABEL_ADDRESS];
	struct report report = { .m = m, .conf = conf, .id = draft.id,
		.to = alabel_address(reader(m, conf), room),
		.double_bounce = m->env.sender.n == 0, .waiting = waiting };
	struct envelope env = { .sender = { "", 0 }, .utf8 = !span_is_ascii(report.to),
		.require_tls = m->env.require_tls };
	struct address to;
	char lane[LANE_NAME_SIZE];
	if (!says_anything(&report) || address_mailbox(report.to, &to) < 0 ||
		lane_name_of(to.domain, lane) < 0)
		return -ENOENT;
	routes_lane(conf, env.sender, lane);

	auto_buf text = buf_new(0);
	int r = draft_begin(&draft, s, &env);
	if (r == 0)
		r = draft_recipient(&draft, lane, report.to, &(struct terms){ 0 });
	if (r == 0)
		r = report_write(&report, &text);
	if (r < 0) {
		draft_drop(&draft);
		return r;
	}
	draft_body(&draft, buf_span(&text));
	r = draft_commit(&draft);
	if (r == 0)
		memcpy(id, draft.id, ID_SIZE);
	return r;
}
