#include "mail/rewrite.h"

#include <stdio.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/limits.h"
#include "mail/alabel.h"
#include "mail/mailboxes.h"

#define ORIGINAL "X-Original-"

enum { ADDED_MAX = 2048 }; /* octets of the fields that are added */

static const struct {
	const char *name;
	unsigned field;
} fields[] = { { "Date", REWRITE_DATE }, { "Message-ID", REWRITE_MESSAGE_ID },
	{ "From", REWRITE_FROM }, { "Sender", REWRITE_SENDER }, { "Reply-To", REWRITE_REPLY_TO },
	{ "DKIM-Signature", REWRITE_SIGNATURE } };

enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

void
rewrite_names(unsigned which, char out[static REWRITE_NAMES])
{
	int n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < FIELDS; i++)
		if ((which & fields[i].field) != 0)
			n += snprintf(out + n, (size_t)(REWRITE_NAMES - n), "%s%s",
				n > 0 ? ", " : "", fields[i].name);
}

static const char *
name_of(unsigned field)
{
	size_t i = 0;
	while (i + 1 < FIELDS && fields[i].field != field)
		i++;
	return fields[i].name;
}

static void
pass(struct rewrite *r, struct span s)
{
	if (s.n > 0)
		r->sink(r->ctx, s);
}

static void
pass_text(struct rewrite *r, const char *s)
{
	pass(r, span_of(s));
}

/* ---- a field ------------------------------------------------------------------------------- */

static void
note(struct rewrite *r, const char *was, struct span address, const char *how, struct span now)
{
	buf_printf(&r->log, "%s%s: ", r->log.n > 0 ? "; " : "", was);
	buf_escape(&r->log, address, LIMIT_ADDRESS);
	buf_puts(&r->log, how);
	buf_escape(&r->log, now, LIMIT_ADDRESS);
}

/* Has no line more octets than a line may have? */
static bool
fits(struct span s)
{
	while (s.n > 0)
		if (span_line(&s).n > LIMIT_TEXT_LINE)
			return false;
	return true;
}

/*
 * The held field with other octets in place of some of its own. False: a line would be too long,
 * and nothing was done.
 */
static bool
pass_with(struct rewrite *r, const struct buf *now)
{
	if (now->err != 0 || (!fits(buf_span(now)) && fits(buf_span(&r->held))))
		return false;
	pass(r, buf_span(now));
	return true;
}

/* The new address instead of the only one; where that would not do, alone. */
static void
pass_forced(struct rewrite *r, const struct mailboxes *m)
{
	struct span all = buf_span(&r->held), force = r->plan.force;
	struct span was = m->n == 1 && !m->group ? m->of[0] : (struct span){ 0 };
	auto_buf now = buf_new(LIMIT_MIME_FIELD + LIMIT_ADDRESS);
	if (was.p != NULL) {
		buf_add(&now, span_from(all.p, was.p));
		buf_add(&now, force);
		buf_add(&now, span_from(was.p + was.n, all.p + all.n));
	}
	if (was.p == NULL || !pass_with(r, &now)) {
		pass_text(r, "From: ");
		pass(r, force);
		pass_text(r, "\r\n");
	}
	note(r, "From", was, was.n > 0 ? " became " : "it became ", force);
}

/* What stood there, under another name. The line is folded where that would make it too long. */
static void
pass_original(struct rewrite *r, struct span value)
{
	struct span rest = value;
	size_t line = span_line(&rest).n + r->name + sizeof(ORIGINAL) - 1;
	pass_text(r, ORIGINAL);
	pass(r, (struct span){ r->held.p, r->name });
	if (line > LIMIT_TEXT_LINE)
		pass_text(r, value.n > 0 && (value.p[0] == ' ' || value.p[0] == '\t') ? "\r\n"
			: "\r\n ");
	pass(r, value);
}

/* Is this address alone there already? */
static bool
is_forced(const struct rewrite *r, const struct mailboxes *m)
{
	return m->n == 1 && m->of[0].n > 0 && span_ieq(m->of[0], r->plan.force);
}

/* False: it stays as it is. */
static bool
force_field(struct rewrite *r, struct span value)
{
	struct mailboxes m;
	if (mailboxes_find(value, &m) < 0)
		m = (struct mailboxes){ .n = 0 };
	bool from = r->field == REWRITE_FROM, first = from && !r->forced;
	r->forced = r->forced || from;
	if (is_forced(r, &m) && (first || !from))
		return false;
	if (first)
		pass_forced(r, &m);
	else
		note(r, name_of(r->field), m.n == 1 ? m.of[0] : (struct span){ 0 }, " was put away",
			(struct span){ 0 });
	pass_original(r, value);
	return true;
}

