#include "submit/talk.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/limits.h"
#include "mail/address.h"
#include "submit/ways.h"

enum {
	WORD_MAX = 1000,
	LINES_MAX = 200,     /* of a reply */
	/* RFC 5321 section 4.5.3.2, s. smtpd may take its time to sync a large message. */
	TIME_COMMAND = 300,
	TIME_BLOCK = 180,
	TIME_END = 600,
	TIME_LAST_WORD = 5, /* of one to whom nothing can be said any more */
};

int64_t
talk_patience(int64_t seconds)
{
	const char *given = secure_getenv("POSTERN_PATIENCE");
	int64_t n = given != NULL ? span_number(span_of(given)) : -1;
	return clock_deadline(n > 0 && n < seconds ? n : seconds);
}

struct span
talk_word(const struct talk *t)
{
	return buf_span(&t->word);
}

static int
lost(struct talk *t, enum stream_result r)
{
	t->code = 0;
	t->closed = r == STREAM_EOF || r == STREAM_BROKEN;
	buf_reset(&t->word);
	buf_puts(&t->word, r == STREAM_TIMEOUT ? "it does not answer"
		: t->closed ? "it closed the connection"
		: "it says what is not SMTP");
	return EX_TEMPFAIL;
}

/* Is the text of a reply about rights? "550 5.7.1 ..." */
static bool
is_about_rights(struct span line)
{
	return line.n > 7 && memcmp(line.p + 4, "5.7", 3) == 0;
}

/* What a refusal for good means; `usual` if it is not about rights. */
static int
status_of(int code, struct span line, int usual)
{
	if (code / 100 == 2 || code / 100 == 3)
		return EX_OK;
	if (code / 100 != 5)
		return EX_TEMPFAIL;
	return is_about_rights(line) ? EX_NOPERM : usual;
}

/* A line of the reply to EHLO. */
static void
note_offer(struct talk *t, struct span line)
{
	struct span word = span_word(&line, " ");
	t->size = t->size || span_ieq(word, span_of("SIZE"));
	t->eightbit = t->eightbit || span_ieq(word, span_of("8BITMIME"));
	t->dsn = t->dsn || span_ieq(word, span_of("DSN"));
	t->utf8 = t->utf8 || span_ieq(word, span_of("SMTPUTF8"));
}

/* Reads a reply, all its lines. */
static int
hear(struct talk *t, int64_t deadline, int usual)
{
	enum { CODE = 3 };
	struct span line;
	for (int i = 0; i < LINES_MAX; i++) {
		enum stream_result r = stream_line(&t->stream, LIMIT_REPLY_LINE, LIMIT_REPLY,
			deadline, &line);
		if (r != STREAM_OK)
			return lost(t, r);
		bool more = line.n > CODE && line.p[CODE] == '-';
		int64_t code = line.n < CODE ? -1 : span_number((struct span){ line.p, CODE });
		if (code < 200 || code > 599 || (line.n > CODE && !more && line.p[CODE] != ' '))
			return lost(t, STREAM_BAD);
		if (line.n > CODE)
			note_offer(t, span_skip(line, CODE + 1));
		if (more)
			continue;
		t->code = (int)code;
		buf_reset(&t->word);
		buf_escape(&t->word, line, WORD_MAX / 4);
		return status_of(t->code, line, usual);
	}
	return lost(t, STREAM_FLOOD);
}

/* Until when there may be an answer; where nothing could be said there is a last word, or none. */
static int64_t
answer_by(const struct talk *t, int64_t deadline)
{
	return t->stream.broken ? talk_patience(TIME_LAST_WORD) : deadline;
}

/* Says a command and hears the reply. */
static int
ask(struct talk *t, const struct buf *command, int usual)
{
	int64_t deadline = talk_patience(TIME_COMMAND);
	if (command->err != 0)
		return EX_DATAERR;
	stream_put(&t->stream, buf_span(command), deadline);
	(void)stream_flush(&t->stream, deadline);
	return hear(t, answer_by(t, deadline), usual);
}

/* "220 NAME ESMTP ..." */
static void
note_name(struct talk *t)
{
	struct span greeting = talk_word(t);
	(void)span_word(&greeting, " ");
	struct span name = span_word(&greeting, " ");
	if (name.n < sizeof(t->name) && address_is_helo(name))
		snprintf(t->name, sizeof(t->name), "%.*s", (int)name.n, name.p);
}

