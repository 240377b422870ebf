#include "admin/finding.h"

#include <stdarg.h>

#include "lib/cleanup.h"

enum { TEXT_SIZE = 4096 };

static const struct {
	const char *word;
	enum out_colour colour;
} states[] = {
	[FINDING_OK] = { "ok", OUT_GOOD },
	[FINDING_SKIPPED] = { "skipped", OUT_DIM },
	[FINDING_WARN] = { "warn", OUT_WARNING },
	[FINDING_FAIL] = { "fail", OUT_BAD },
};

static void
say(struct out *o, const char *check, enum finding_state state, struct span text,
	const char *advice)
{
	out_colour(o, states[state].colour);
	out_say(o, "%-8s", states[state].word);
	out_colour(o, OUT_PLAIN);
	out_say(o, "%-14s", check);
	out_text(o, text);
	if (advice != NULL && advice[0] != '\0') {
		out_say(o, "; ");
		out_text(o, span_of(advice));
	}
	out_say(o, "\n");
}

void
finding_tell(struct teller *t, const char *check, enum finding_state state, const char *advice,
	const char *fmt, ...)
{
	auto_buf text = buf_new(TEXT_SIZE);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	t->told.n[state]++;
	if (t->out->json)
		out_json(t->out, json_pack("{s:s, s:s, s:o, s:o}", "check", check, "state",
			states[state].word, "text", out_string(buf_span(&text)), "advice",
			advice != NULL && advice[0] != '\0' ? out_string(span_of(advice))
							    : json_null()));
	else
		say(t->out, check, state, buf_span(&text), advice);
}