/* Appends a field's value with other domains. How many were exchanged. */
static int
exchange_domains(struct rewrite *r, const struct mailboxes *m, struct span value, struct buf *now)
{
	int n = 0;
	for (int i = 0; i < m->n; i++) {
		struct address a;
		if (m->of[i].p == NULL || address_mailbox(m->of[i], &a) < 0)
			continue;
		struct span domain = masquerade_domain(&r->plan.masquerade, &a);
		if (domain.p == NULL)
			continue;
		buf_add(now, span_from(value.p, a.domain.p));
		buf_add(now, domain);
		value = span_from(a.domain.p + a.domain.n, value.p + value.n);
		n++;
	}
	buf_add(now, value);
	return n;
}

static void
note_domains(struct rewrite *r, const struct mailboxes *m)
{
	for (int i = 0; i < m->n; i++) {
		struct address a;
		if (m->of[i].p == NULL || address_mailbox(m->of[i], &a) < 0)
			continue;
		struct span domain = masquerade_domain(&r->plan.masquerade, &a);
		if (domain.p != NULL)
			note(r, name_of(r->field), a.whole, " became @", domain);
	}
}

/* False: it stays as it is. */
static bool
masquerade_field(struct rewrite *r, struct span value)
{
	struct mailboxes m;
	auto_buf now = buf_new(2 * LIMIT_MIME_FIELD);
	if (mailboxes_find(value, &m) < 0)
		return false;
	buf_add(&now, (struct span){ r->held.p, r->name });
	if (exchange_domains(r, &m, value, &now) == 0 || !pass_with(r, &now))
		return false;
	note_domains(r, &m);
	return true;
}

static bool
may_be_forced(const struct rewrite *r, unsigned field)
{
	return r->plan.force.n > 0 && (field & (REWRITE_FROM | REWRITE_SENDER)) != 0;
}

static bool
may_be_masqueraded(const struct rewrite *r, unsigned field)
{
	return r->plan.masquerade.rules != NULL && (r->seen & REWRITE_SIGNATURE) == 0 &&
		(field & (REWRITE_FROM | REWRITE_SENDER | REWRITE_REPLY_TO)) != 0;
}

/*
 * The fields that may be added. Behind a signature that is none: it may be one for what is not
 * there, too (RFC 6376 section 8.15), as ours is, and would be broken.
 */
static unsigned
may_be_added(const struct rewrite *r)
{
	const struct rewrite_plan *p = &r->plan;
	if ((r->seen & REWRITE_SIGNATURE) != 0)
		return 0;
	return p->force.n > 0 || p->from.n == 0 ? p->add & ~(unsigned)REWRITE_FROM : p->add;
}

/* Appends those of these fields that are ours to write. */
static void
write_fields(const struct rewrite *r, unsigned which, struct span from, struct buf *b)
{
	const struct rewrite_plan *p = &r->plan;
	char date[CLOCK_DATE_SIZE];
	if ((which & REWRITE_DATE) != 0) {
		clock_date(p->now, date);
		buf_printf(b, "Date: %s\r\n", date);
	}
	if ((which & REWRITE_MESSAGE_ID) != 0)
		buf_printf(b, "Message-ID: <%s@%s>\r\n", p->id, p->hostname);
	if ((which & REWRITE_FROM) != 0)
		buf_printf(b, "From: %.*s\r\n", (int)from.n, from.p);
}

/* One of them is there, and would be replaced if it says nothing: none was before it. */
static bool
may_be_replaced(const struct rewrite *r, unsigned field)
{
	return (may_be_added(r) & field & (~r->seen | r->added)) != 0;
}

/* Nothing but blanks and ends of lines, or "<>" among them. */
static bool
says_nothing(struct span value)
{
	static const char empty[] = "<>";
	size_t n = 0;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		if (n == sizeof(empty) - 1 || c != empty[n])
			return false;
		n++;
	}
	return n != 1;
}

/* False: it says something, and stays. */
static bool
replace_field(struct rewrite *r, struct span value)
{
	char room[ALABEL_ADDRESS];
	auto_buf b = buf_new(ADDED_MAX);
	if (!r->replace || !says_nothing(value))
		return false;
	write_fields(r, r->field & ~r->added, alabel_address(r->plan.from, room), &b);
	pass(r, buf_span(&b));
	r->added |= r->field;
	return true;
}

