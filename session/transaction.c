#include "session/transaction.h"

#include <errno.h>

#include "conf/guard.h"
#include "conf/routes.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/address.h"
#include "mail/alabel.h"
#include "mail/lane_name.h"
#include "mail/match.h"
#include "mail/xtext.h"
#include "session/arguments.h"

enum {
	RECEIVED_MAX = 4096,
	HELO_SHOWN = 200, /* octets of a name that has to be escaped: it stands in one line */
	HELD_MAX = 64 * 1024, /* octets of a header; what a longer one needs is not waited for */
	ORCPT_MOST = 500,     /* RFC 3461 section 4.2 */
};

/* Begins what the log says of an address. */
static void
note(struct transaction *t, const char *what, struct span was)
{
	buf_printf(&t->changes, "%s%s <", t->changes.n > 0 ? "; " : "", what);
	buf_escape(&t->changes, was, LIMIT_ADDRESS);
	buf_puts(&t->changes, "> became");
}

static void
note_new(struct transaction *t, struct span address)
{
	buf_puts(&t->changes, " <");
	buf_escape(&t->changes, address, LIMIT_ADDRESS);
	buf_puts(&t->changes, ">");
}

/* The sender in the envelope, which is not the one that was given if that is rewritten. */
static struct span
settle_sender(struct transaction *t, const struct conf *conf, const struct rights *may,
	struct span given, char room[static SUBMISSION_SENDER])
{
	if (may->submitter == 0)
		return given;
	struct span sender = submission_sender(conf, given, room);
	if (!span_eq(sender, given)) {
		note(t, "sender", given);
		note_new(t, sender);
	}
	return sender;
}

/* What is to be done to the header of this client's mail. */
static void
plan_header(struct transaction *t, const struct conf *conf, const struct rights *may)
{
	t->rewrites = false;
	if (may->submitter == 0)
		return;
	t->rewrite.plan = submission_plan(conf, may->submitter);
	t->rewrite.plan.id = t->draft.id;
	t->rewrite.plan.from = span_of(t->reverse);
	t->rewrites = rewrite_needed(&t->rewrite.plan);
}

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
	t->changes = buf_new(TRANSACTION_CHANGES);
	t->originals = buf_new(TRANSACTION_ORIGINALS);
	a.env.sender = settle_sender(t, conf, may, a.sender.whole, room);
	if (draft_begin(&t->draft, s, &a.env) < 0) {
		buf_free(&t->changes);
		return R_QUEUE_ERROR;
	}
	draft_leave_free(&t->draft, conf->receive.min_free);
	snprintf(t->reverse, sizeof(t->reverse), "%.*s", (int)a.env.sender.n, a.env.sender.p);
	buf_escape_text(t->sender, sizeof(t->sender), a.env.sender);
	plan_header(t, conf, may);
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
	if (!span_ieq(to->local, span_of("postmaster")))
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

/* One of the addresses that mail for a recipient goes to. */
static int
add_recipient(struct transaction *t, const struct conf *conf, struct span address,
	const struct terms *terms)
{
	char lane[LANE_NAME_SIZE];
	struct address a;
	if (address_mailbox(address, &a) < 0 || lane_name_of(a.domain, lane) < 0)
		return -EINVAL;
	routes_lane(conf, span_of(t->reverse), lane);
	if (draft_has(&t->draft, lane, address))
		return 0; /* two that are now one */
	t->utf8_address = t->utf8_address || alabel_needs_utf8(address);
	return draft_recipient(&t->draft, lane, address, terms);
}

/* For whom is told what became of it: the recipient as it was given, where the client says none. */
static void
name_original(struct span given, struct terms *terms, struct buf *orcpt)
{
	if (terms->orcpt.n > 0 || !span_is_ascii(given))
		return;
	buf_puts(orcpt, "rfc822;");
	xtext_encode(orcpt, given);
	if (orcpt->err == 0)
		terms->orcpt = buf_span(orcpt);
}

/* ... and for who looks at a message that guard sent elsewhere. */
static void
show_original(struct transaction *t, struct span given)
{
	char line[sizeof("X-Original-To: \r\n") + ALABEL_ADDRESS], room[ALABEL_ADDRESS];
	given = alabel_address(given, room);
	snprintf(line, sizeof(line), "X-Original-To: %.*s\r\n", (int)given.n, given.p);
	buf_puts(&t->originals, line);
}