int
talk_begin(struct talk *t, int fd, pid_t child)
{
	auto_buf hello = buf_new(LIMIT_COMMAND);
	t->fd = fd;
	t->child = child;
	t->bol = true;
	t->word = buf_new(WORD_MAX);
	stream_init(&t->stream, fd, fd, false, NULL);
	int status = hear(t, talk_patience(TIME_COMMAND), EX_TEMPFAIL);
	if (status != EX_OK)
		return EX_TEMPFAIL;
	note_name(t);
	t->size = t->eightbit = t->dsn = t->utf8 = false;
	buf_puts(&hello, "EHLO localhost\r\n");
	return ask(t, &hello, EX_TEMPFAIL) == EX_OK ? EX_OK : EX_TEMPFAIL;
}

int
talk_mail(struct talk *t, const struct talk_mail *m)
{
	auto_buf b = buf_new(LIMIT_COMMAND);
	buf_puts(&b, "MAIL FROM:<");
	buf_add(&b, m->sender);
	buf_puts(&b, ">");
	if (t->size)
		buf_printf(&b, " SIZE=%lld", (long long)m->size);
	if (t->eightbit && m->eightbit)
		buf_puts(&b, " BODY=8BITMIME");
	if (t->utf8 && m->utf8)
		buf_puts(&b, " SMTPUTF8");
	if (t->dsn && m->ret != NULL)
		buf_printf(&b, " RET=%s", m->ret);
	if (t->dsn && m->envid != NULL)
		buf_printf(&b, " ENVID=%s", m->envid);
	buf_puts(&b, "\r\n");
	return ask(t, &b, EX_DATAERR);
}

int
talk_rcpt(struct talk *t, struct span address, const char *notify)
{
	auto_buf b = buf_new(LIMIT_COMMAND);
	buf_puts(&b, "RCPT TO:<");
	buf_add(&b, address);
	buf_puts(&b, ">");
	if (t->dsn && notify != NULL)
		buf_printf(&b, " NOTIFY=%s", notify);
	buf_puts(&b, "\r\n");
	return ask(t, &b, EX_NOUSER);
}

bool
talk_is_full(const struct talk *t)
{
	static const struct span full = { "452 4.5.3", 9 };
	return span_starts(talk_word(t), full);
}

int
talk_data(struct talk *t)
{
	auto_buf b = buf_new(LIMIT_COMMAND);
	buf_puts(&b, "DATA\r\n");
	int status = ask(t, &b, EX_DATAERR);
	return status == EX_OK && t->code / 100 != 3 ? lost(t, STREAM_BAD) : status;
}

/* With a dot before each that begins a line (section 4.5.2). */
void
talk_text(struct talk *t, struct span piece)
{
	int64_t deadline = talk_patience(TIME_BLOCK);
	while (piece.n > 0 && !t->stream.broken) {
		const char *lf = memchr(piece.p, '\n', piece.n);
		struct span line = { piece.p, lf != NULL ? (size_t)(lf - piece.p) + 1 : piece.n };
		if (t->bol && line.p[0] == '.')
			stream_put(&t->stream, span_of("."), deadline);
		stream_put(&t->stream, line, deadline);
		t->bol = lf != NULL;
		piece = span_skip(piece, line.n);
	}
}

int
talk_end(struct talk *t)
{
	int64_t deadline = talk_patience(TIME_END);
	if (!t->stream.broken)
		stream_put(&t->stream, span_of(".\r\n"), deadline);
	(void)stream_flush(&t->stream, deadline);
	int status = hear(t, answer_by(t, deadline), EX_DATAERR);
	return status == EX_OK && t->code / 100 != 2 ? lost(t, STREAM_BAD) : status;
}

void
talk_close(struct talk *t, bool quit)
{
	if (t->fd < 0)
		return;
	if (quit) {
		stream_put(&t->stream, span_of("QUIT\r\n"), talk_patience(1));
		(void)stream_flush(&t->stream, talk_patience(1));
	}
	close(t->fd);
	t->fd = -1;
	ways_reap(t->child);
	buf_free(&t->word);
}
