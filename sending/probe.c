#include "sending/probe.h"

#include "lib/clock.h"

enum { MORE_REPLIES = 1000 }; /* than are owed, which are read */

/* ---- the mark ------------------------------------------------------------------------------ */

void
probe_put_mark(struct link *l)
{
	link_put_hello(l);
}

/* The list that the host gave before had one of these, so this one has. */
static void
find_keyword(struct link_host *h, struct span line)
{
	h->can |= extension_named(span_word(&line, " ")) & (CAN_PIPELINING | CAN_CHUNKING);
}

/* The next reply, which ought to be to this command. True: it is the list. */
static bool
read_list(struct link *l, const char *command, int64_t seconds, int *result)
{
	struct link_host known = l->host;
	l->host = (struct link_host){ 0 };
	*result = link_listen(l, command, seconds, find_keyword);
	bool list = *result == 0 && l->host.can != 0;
	l->host = known;
	return list;
}

/* Whole seconds, of which the last has begun. */
static int64_t
seconds_left(int64_t deadline)
{
	return (clock_left(deadline) + 999) / 1000;
}

/*
 * All replies together have the time of one, or a host could say 250 now and then for days. Behind
 * a 2yz in place of the list that follows soon, or the host has none to say twice.
 */
enum mark
probe_read_mark(struct link *l)
{
	int64_t deadline = clock_deadline(l->terms.conf->timeout_helo);
	for (int i = 0; i < MORE_REPLIES; i++) {
		int r;
		bool seen = read_list(l, "EHLO", seconds_left(deadline), &r);
		if (r < 0 || l->bye)
			return i == 1 && l->silent ? MARK_SHORT : MARK_LOST;
		if (seen)
			return link_said_more(l, "EHLO") ? MARK_MISPLACED
				: i > 0 ? MARK_LATE : MARK_SEEN;
		if (link_outcome(l->code) == DONE) {
			if (i == 0)
				deadline = clock_earlier(deadline,
					clock_deadline(l->terms.conf->timeout_quit));
			continue;
		}
		bool refusal = i == 0 && l->code >= 400 && !link_said_more(l, "EHLO");
		return refusal ? MARK_REFUSED : MARK_MISPLACED;
	}
	return MARK_MISPLACED;
}

/* The reply to RSET, which is never refused, and is not the list. */
static enum mark
read_reset(struct link *l)
{
	int r;
	bool list = read_list(l, "RSET", l->terms.conf->timeout_mail, &r);
	if (r < 0 || l->bye)
		return MARK_LOST;
	if (list || l->code / 100 == 3)
		return MARK_MISPLACED;
	return link_outcome(l->code) == DONE ? MARK_SEEN : MARK_REFUSED;
}

enum mark
probe_reset(struct link *l)
{
	link_puts(l, "RSET\r\n", l->terms.conf->timeout_mail);
	enum mark reset = read_reset(l);
	bool alone = reset != MARK_SEEN && reset != MARK_REFUSED;
	return !alone && link_said_more(l, "RSET") ? MARK_MISPLACED : reset;
}

enum mark
probe_reset_and_mark(struct link *l)
{
	link_puts(l, "RSET\r\n", l->terms.conf->timeout_mail);
	probe_put_mark(l);
	enum mark reset = read_reset(l);
	if (reset == MARK_LOST || reset == MARK_MISPLACED)
		return reset;
	enum mark mark = probe_read_mark(l);
	return mark == MARK_REFUSED ? reset : mark;
}

/* ---- the octets of a BDAT ------------------------------------------------------------------ */

/*
 * There is no transaction, so the host refuses, and not because it has no such command. With 2yz it
 * has taken a message without a recipient, and nobody knows what it does next.
 */
static bool
refuses_chunk(struct link *l)
{
	bool unknown = l->code == CODE_UNKNOWN || l->code == CODE_NOT_IMPLEMENTED;
	return link_outcome(l->code) == HARD && !unknown && !link_said_more(l, "BDAT");
}

static bool
ask_chunk(struct link *l)
{
	link_puts(l, "BDAT 6 LAST\r\nNOOP\r\n", l->terms.conf->timeout_mail);
	return link_reply(l, "BDAT", l->terms.conf->timeout_mail) == 0 && refuses_chunk(l);
}

static bool
ask_mark(struct link *l)
{
	probe_put_mark(l);
	return probe_read_mark(l) == MARK_SEEN;
}

void
probe_drops_bdat(struct link *l)
{
	l->lessons |= LESSON_NO_CHUNKS;
	l->host.can &= ~(unsigned)CAN_BDAT;
}

bool
probe_discards(struct link *l)
{
	if (l->terms.discards)
		return true;
	/* RSET, because one will stand behind each message of a window. */
	if (ask_chunk(l) && probe_reset(l) == MARK_SEEN && ask_mark(l)) {
		l->terms.discards = true;
		l->lessons |= LESSON_DISCARDS;
		return true;
	}
	probe_drops_bdat(l);
	link_quit(l, INT64_MAX);
	return false;
}
