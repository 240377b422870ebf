#include "conf/submission.h"

#include <stdio.h>

#include "conf/guard.h"
#include "conf/recipient_map.h"
#include "lib/cleanup.h"

enum { PATH_MOST = LIMIT_PATH - 2 }; /* without its brackets */

static const struct {
	const char *word;
	unsigned submitter;
} words[] = { { "no", 0 }, { "local", SUBMITTER_LOCAL }, { "nets", SUBMITTER_NETS },
	{ "auth", SUBMITTER_AUTH } };

static int
find_word(struct span word)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_ieq(word, span_of(words[i].word)))
			return (int)i;
	return -1;
}

bool
submission_submitters(struct span value, unsigned *out)
{
	bool alone = span_words(value) < 2;
	unsigned found = 0;
	for (struct span word; (word = span_word(&value, " \t,")).n > 0;) {
		int i = find_word(word);
		if (i < 0 || (i == 0 && !alone))
			return false;
		found |= words[i].submitter;
	}
	*out = found;
	return true;
}

static struct masquerade
masquerade_of(const struct conf *c)
{
	return (struct masquerade){ c->submission.masquerade, c->submission.masquerade_except };
}

struct span
submission_sender(const struct conf *c, struct span given, char room[static SUBMISSION_SENDER])
{
	struct masquerade m = masquerade_of(c);
	struct address a;
	if (given.n == 0 || (c->submission.force_from == NULL && m.rules == NULL))
		return given;
	if (c->submission.force_from != NULL)
		return span_of(c->submission.force_from);
	struct span domain = { 0 };
	if (address_mailbox(given, &a) == 0)
		domain = masquerade_domain(&m, &a);
	if (domain.p == NULL || a.local.n + 1 + domain.n > PATH_MOST)
		return given;
	int n = snprintf(room, SUBMISSION_SENDER, "%.*s@%.*s", (int)a.local.n, a.local.p,
		(int)domain.n, domain.p);
	return (struct span){ room, (size_t)n };
}

struct rewrite_plan
submission_plan(const struct conf *c, unsigned submitter)
{
	const struct conf_submission *s = &c->submission;
	struct rewrite_plan plan = { .hostname = c->who.hostname, .masquerade = masquerade_of(c) };
	unsigned who = 0;
	(void)submission_submitters(span_of(s->add_missing != NULL ? s->add_missing : ""), &who);
	if ((who & submitter) != 0)
		plan.add = REWRITE_DATE | REWRITE_MESSAGE_ID | REWRITE_FROM;
	if (s->force_from != NULL)
		plan.force = span_of(s->force_from);
	return plan;
}

/* What guard makes of one address. */
static enum submission_verdict
judge(const struct guard *g, struct span address, struct buf *out)
{
	if (address.n > PATH_MOST)
		return SUBMISSION_TOO_LONG;
	if (g->kind == GUARD_ALLOW && !guard_allows(g, address))
		return SUBMISSION_GUARDED;
	buf_add(out, address);
	buf_puts(out, "\n");
	return SUBMISSION_ELSEWHERE;
}

enum submission_verdict
submission_recipients(const struct conf *c, bool own, const struct address *to, struct buf *out)
{
	struct guard g = { GUARD_NONE, NULL };
	auto_buf mapped = buf_new(SUBMISSION_RECIPIENTS);
	(void)guard_parse(c->submission.guard, &g);
	if (g.kind == GUARD_SINK)
		return SUBMISSION_SUNK;
	if (g.kind == GUARD_REDIRECT && !guard_allows(&g, to->whole)) {
		buf_puts(out, g.what);
		buf_puts(out, "\n");
		return SUBMISSION_ELSEWHERE;
	}
	bool found = own && recipient_map_find(buf_span(&c->submission.map), c->who.hostname, to,
		&mapped);
	if (!found || g.kind == GUARD_REDIRECT)
		return guard_allows(&g, to->whole) ? SUBMISSION_AS_GIVEN : SUBMISSION_GUARDED;
	enum submission_verdict v = SUBMISSION_ELSEWHERE;
	struct span rest = buf_span(&mapped);
	while (rest.n > 0 && v == SUBMISSION_ELSEWHERE)
		v = judge(&g, span_cut(&rest, '\n'), out);
	return v;
}

bool
submission_redirects(const struct conf *c)
{
	struct guard g;
	return guard_parse(c->submission.guard, &g) && g.kind == GUARD_REDIRECT;
}

bool
submission_may_leave(const struct conf *c, struct span address)
{
	struct guard g;
	return !guard_parse(c->submission.guard, &g) || guard_allows(&g, address);
}

bool
submission_may_report(const struct conf *c, struct span sender)
{
	return sender.n == 0 || submission_may_leave(c, sender);
}