/* The held field is whole, but for the end of its last line if the message ends in it. */
static void
end_field(struct rewrite *r)
{
	if (r->field == 0)
		return;
	if (r->torn)
		buf_puts(&r->held, "\r\n");
	struct span value = span_skip(buf_span(&r->held), r->name);
	bool done = may_be_forced(r, r->field) ? force_field(r, value)
		: replace_field(r, value) || masquerade_field(r, value);
	if (!done)
		pass(r, (struct span){ r->held.p, r->held.n - (r->torn ? 2 : 0) });
	r->torn = r->torn && !done;
	r->field = 0;
}

/* Too long to be held: it is not looked at. Whose address is forced has it all the same. */
static void
let_go(struct rewrite *r, struct span piece)
{
	if (may_be_forced(r, r->field)) {
		static const struct mailboxes none;
		if (r->field == REWRITE_FROM && !r->forced)
			pass_forced(r, &none);
		r->forced = r->forced || r->field == REWRITE_FROM;
		pass_text(r, ORIGINAL);
	}
	pass(r, buf_span(&r->held));
	pass(r, piece);
	r->field = 0;
}

static unsigned
field_named(struct span name)
{
	for (size_t i = 0; i < FIELDS; i++)
		if (span_ieq(name, span_of(fields[i].name)))
			return fields[i].field;
	return 0;
}

static void
begin_field(struct rewrite *r, const struct header_part *part)
{
	unsigned field = field_named(part->name);
	r->replace = may_be_replaced(r, field);
	r->seen |= field;
	r->torn = true;
	if (r->replace || may_be_forced(r, field) || may_be_masqueraded(r, field)) {
		r->field = field;
		r->name = part->text.n;
		buf_reset(&r->held);
		buf_add(&r->held, part->text);
		if (r->held.err != 0) /* no memory: as it came */
			let_go(r, part->text);
	} else {
		pass(r, part->text);
	}
}

static void
more_of_field(struct rewrite *r, struct span s)
{
	r->torn = s.p[s.n - 1] != '\n';
	if (r->field != 0)
		buf_add(&r->held, s);
	if (r->field == 0)
		pass(r, s);
	else if (r->held.err != 0)
		let_go(r, s);
}

/* ---- the header ------------------------------------------------------------------------------ */

/* Fields that are missing; `text`: what follows is text that no empty line parts from them. */
static void
add_missing(struct rewrite *r, bool text)
{
	bool force = r->plan.force.n > 0 && !r->forced;
	unsigned missing = (may_be_added(r) & ~r->seen) | (force ? (unsigned)REWRITE_FROM : 0);
	char room[ALABEL_ADDRESS];
	auto_buf b = buf_new(ADDED_MAX);
	if (missing == 0)
		return;
	write_fields(r, missing, force ? r->plan.force : alabel_address(r->plan.from, room), &b);
	if (r->torn) /* the last field has no end */
		pass_text(r, "\r\n");
	pass(r, buf_span(&b));
	if (text)
		pass_text(r, "\r\n");
	r->added |= missing;
}

/* The header ends before this part. */
static void
end_header(struct rewrite *r, const struct header_part *part)
{
	r->over = true;
	add_missing(r, part->kind != HEADER_END);
	pass(r, part->text);
}

bool
rewrite_needed(const struct rewrite_plan *plan)
{
	return plan->add != 0 || plan->force.n > 0 || plan->masquerade.rules != NULL;
}

void
rewrite_begin(struct rewrite *r, const struct rewrite_plan *plan, rewrite_sink *sink, void *ctx)
{
	r->plan = *plan;
	r->sink = sink;
	r->ctx = ctx;
	r->seen = r->added = r->field = 0;
	r->over = r->torn = r->forced = r->replace = false;
	r->name = 0;
	r->held = buf_new(LIMIT_MIME_FIELD);
	r->log = buf_new(REWRITE_LOG);
}

void
rewrite_hear(struct rewrite *r, const struct header_part *part)
{
	if (r->over) {
		pass(r, part->text);
	} else if (part->kind == HEADER_VALUE) {
		more_of_field(r, part->text);
	} else {
		end_field(r);
		if (part->kind == HEADER_FIELD && part->name.n > 0)
			begin_field(r, part);
		else
			end_header(r, part);
	}
}

void
rewrite_free(struct rewrite *r)
{
	buf_free(&r->held);
	buf_free(&r->log);
}

struct span
rewrite_changes(const struct rewrite *r)
{
	return buf_span(&r->log);
}