/* The addresses, each with LF, that get the mail of one recipient: all of them, or none. */
static enum reply
add_others(struct transaction *t, const struct conf *conf, struct span given, struct span others,
	struct terms *terms)
{
	struct draft_mark before = draft_mark(&t->draft);
	size_t told = t->changes.n;
	auto_buf orcpt = buf_new(ORCPT_MOST);
	int r = 0;
	name_original(given, terms, &orcpt);
	note(t, "recipient", given);
	while (others.n > 0 && r == 0) {
		struct span to = span_cut(&others, '\n');
		r = add_recipient(t, conf, to, terms);
		if (r == 0 && t->draft.recipients > conf->receive.max_recipients)
			r = -E2BIG;
		note_new(t, to);
	}
	if (r < 0) {
		draft_return(&t->draft, &before);
		t->changes.n = told;
		return r == -EINVAL ? R_RCPT_SYNTAX : R_TOO_MANY_RCPT;
	}
	if (submission_redirects(conf))
		show_original(t, given);
	return R_RCPT_OK;
}

/* Where the mail goes: that of one of our own clients may go elsewhere, or nowhere. */
static enum reply
settle_recipient(struct transaction *t, const struct conf *conf, const struct rights *may,
	const struct address *to, const char *lane, struct terms *terms)
{
	auto_buf others = buf_new(SUBMISSION_RECIPIENTS);
	enum submission_verdict v = SUBMISSION_AS_GIVEN;
	if (may->submitter != 0)
		v = submission_recipients(conf, to, &others);
	if (may->submitter != 0 && !submission_may_report(conf, span_of(t->reverse)))
		terms->notify = NOTIFY_NEVER; /* a report is mail, too */
	switch (v) {
	case SUBMISSION_SUNK:
		lane = LANE_ROUTE GUARD_ROUTE;
		break;
	case SUBMISSION_GUARDED:
		return R_GUARDED;
	case SUBMISSION_TOO_LONG:
		return R_RCPT_SYNTAX;
	case SUBMISSION_ELSEWHERE:
		return add_others(t, conf, to->whole, buf_span(&others), terms);
	default:
		break;
	}
	return draft_recipient(&t->draft, lane, to->whole, terms) < 0 ? R_TOO_MANY_RCPT : R_RCPT_OK;
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
	r = settle_recipient(t, conf, may, &a.to, lane, &a.terms);
	if (r != R_RCPT_OK)
		return r;
	t->utf8_address = t->utf8_address || alabel_needs_utf8(given);
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
	bool utf8 = t->utf8_address || (t->utf8 && t->header.eightbit);
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
	draft_body(&t->draft, buf_span(&t->originals));
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
	return !t->utf8 || t->utf8_address || t->header.eightbit || t->header.over;
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
	t->hops = (struct hops){ 0 };
	t->folded = false;
	t->header = (struct header){ 0 };
	t->held = buf_new(HELD_MAX);
	t->trace = *trace;
	t->traced = false;
	t->size = 0;
	if (t->rewrites) {
		struct rewrite_plan plan = t->rewrite.plan;
		plan.now = clock_wall();
		rewrite_begin(&t->rewrite, &plan, keep, t);
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
	return t->hops.received > LIMIT_HOPS ? R_TOO_MANY_HOPS : R_QUEUED;
}

static void
take_piece(void *ctx, struct span piece)
{
	struct transaction *t = ctx;
	if (t->size == 0 && piece.n > 0)
		t->folded = piece.p[0] == ' ' || piece.p[0] == '\t';
	t->size += (int64_t)piece.n;
	if (!t->hops.body)
		hops_feed(&t->hops, piece);
	header_feed(&t->header, piece);
	if (judge(t) != R_QUEUED)
		return;
	if (t->rewrites)
		rewrite_feed(&t->rewrite, piece);
	else
		keep(t, piece);
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
	if (t->rewrites)
		rewrite_end(&t->rewrite);
	release(t);
	*err = draft_commit(&t->draft);
	return *err == 0 ? R_QUEUED : spool_failed(*err);
}

void
transaction_changes(const struct transaction *t, struct buf *out)
{
	struct span header = t->rewrites ? rewrite_changes(&t->rewrite) : (struct span){ 0 };
	buf_add(out, buf_span(&t->changes));
	buf_puts(out, t->changes.n > 0 && header.n > 0 ? "; " : "");
	buf_add(out, header);
}

unsigned
transaction_added(const struct transaction *t)
{
	return t->rewrites ? t->rewrite.added : 0;
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
	buf_free(&t->changes);
	buf_free(&t->originals);
	rewrite_free(&t->rewrite);
	t->open = false;
}

void
transaction_wipe(struct transaction *t)
{
	transaction_drop(t);
	draft_wipe(&t->draft);
	explicit_bzero(t, offsetof(struct transaction, draft));
}
