/*
 * A header that is rewritten: the same however it is split; once is enough; what was not changed is
 * as it was, and no line grows too long. And its Message-ID, which is one word for a reader of the
 * log.
 */
#include "fuzz.h"

#include "lib/buf.h"
#include "lib/limits.h"
#include "mail/message_id.h"
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
	struct rewrite r = { 0 };
	*out = buf_new(4 * in.n + MORE);
	rewrite_begin(&r, plan, collect, out);
	while (in.n > 0) {
		size_t n = in.n < most ? in.n : most;
		rewrite_feed(&r, (struct span){ in.p, n });
		in = span_skip(in, n);
	}
	rewrite_end(&r);
	must(out->err == 0);
	must((r.added & ~(unsigned)ADD) == 0 && r.n == 0 && r.field == 0);
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
static void
check_inserted(struct span in, struct span out)
{
	size_t same = 0;
	must(out.n >= in.n);
	while (same < in.n && in.p[same] == out.p[same])
		same++;
	while (!span_eq(span_skip(in, same), span_skip(out, out.n - (in.n - same))))
		must(same-- > 0);
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
		check_inserted(in, buf_span(&out));
	if (in.n < LIMIT_MIME_FIELD / 2) { /* else a field may be too long the second time */
		rewrite(plan, buf_span(&out), SIZE_MAX, &again);
		must(span_eq(buf_span(&out), buf_span(&again)));
		buf_free(&again);
	}
	buf_free(&out);
	buf_free(&torn);
}

static void
find_message_id(struct span in, size_t most, char out[static MESSAGE_ID_TEXT])
{
	struct message_id m;
	message_id_begin(&m);
	while (in.n > 0) {
		size_t n = in.n < most ? in.n : most;
		message_id_feed(&m, (struct span){ in.p, n });
		in = span_skip(in, n);
	}
	message_id_text(&m, out);
}

static void
check_message_id(struct span in)
{
	char whole[MESSAGE_ID_TEXT], torn[MESSAGE_ID_TEXT];
	find_message_id(in, SIZE_MAX, whole);
	find_message_id(in, 7, torn);
	must(strcmp(whole, torn) == 0);
	for (const char *p = whole; *p != '\0'; p++)
		must(*p > ' ' && *p <= '~' && strchr("<>\"", *p) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < PLANS; i++)
		check_plan(&plans[i], (struct span){ (const char *)data, size });
	check_message_id((struct span){ (const char *)data, size });
	return 0;
}
