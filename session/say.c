#include "session/say.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "session/offers.h"

enum { LINE_MAX = 1024 }; /* of a reply; ours are short, the longest names the mechanisms */

/* What "%" and a letter stand for in a reply. */
static void
add_value(const struct session *s, char letter, struct buf *b)
{
	char date[CLOCK_STAMP_SIZE];
	switch (letter) {
	case 'h':
		buf_puts(b, s->conf.who.hostname);
		break;
	case 'i':
		buf_puts(b, s->client.transaction.draft.id);
		break;
	case 'm':
		offers_add_mechanisms(s, b);
		break;
	case 'f': /* longest interval, latest time */
		clock_stamp(clock_wall() + s->conf.receive.max_hold, date);
		buf_printf(b, "%lld %s", (long long)s->conf.receive.max_hold, date);
		break;
	case 'z':
		buf_printf(b, "%lld", (long long)s->conf.receive.max_size);
		break;
	case 'r':
		buf_printf(b, "%lld", (long long)s->conf.receive.max_recipients);
		break;
	case 'c':
		buf_puts(b, s->client.check_text[0] != '\0' ? s->client.check_text
							    : "cannot be checked now");
		break;
	case 'd':
		buf_printf(b, "%d", (int)DRAFT_LANES);
		break;
	}
}

static void
add_text(const struct session *s, const char *text, struct buf *b)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "%");
		buf_add(b, (struct span){ text, n });
		text += n;
		if (*text == '%') {
			add_value(s, text[1], b);
			text += 2;
		}
	}
}

static void
say_bytes(struct session *s, struct span bytes)
{
	stream_put(&s->client.stream, bytes, session_deadline(s, s->conf.receive.timeout_command));
}

void
say_text(struct session *s, const char *text)
{
	say_bytes(s, span_of(text));
}

static void
say_line(struct session *s, const char *code, bool last, const char *text)
{
	auto_buf b = buf_new(LINE_MAX);
	buf_puts(&b, code);
	buf_puts(&b, last ? " " : "-");
	add_text(s, text, &b);
	buf_puts(&b, "\r\n");
	say_bytes(s, buf_span(&b));
}

/* The counter of each reply that refuses. */
static const uint16_t counter_of[] = {
#define COUNTED_OK(id) COUNTERS
#define COUNTED_LEAVE(id) COUNTERS
#define COUNTED_ERROR(id) COUNTER_REFUSED_##id
#define COUNTED_SPARE(id) COUNTER_REFUSED_##id
#define COUNTED_CLOSE(id) COUNTER_REFUSED_##id
#define COUNTED(id, code, text, kind) [R_##id] = COUNTED_##kind(id),
	REPLY_TABLE(COUNTED)
#undef COUNTED
};

static void
count_refusal(enum reply r, const char *code)
{
	if (counter_of[r] == COUNTERS)
		return;
	counters_one(code[0] == '4' ? COUNTER_REFUSED_4YZ : COUNTER_REFUSED_5YZ);
	counters_one(counter_of[r]);
}

void
say_reply(struct session *s, enum reply r)
{
	const struct reply_row *row = reply_row(r);
	count_refusal(r, row->code);
	const char *text = row->text; /* of the line to come */
	size_t next = 0;
	for (const char *e; r == R_EHLO && (e = offers_extension(s, &next)) != NULL; text = e)
		say_line(s, row->code, false, text);
	say_line(s, row->code, true, text);
}

/* Refusals that an operator wants to tell apart have a name of their own. */
static const char *
event_of(enum reply r)
{
	return r == R_NO_RELAY ? "relay_denied"
		: r == R_AUTH_REFUSED ? "auth_failed"
		: r == R_TOO_MANY_ERRORS ? "too_many_errors" : "refused";
}

/* The queue id stands in front when a message is on its way, as in all lines of one. */
static void
log_refused(struct session *s, enum reply r, struct span what)
{
	char text[LIMIT_LOG_TEXT], helo[LIMIT_LOG_TEXT];
	const struct reply_row *row = reply_row(r);
	struct log_fields f = session_event(s, event_of(r));
	auto_buf said = buf_new(LINE_MAX);
	buf_escape_text(text, sizeof(text), what);
	buf_escape_text(helo, sizeof(helo), span_of(s->client.said.helo));
	buf_printf(&said, "%s ", row->code);
	add_text(s, row->text, &said);
	buf_add(&said, (struct span){ "", 1 });
	f.status = row->code;
	f.command = text;
	f.reply = said.err == 0 ? said.p : row->code;
	f.helo = helo[0] != '\0' ? helo : NULL;
	f.mechanism = r == R_AUTH_REFUSED ? s->client.mechanism : NULL;
	bool coming = f.queue_id != NULL;
	log_event(LOG_NOTICE, &f, "%s%srefused %s: \"%s\": %s", coming ? f.queue_id : "",
		coming ? ": " : "", s->client.peer.text, text, f.reply);
}

/* What a limit keeps away is for the operator to see, but not as often as a client asks. */
static void
note_enough(struct session *s, enum reply r, struct span what)
{
	if (r != R_QUOTA_RCPT || s->client.enough)
		return;
	s->client.enough = true;
	log_refused(s, r, what);
}

/* Counts an error. True: this client may make no other; three wrong passwords are enough (R70). */
static bool
count_error(struct session *s, enum reply r)
{
	return ++s->client.errors >= s->conf.receive.max_errors || !session_may(s, QUOTA_ERRORS) ||
		(r == R_AUTH_REFUSED && s->client.auth_failures >= LIMIT_AUTH_FAILURES);
}

bool
say_and_count(struct session *s, enum reply r, struct span what)
{
	enum reply_kind kind = reply_row(r)->kind;
	note_enough(s, r, what);
	if (kind == REPLY_ERROR || kind == REPLY_CLOSE) {
		log_refused(s, r, what);
		session_count(s, QUOTA_ERRORS, r != R_CROWDED && r != R_SOURCE);
		counters_one(COUNTER_ERRORS);
		if (kind == REPLY_ERROR && count_error(s, r)) {
			say_reply(s, r);
			r = R_TOO_MANY_ERRORS;
			log_refused(s, r, what);
			kind = REPLY_CLOSE;
		}
	}
	say_reply(s, r);
	/* A client over its quota gets no time; nor do those who find no place. */
	s->client.linger =
		kind == REPLY_CLOSE && r != R_QUOTA && r != R_CROWDED && r != R_SOURCE;
	return kind != REPLY_CLOSE && kind != REPLY_LEAVE && !s->client.stream.broken;
}

enum reply
say_to_silence(enum stream_result res)
{
	return res == STREAM_FLOOD ? R_FLOOD : res == STREAM_STOPPED ? R_STOPPING : R_TIMEOUT;
}
