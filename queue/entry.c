#include "queue/entry.h"

#include <string.h>

#include "lib/clock.h"

/* Octets of a reply: those of as many recipients as there can be fit into a log. */
enum { NOTE_TEXT = 300 };

/* ---- what they say ------------------------------------------------------------------------ */

void
entry_read(struct span line, struct entry *out)
{
	static const struct { const char *word; enum entry_event event; } events[] = {
		{ "soft", ENTRY_PUT_OFF },
		{ "done", ENTRY_DELIVERED },
		{ "hard", ENTRY_FAILED },
		{ "told", ENTRY_TOLD },
		{ "no-tls", ENTRY_NO_TLS },
		{ "cut", ENTRY_CUT },
		{ "late", ENTRY_LATE },
	};
	struct span when = span_cut(&line, ' '), word = span_cut(&line, ' ');
	*out = (struct entry){ .when = stored_number(when),
		.number = stored_number(span_cut(&line, ' ')), .text = line };
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (span_eq(word, span_of(events[i].word)))
			out->event = events[i].event;
}

static struct rcpt *
rcpt_at(struct message *m, int64_t index)
{
	for (int i = 0; i < m->n; i++)
		if (m->rcpt[i].index == index)
			return &m->rcpt[i];
	return NULL;
}

/* Nothing, if it is odd. */
static unsigned
read_told(int64_t n)
{
	return n > 0 && n <= (TOLD_DELAYED | TOLD_OVERDUE) ? (unsigned)n : 0;
}

static void
apply(struct message *m, struct span line)
{
	struct entry said;
	entry_read(line, &said);
	if (said.event == ENTRY_PUT_OFF) {
		m->attempts++;
		m->crashes += said.number == 0;
	}
	m->without_tls += said.event == ENTRY_NO_TLS;
	m->cuts += said.event == ENTRY_CUT;
	m->lates += said.event == ENTRY_LATE;
	if (said.event == ENTRY_TOLD)
		m->told |= read_told(said.number);
	bool done = said.event == ENTRY_DELIVERED, hard = said.event == ENTRY_FAILED;
	struct rcpt *r = done || hard ? rcpt_at(m, said.number) : NULL;
	if (r != NULL)
		rcpt_set_settled(r, done ? DONE : HARD);
}

void
entry_apply_all(struct message *m, struct span log)
{
	for (struct span line; stored_line(&log, &line);)
		apply(m, line);
}

/* ---- what is added ------------------------------------------------------------------------ */

/* What was said of it, cut. */
static void
put_text(struct buf *text, const struct rcpt *r)
{
	size_t n = r->text.n < NOTE_TEXT ? r->text.n : NOTE_TEXT;
	buf_add(text, (struct span){ r->text.p, n });
}

void
entry_put_attempt(struct buf *text, const struct message *m, int64_t next)
{
	int i = 0;
	while (i < m->n && (m->rcpt[i].settled || m->rcpt[i].outcome != SOFT))
		i++;
	if (m->no_tls)
		buf_printf(text, "%lld no-tls 0\n", (long long)clock_wall());
	if (m->cut)
		buf_printf(text, "%lld cut 0\n", (long long)clock_wall());
	if (m->late)
		buf_printf(text, "%lld late 0\n", (long long)clock_wall());
	buf_printf(text, "%lld soft %lld", (long long)clock_wall(), (long long)next);
	if (i < m->n && m->rcpt[i].text.n > 0) {
		buf_puts(text, " ");
		put_text(text, &m->rcpt[i]);
	}
	buf_puts(text, "\n");
}

void
entry_put_outcomes(struct buf *text, const struct message *m)
{
	for (int i = 0; i < m->n; i++) {
		const struct rcpt *r = &m->rcpt[i];
		if (!r->settled && r->outcome != SOFT) {
			buf_printf(text, "%lld %s %d ", (long long)clock_wall(),
				r->outcome == DONE ? "done" : "hard", r->index);
			put_text(text, r);
			buf_puts(text, "\n");
		}
	}
}

void
entry_put_told(struct buf *text, int64_t now, unsigned told)
{
	buf_printf(text, "%lld told %u\n", (long long)now, told);
}

void
entry_put_crash(struct buf *text, int64_t now)
{
	buf_printf(text, "%lld soft 0\n", (long long)now);
}
