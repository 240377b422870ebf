/*
 * A header that is rewritten: the same however it is split; once is enough; what was not changed is
 * as it was, and no line grows too long.
 */
#include "fuzz.h"

#include "lib/buf.h"
#include "lib/limits.h"
#include "mail/rewrite.h"

enum { ADD = REWRITE_DATE | REWRITE_MESSAGE_ID | REWRITE_FROM, MORE = 16 * 1024 };

static const struct rewrite_plan plans[] = {
	{ .add = ADD, .id = "1", .hostname = "mx.example", .from = { "s@h.example", 11 } },
	{ .masquerade = { "h.example=masked.example.org .a=b.example", "root" } },
	{ .force = { "me@example.org", 14 } },
	{ .add = ADD, .id = "1", .hostname = "mx.example", .force = { "me@example.org", 14 },
		.masquerade = { "h.example=masked.example.org", NULL } },
};

enum { PLANS = sizeof(plans) / sizeof(plans[0]) };

static void
collect(void *ctx, struct span piece)
{
	must(piece.n > 0);
	buf_add(ctx, piece);
}

/* True: the log has something to tell. */
static bool
rewrite(const struct rewrite_plan *plan, struct span in, size_t most, struct buf *out)
{
	struct header h = { 0 };
	struct header_part part;
	struct rewrite r = { 0 };
	*out = buf_new(4 * in.n + MORE);
	rewrite_begin(&r, plan, collect, out);
	while (in.n > 0) {
		struct span piece = { in.p, in.n < most ? in.n : most };
		in = span_skip(in, piece.n);
		while (header_next(&h, &piece, &part))
			rewrite_hear(&r, &part);
		buf_add(out, piece);
	}
	part = header_end(&h);
	rewrite_hear(&r, &part);
	must(out->err == 0);
	must((r.added & ~(unsigned)ADD) == 0 && r.over && r.field == 0);
	bool told = rewrite_changes(&r).n > 0 || r.added != 0;
	must(span_is_ascii(rewrite_changes(&r)));
	rewrite_free(&r);
	return told;
}

static bool
fits(struct span s)
{
	while (s.n > 0)
		if (span_line(&s).n > LIMIT_TEXT_LINE)
			return false;
	return true;
}

/* Is it what came in, with something put in at one place? */
static bool
is_inserted(struct span in, struct span out)
{
	size_t same = 0;
	if (out.n < in.n)
		return false;
	while (same < in.n && in.p[same] == out.p[same])
		same++;
	while (!span_eq(span_skip(in, same), span_skip(out, out.n - (in.n - same))))
		if (same-- == 0)
			return false;
	return true;
}

/* With its end, unlike span_line. */
static struct span
cut_line(struct span *text)
{
	const char *end = memchr(text->p, '\n', text->n);
	struct span line = end != NULL ? span_from(text->p, end + 1) : *text;
	*text = span_skip(*text, line.n);
	return line;
}

/* A line of a field that may be replaced: its name, or none, blanks, and what of "<>". */
static bool
says_nothing(struct span line)
{
	static const char *const names[] = { "Date", "Message-ID", "From" };
	struct span value = line, name = span_trim(span_cut(&value, ':'));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (name.n < line.n && span_ieq(name, span_of(names[i])))
			line = value;
	for (size_t i = 0; i < line.n; i++)
		if (memchr(" \t\r\n<>", line.p[i], 6) == NULL)
			return false;
	return true;
}

static bool
is_ours(struct span line)
{
	struct span text = span_line(&line); /* the last one may have no end */
	return text.n == 0 || span_eq(text, span_of("Date: Thu, 01 Jan 1970 00:00:00 +0000")) ||
		span_eq(text, span_of("Message-ID: <1@mx.example>")) ||
		span_eq(text, span_of("From: s@h.example"));
}

/* What is neither put in nor replaced: every line but those. */
static struct buf
others(struct span text)
{
	struct buf left = buf_new(text.n + 2);
	while (text.n > 0) {
		struct span line = cut_line(&text);
		bool torn = line.p[line.n - 1] != '\n';
		if (says_nothing(line) || is_ours(line))
			continue;
		buf_add(&left, line);
		if (torn) /* one that has no end may get one */
			buf_puts(&left, "\r\n");
	}
	return left;
}

static bool
is_replaced(struct span in, struct span out)
{
	struct buf was = others(in), now = others(out);
	bool same = span_eq(buf_span(&was), buf_span(&now));
	buf_free(&was);
	buf_free(&now);
	return same;
}

static void
check_plan(const struct rewrite_plan *plan, struct span in)
{
	struct buf out, torn, again;
	bool told = rewrite(plan, in, SIZE_MAX, &out);
	must(rewrite(plan, in, 7, &torn) == told);
	must(span_eq(buf_span(&out), buf_span(&torn)));
	must(told || span_eq(in, buf_span(&out)));
	must(fits(buf_span(&out)) || !fits(in));
	if (plan->force.n == 0 && plan->masquerade.rules == NULL)
		must(is_inserted(in, buf_span(&out)) || is_replaced(in, buf_span(&out)));
	if (in.n < LIMIT_MIME_FIELD / 2) { /* else a field may be too long the second time */
		rewrite(plan, buf_span(&out), SIZE_MAX, &again);
		must(span_eq(buf_span(&out), buf_span(&again)));
		buf_free(&again);
	}
	buf_free(&out);
	buf_free(&torn);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < PLANS; i++)
		check_plan(&plans[i], (struct span){ (const char *)data, size });
	return 0;
}
