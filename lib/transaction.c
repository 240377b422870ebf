#include "transaction.h"

#include <errno.h>

#include "cleanup.h"
#include "clock.h"
#include "command.h"
#include "users.h"

enum { RECEIVED_MAX = 4096 };

enum reply
transaction_mail(struct transaction *t, const struct spool *s, const struct conf *conf,
	const struct rights *may, struct span arg)
{
	struct mail_args a;
	if (t->open)
		return R_NESTED_MAIL;
	enum reply r = command_mail(arg, &a);
	if (r != R_SENDER_OK)
		return r;
	if (!users_may_send(may->senders, a.sender.whole))
		return R_SENDER_DENIED;
	if (a.size > conf->max_size)
		return R_TOO_LARGE;
	if (draft_begin(&t->draft, s, a.sender.whole, a.eightbit) < 0)
		return R_QUEUE_ERROR;
	escape_text(t->sender, sizeof(t->sender), a.sender.whole);
	t->max_size = conf->max_size;
	t->open = true;
	return R_SENDER_OK;
}

/*
 * <postmaster>, and postmaster at our own name, is somebody here (RFC 5321 section 4.5.1). The
 * address it stands for, or the one given; true if anybody may write to it.
 */
static bool
find_postmaster(const struct conf *conf, struct address *to)
{
	if (!span_ieq(to->local, span_of("postmaster")))
		return false;
	if (to->domain.n > 0 && !span_ieq(to->domain, span_of(conf->hostname)))
		return false;
	return address_mailbox(span_of(conf->postmaster), to) == 0;
}

enum reply
transaction_rcpt(struct transaction *t, const struct conf *conf, const struct rights *may,
	struct span arg)
{
	struct address to;
	char lane[LANE_NAME_SIZE];
	if (!t->open)
		return R_NEED_MAIL;
	enum reply r = command_rcpt(arg, &to);
	if (r != R_RCPT_OK)
		return r;
	if (!find_postmaster(conf, &to) && !may->any_domain)
		return R_NO_RELAY;
	if (address_lane(to.domain, lane) < 0)
		return R_RCPT_SYNTAX;
	if (t->draft.recipients >= conf->max_recipients ||
		draft_recipient(&t->draft, lane, to.whole) < 0)
		return R_TOO_MANY_RCPT;
	if (t->draft.recipients == 1)
		snprintf(t->recipient, sizeof(t->recipient), "%.*s", (int)to.whole.n, to.whole.p);
	return R_RCPT_OK;
}

enum reply
transaction_ready(const struct transaction *t)
{
	if (!t->open)
		return R_NEED_MAIL;
	return t->draft.recipients > 0 ? R_START_DATA : R_NEED_RCPT;
}

/* The one field we add. FOR only when it gives nobody else away. */
static void
add_received(struct transaction *t, const struct trace *trace)
{
	char date[CLOCK_DATE_SIZE];
	clock_date(clock_wall(), date);
	auto_buf b = buf_new(RECEIVED_MAX);
	buf_printf(&b, "Received: from %s", trace->helo);
	if (trace->peer != NULL)
		buf_printf(&b, " (%s)", trace->peer);
	buf_printf(&b, "\r\n\tby %s with %s id %s", trace->hostname, trace->with, t->draft.id);
	if (t->draft.recipients == 1)
		buf_printf(&b, "\r\n\tfor <%s>", t->recipient);
	if (trace->cipher != NULL)
		buf_printf(&b, "\r\n\ttls %s", trace->cipher);
	buf_printf(&b, ";\r\n\t%s\r\n", date);
	draft_body(&t->draft, buf_span(&b));
}

void
transaction_start_data(struct transaction *t, const struct trace *trace, bool lenient)
{
	t->dot = dot_new(lenient);
	t->hops = (struct hops){ 0 };
	t->size = 0;
	add_received(t, trace);
}

/* R_QUEUED while nothing speaks against the data. */
static enum reply
judge(const struct transaction *t)
{
	if (t->dot.bare)
		return R_BARE_IN_DATA;
	if (t->dot.nul)
		return R_NUL_IN_DATA;
	if (t->size > t->max_size)
		return R_TOO_LARGE;
	return t->hops.received > LIMIT_HOPS ? R_TOO_MANY_HOPS : R_QUEUED;
}

static void
take_piece(void *ctx, struct span piece)
{
	struct transaction *t = ctx;
	t->size += (int64_t)piece.n;
	if (!t->hops.body)
		hops_feed(&t->hops, piece);
	if (judge(t) == R_QUEUED)
		draft_body(&t->draft, piece);
}

enum dot_result
transaction_data(struct transaction *t, struct span in, size_t *used)
{
	return dot_read(&t->dot, in, used, take_piece, t);
}

enum reply
transaction_finish(struct transaction *t, int *err)
{
	*err = 0;
	enum reply r = judge(t);
	if (r != R_QUEUED)
		return r;
	*err = draft_commit(&t->draft);
	if (*err == 0)
		return R_QUEUED;
	return *err == -ENOSPC || *err == -EDQUOT || *err == -EFBIG ? R_QUEUE_FULL : R_QUEUE_ERROR;
}

void
transaction_drop(struct transaction *t)
{
	draft_drop(&t->draft);
	t->open = false;
}
