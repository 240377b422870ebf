#include "session/transaction.h"

#include <errno.h>

#include "conf/routes.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/address.h"
#include "mail/alabel.h"
#include "mail/lane_name.h"
#include "mail/match.h"
#include "session/arguments.h"

enum {
	RECEIVED_MAX = 4096,
	HELO_SHOWN = 200, /* octets of a name that has to be escaped: it stands in one line */
	HELD_MAX = 64 * 1024, /* octets of a header; what a longer one needs is not waited for */
};

enum reply
transaction_mail(struct transaction *t, const struct spool *s, const struct conf *conf,
	const struct rights *may, struct span arg, approve_fn *approve, void *ctx)
{
	struct mail_args a;
	char lane[LANE_NAME_SIZE], room[SUBMISSION_SENDER];
	if (t->open)
		return R_NESTED_MAIL;
	enum reply r = arguments_mail(arg, may->offered, clock_wall(), conf->receive.max_hold, &a);
	if (r != R_SENDER_OK)
		return r;
	if (a.sender.whole.n > 0 && lane_name_of(a.sender.domain, lane) < 0)
		return R_MAIL_SYNTAX; /* nobody could be told (S6) */
	if (!match_user_sender(may->senders, a.sender.whole))
		return R_SENDER_DENIED;
	if (a.size > conf->receive.max_size)
		return R_TOO_LARGE;
	if (!spool_has_room(s, a.size > 0 ? a.size : 0, conf->receive.min_free))
		return R_QUEUE_FULL;
	r = approve(ctx, a.sender.whole);
	if (r != R_FINE)
		return r;
	a.env.whole = a.env.ret == RET_FULL && may->any_domain; /* else it could carry spam (E10) */
	a.env.ours = may->any_domain; /* what is only passed on is not signed as ours */
	a.env.bound = may->bound || span_trim(may->senders).n > 0;
	submit_begin(&t->submit, conf, may->submitter, &t->draft);
	a.env.sender = submit_sender(&t->submit, a.sender.whole, room);
	if (draft_begin(&t->draft, s, &a.env) < 0) {
		submit_end(&t->submit);
		return R_QUEUE_ERROR;
	}
	draft_leave_free(&t->draft, conf->receive.min_free);
	snprintf(t->given, sizeof(t->given), "%.*s", (int)a.sender.whole.n, a.sender.whole.p);
	snprintf(t->reverse, sizeof(t->reverse), "%.*s", (int)a.env.sender.n, a.env.sender.p);
	buf_escape_text(t->sender, sizeof(t->sender), a.env.sender);
	submit_plan(&t->submit, span_of(t->reverse));
	t->max_size = conf->receive.max_size;
	t->body = a.env.body;
	t->utf8 = a.env.utf8;
	t->utf8_address = alabel_needs_utf8(a.env.sender);
	t->chunked = false;
	t->open = true;
	return R_SENDER_OK;
}

/*
 * <postmaster>, and postmaster at this host's name, must be taken from every client if it can be
 * (RFC 5321 section 4.5.1): true, and *to is the address that it stands for. Otherwise *to stays as
 * it is.
 */
static bool
find_postmaster(const struct conf *conf, struct address *to)
{
	char room[LIMIT_ADDRESS];
	if (!span_ieq(address_plain(to->local, room), span_of("postmaster")))
		return false;
	if (to->domain.n > 0 && !span_ieq(to->domain, span_of(conf->who.hostname)))
		return false;
	return address_mailbox(span_of(conf->who.postmaster), to) == 0;
}

/* An address that another host may take for a route goes nowhere for a stranger (D8). */
static bool
is_plain(const struct address *to)
{
	for (size_t i = 0; i < to->local.n; i++)
		if (strchr("%!@:", to->local.p[i]) != NULL)
			return false;
	return to->domain.n > 0 && to->domain.p[0] != '[';
}

static bool
may_send_to(const struct conf *conf, const struct rights *may, const struct address *to,
	const char *lane)
{
	return may->any_domain ||
		(is_plain(to) && match_domain(conf->receive.relay_domains, span_of(lane)));
}

