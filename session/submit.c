#include "session/submit.h"

#include <errno.h>
#include <stdio.h>

#include "conf/guard.h"
#include "conf/routes.h"
#include "lib/cleanup.h"
#include "mail/alabel.h"
#include "mail/lane_name.h"
#include "mail/xtext.h"

enum { ORCPT_MOST = 500 }; /* RFC 3461 section 4.2 */

void
submit_begin(struct submit *s, const struct conf *conf, unsigned submitter, struct draft *draft)
{
	s->conf = conf;
	s->submitter = submitter;
	s->draft = draft;
	s->utf8_address = s->rewrites = false;
	s->changes = buf_new(SUBMIT_CHANGES);
	s->originals = buf_new(SUBMIT_ORIGINALS);
}

/* Begins what the log says of an address. */
static void
note(struct submit *s, const char *what, struct span was)
{
	buf_printf(&s->changes, "%s%s <", s->changes.n > 0 ? "; " : "", what);
	buf_escape(&s->changes, was, LIMIT_ADDRESS);
	buf_puts(&s->changes, "> became");
}

static void
note_new(struct submit *s, struct span address)
{
	buf_puts(&s->changes, " <");
	buf_escape(&s->changes, address, LIMIT_ADDRESS);
	buf_puts(&s->changes, ">");
}

struct span
submit_sender(struct submit *s, struct span given, char room[static SUBMISSION_SENDER])
{
	if (s->submitter == 0)
		return given;
	struct span sender = submission_sender(s->conf, given, room);
	if (!span_eq(sender, given)) {
		note(s, "sender", given);
		note_new(s, sender);
	}
	return sender;
}

void
submit_plan(struct submit *s, struct span sender)
{
	s->sender = sender;
	if (s->submitter == 0)
		return;
	s->rewrite.plan = submission_plan(s->conf, s->submitter);
	s->rewrite.plan.id = s->draft->id;
	s->rewrite.plan.from = sender;
	s->rewrites = rewrite_needed(&s->rewrite.plan);
}

/* One of the addresses that mail for a recipient goes to. */
static int
add_recipient(struct submit *s, struct span address, const struct terms *terms)
{
	char lane[LANE_NAME_SIZE];
	struct address a;
	if (address_mailbox(address, &a) < 0 || lane_name_of(a.domain, lane) < 0)
		return -EINVAL;
	routes_lane(s->conf, s->sender, lane);
	if (draft_has(s->draft, lane, address))
		return 0; /* two that are now one */
	s->utf8_address = s->utf8_address || alabel_needs_utf8(address);
	int r = draft_recipient(s->draft, lane, address, terms);
	return r == 0 && s->draft->recipients > s->conf->receive.max_recipients ? -E2BIG : r;
}

/* The recipient as it was given, for reports: where the client does not say itself who it was. */
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
show_original(struct submit *s, struct span given)
{
	char line[sizeof("X-Original-To: \r\n") + ALABEL_ADDRESS], room[ALABEL_ADDRESS];
	given = alabel_address(given, room);
	snprintf(line, sizeof(line), "X-Original-To: %.*s\r\n", (int)given.n, given.p);
	buf_puts(&s->originals, line);
}

/* The addresses, each with LF, that get the mail of one recipient: all of them, or none. */
static enum reply
add_others(struct submit *s, struct span given, struct span others, struct terms *terms)
{
	struct draft_mark before = draft_mark(s->draft);
	size_t told = s->changes.n;
	auto_buf orcpt = buf_new(ORCPT_MOST);
	int r = 0;
	name_original(given, terms, &orcpt);
	note(s, "recipient", given);
	while (others.n > 0 && r == 0) {
		struct span to = span_cut(&others, '\n');
		r = add_recipient(s, to, terms);
		note_new(s, to);
	}
	if (r < 0) {
		draft_return(s->draft, &before);
		s->changes.n = told;
		return r == -EINVAL ? R_RCPT_SYNTAX : R_TOO_MANY_RCPT;
	}
	if (submission_redirects(s->conf))
		show_original(s, given);
	return R_RCPT_OK;
}

/* As it was given. */
static enum reply
add_given(struct submit *s, const struct address *to, const char *lane, const struct terms *terms)
{
	return draft_recipient(s->draft, lane, to->whole, terms) < 0 ? R_TOO_MANY_RCPT : R_RCPT_OK;
}

enum reply
submit_recipient(struct submit *s, const struct address *to, const char *lane, struct terms *terms)
{
	auto_buf others = buf_new(SUBMISSION_RECIPIENTS);
	if (!submission_may_report(s->conf, s->sender))
		terms->notify = NOTIFY_NEVER; /* a report is mail, too */
	switch (submission_recipients(s->conf, s->submitter != 0, to, &others)) {
	case SUBMISSION_SUNK:
		return add_given(s, to, LANE_ROUTE GUARD_ROUTE, terms);
	case SUBMISSION_GUARDED:
		return R_GUARDED;
	case SUBMISSION_TOO_LONG:
		return R_RCPT_SYNTAX;
	case SUBMISSION_ELSEWHERE:
		return add_others(s, to->whole, buf_span(&others), terms);
	default:
		return add_given(s, to, lane, terms);
	}
}

void
submit_changes(const struct submit *s, struct buf *out)
{
	struct span header = s->rewrites ? rewrite_changes(&s->rewrite) : (struct span){ 0 };
	buf_add(out, buf_span(&s->changes));
	buf_puts(out, s->changes.n > 0 && header.n > 0 ? "; " : "");
	buf_add(out, header);
}

unsigned
submit_added(const struct submit *s)
{
	return s->rewrites ? s->rewrite.added : 0;
}

void
submit_end(struct submit *s)
{
	buf_free(&s->changes);
	buf_free(&s->originals);
	rewrite_free(&s->rewrite);
}