enum reply
transaction_rcpt(struct transaction *t, const struct conf *conf, const struct rights *may,
	struct span arg, approve_fn *approve, void *ctx)
{
	struct rcpt_args a;
	char lane[LANE_NAME_SIZE];
	if (!t->open)
		return R_NEED_MAIL;
	if (t->chunked)
		return R_NOT_AFTER_BDAT;
	enum reply r = arguments_rcpt(arg, may->offered, t->utf8, &a);
	if (r != R_RCPT_OK)
		return r;
	struct span given = a.to.whole;
	bool postmaster = find_postmaster(conf, &a.to);
	if (lane_name_of(a.to.domain, lane) < 0)
		return R_RCPT_SYNTAX;
	if (!postmaster && !may_send_to(conf, may, &a.to, lane))
		return R_NO_RELAY;
	if (postmaster && !may->any_domain) {
		if (!routes_reach_postmaster(conf, span_of(t->reverse)))
			return R_NO_POSTMASTER;
		a.terms.notify = NOTIFY_NEVER; /* a report would go to anybody's name (E8) */
	}
	if (t->draft.recipients >= conf->receive.max_recipients)
		return R_TOO_MANY_RCPT; /* without asking a program of the site */
	r = approve(ctx, a.to.whole);
	if (r != R_FINE)
		return r;
	routes_lane(conf, span_of(t->reverse), lane);
	bool first = t->draft.recipients == 0;
	r = submit_recipient(&t->submit, &a.to, lane, &a.terms);
	if (r != R_RCPT_OK)
		return r;
	t->utf8_address = t->utf8_address || t->submit.utf8_address || alabel_needs_utf8(given);
	if (first) {
		char room[ALABEL_ADDRESS];
		given = alabel_address(given, room);
		snprintf(t->recipient, sizeof(t->recipient), "%.*s", (int)given.n, given.p);
	}
	return R_RCPT_OK;
}

enum reply
transaction_ready(const struct transaction *t, bool chunked)
{
	if (!t->open)
		return R_NEED_MAIL;
	if (t->draft.recipients == 0)
		return R_NEED_RCPT;
	if (chunked)
		return R_START_DATA;
	if (t->chunked)
		return R_NOT_AFTER_BDAT;
	return t->body == BODY_BINARYMIME ? R_BINARY_NEEDS_BDAT : R_START_DATA;
}

/* What a client calls itself, as a comment of a field: escaped, and so are its parentheses. */
static void
put_comment(struct buf *b, struct span name)
{
	size_t n = name.n < HELO_SHOWN ? name.n : HELO_SHOWN;
	buf_puts(b, "(helo=");
	for (size_t i = 0; i < n; i++) {
		if (name.p[i] == '(' || name.p[i] == ')')
			buf_puts(b, "\\");
		buf_escape(b, (struct span){ &name.p[i], 1 }, 1);
	}
	buf_puts(b, n < name.n ? "...)" : ")");
}

/* "from NAME (ADDRESS)"; where the client's name cannot stand in a field, its address does. */
static void
put_client(struct buf *b, const struct trace *trace)
{
	struct span name = span_of(trace->helo);
	const char *known = trace->user[0] != '\0' ? trace->user : trace->peer;
	if (address_is_helo(name)) {
		buf_printf(b, "from %s", trace->helo);
		if (known != NULL)
			buf_printf(b, " (%s)", known);
		return;
	}
	buf_printf(b, "from %s ", trace->peer != NULL ? trace->peer : "localhost");
	if (trace->user[0] != '\0')
		buf_printf(b, "(%s) ", trace->user);
	put_comment(b, name);
}

/* The one field that is added. FOR only with one recipient: others would be shown to each other. */
static void
add_received(struct transaction *t)
{
	const struct trace *trace = &t->trace;
	bool utf8 = t->utf8_address || (t->utf8 && t->eightbit.found);
	char date[CLOCK_DATE_SIZE];
	clock_date(clock_wall(), date);
	auto_buf b = buf_new(RECEIVED_MAX);
	buf_puts(&b, "Received: ");
	put_client(&b, trace);
	buf_printf(&b, "\r\n\tby %s with %s id %s", trace->hostname,
		utf8 ? trace->with_utf8 : trace->with, t->draft.id);
	if (t->draft.recipients == 1)
		buf_printf(&b, "\r\n\tfor <%s>", t->recipient);
	if (trace->cipher != NULL)
		buf_printf(&b, "\r\n\ttls %s", trace->cipher);
	buf_printf(&b, ";\r\n\t%s\r\n", date);
	draft_body(&t->draft, buf_span(&b));
	draft_body(&t->draft, buf_span(&t->submit.originals));
}

/* Our field, and behind it what was held. */
static void
release(struct transaction *t)
{
	if (t->traced)
		return;
	add_received(t);
	draft_body(&t->draft, buf_span(&t->held));
	buf_free(&t->held);
	t->traced = true;
}

/* Is it known by now whether SMTPUTF8 was needed, and not only said? */
static bool
need_is_known(const struct transaction *t)
{
	return !t->utf8 || t->utf8_address || t->eightbit.found || t->eightbit.over;
}

/*
 * Keeps octets of a message whose header is as it is to be. Our field comes before the first of
 * them and tells whether SMTPUTF8 was needed, so a header is held back while that is not known.
 */
static void
keep(void *ctx, struct span piece)
{
	struct transaction *t = ctx;
	if (!t->traced && !need_is_known(t)) {
		buf_add(&t->held, piece);
		if (t->held.err == 0)
			return;
	}
	release(t);
	draft_body(&t->draft, piece);
}

void
transaction_start_data(struct transaction *t, const struct trace *trace, bool chunked,
	bool lenient)
{
	t->chunked = chunked;
	t->chunk = (struct chunk){ 0 };
	t->dot = dot_new(lenient);
	t->folded = false;
	t->header = (struct header){ 0 };
	t->hops = 0;
	t->eightbit = (struct eightbit){ 0 };
	message_id_begin(&t->message_id);
	t->held = buf_new(HELD_MAX);
	t->trace = *trace;
	t->traced = false;
	t->size = 0;
	if (t->submit.rewrites) {
		struct rewrite_plan plan = t->submit.rewrite.plan;
		plan.now = clock_wall();
		rewrite_begin(&t->submit.rewrite, &plan, keep, t);
	}
}

/* R_QUEUED while nothing speaks against the data. */
static enum reply
judge(const struct transaction *t)
{
	if (t->dot.bare)
		return R_BARE_IN_DATA;
	if (t->dot.nul)
		return R_NUL_IN_DATA;
	if (t->body != BODY_BINARYMIME && (t->chunk.bare || t->chunk.nul))
		return R_BARE_IN_CHUNK;
	if (t->folded)
		return R_BEGINS_FOLDED;
	if (t->size > t->max_size)
		return R_TOO_LARGE;
	return t->hops > LIMIT_HOPS ? R_TOO_MANY_HOPS : R_QUEUED;
}

static void
hear(struct transaction *t, const struct header_part *part)
{
	hops_hear(&t->hops, part);
	message_id_hear(&t->message_id, part);
	if (t->utf8)
		eightbit_hear(&t->eightbit, part);
	if (t->submit.rewrites)
		rewrite_hear(&t->submit.rewrite, part);
}

static void
take_piece(void *ctx, struct span piece)
{
	struct transaction *t = ctx;
	struct span text = piece;
	if (t->size == 0 && piece.n > 0)
		t->folded = header_is_blank(piece.p[0]);
	t->size += (int64_t)piece.n;
	if (judge(t) != R_QUEUED)
		return;
	for (struct header_part part; !t->header.over && header_next(&t->header, &text, &part);)
		hear(t, &part);
	if (!t->submit.rewrites)
		keep(t, piece);
	else if (text.n > 0)
		keep(t, text);
}

enum dot_result
transaction_data(struct transaction *t, struct span in, size_t *used)
{
	return dot_read(&t->dot, in, used, take_piece, t);
}

/* What is said when the spool fails. */
static enum reply
spool_failed(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG ? R_QUEUE_FULL : R_QUEUE_ERROR;
}

enum reply
transaction_chunk(struct transaction *t, struct span in)
{
	chunk_feed(&t->chunk, in);
	take_piece(t, in);
	enum reply r = judge(t);
	if (r != R_QUEUED)
		return r;
	return t->draft.err < 0 ? spool_failed(t->draft.err) : R_CHUNK_OK;
}

enum reply
transaction_finish(struct transaction *t, int *err)
{
	*err = 0;
	chunk_end(&t->chunk);
	enum reply r = judge(t);
	if (r != R_QUEUED)
		return r;
	struct header_part last = header_end(&t->header);
	hear(t, &last);
	release(t);
	*err = draft_commit(&t->draft);
	return *err == 0 ? R_QUEUED : spool_failed(*err);
}

void
transaction_message_id(const struct transaction *t, char out[static MESSAGE_ID_TEXT])
{
	if ((submit_added(&t->submit) & REWRITE_MESSAGE_ID) != 0)
		snprintf(out, MESSAGE_ID_TEXT, "%s@%s", t->draft.id, t->trace.hostname);
	else
		message_id_text(&t->message_id, out);
}

void
transaction_init(struct transaction *t)
{
	t->draft.fd = -1; /* not read before it was written, which would cost that page twice */
}

void
transaction_drop(struct transaction *t)
{
	draft_drop(&t->draft);
	buf_free(&t->held);
	submit_end(&t->submit);
	t->open = false;
}

void
transaction_wipe(struct transaction *t)
{
	transaction_drop(t);
	draft_wipe(&t->draft);
	explicit_bzero(t, offsetof(struct transaction, draft));
}
