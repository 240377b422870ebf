#include "submit/deliver.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/address.h"
#include "submit/fields.h"
#include "submit/talk.h"

enum {
	TALKS_MAX = 40, /* transactions of 100 domains each; a user may have 50 connections */
	TIME_CROWDED = 15, /* s, in which a place is tried for while all are taken */
	PAUSE_FIRST = 100, PAUSE_MOST = 2000, /* ms between two, each twice the one before */
	SHOWN = 200,
	HEADER_MAX = 3 * TEXT_HEADER, /* with a domain behind each name */
};

struct talks {
	struct deliver *d;
	enum way way; /* of all of them */
	struct talk *v[TALKS_MAX];
	size_t n;
};

static void
close_all(struct talks *ts, bool quit)
{
	for (size_t i = 0; i < ts->n; i++) {
		talk_close(ts->v[i], quit);
		free(ts->v[i]);
	}
	ts->n = 0;
}

static void
say(struct deliver *d, const char *what, struct span word)
{
	buf_reset(&d->said);
	buf_printf(&d->said, "%s: %.*s", what, (int)word.n, word.n > 0 ? word.p : "");
}

/* ---- connections ----------------------------------------------------------------------------- */

static void
pause_before(int try)
{
	long ms = PAUSE_FIRST;
	for (int i = 1; i < try && ms < PAUSE_MOST; i++)
		ms *= 2;
	ms = ms < PAUSE_MOST ? ms : PAUSE_MOST;
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	(void)nanosleep(&t, NULL);
}

/* A way that is there, and has no place just now, or ended before it said a word: try again? */
static bool
is_crowded(const struct talk *t)
{
	return t->code == 421 || (t->code == 0 && t->closed);
}

/* One conversation by this way; EX_OK, or a status and a reason behind those in *why. */
static int
begin(const struct way_terms *ways, enum way way, struct talk *t, struct buf *why)
{
	int64_t until = talk_patience(TIME_CROWDED);
	for (int try = 1;; try++) {
		pid_t child;
		int fd = ways_open(ways, way, &child);
		if (fd == -EACCES && way != WAY_LOCAL)
			return EX_TEMPFAIL; /* not for us: not worth a word */
		if (fd >= 0 && talk_begin(t, fd, child) == EX_OK)
			return EX_OK;
		bool again = fd >= 0 && way == WAY_LOCAL && is_crowded(t) && clock_left(until) > 0;
		struct span word = fd < 0 ? span_of(strerror(-fd)) : talk_word(t);
		if (!again)
			buf_printf(why, "%s%s: %.*s", why->n > 0 ? "; " : "",
				ways_name(ways, way), (int)word.n, word.n > 0 ? word.p : "");
		if (fd >= 0)
			talk_close(t, false);
		if (!again)
			return EX_TEMPFAIL;
		pause_before(try);
	}
}

/* One more, by the way of the first. */
static int
add_talk(struct talks *ts)
{
	struct talk *t = ts->n < TALKS_MAX ? calloc(1, sizeof(*t)) : NULL;
	int status = EX_TEMPFAIL;
	if (t == NULL) {
		say(ts->d, "the message", span_of(ts->n < TALKS_MAX ? "no memory"
			: "too many recipients in too many domains"));
		return ts->n < TALKS_MAX ? EX_TEMPFAIL : EX_DATAERR;
	}
	t->fd = -1;
	buf_reset(&ts->d->said);
	if (ts->n > 0)
		status = begin(ts->d->ways, ts->way, t, &ts->d->said);
	else
		for (ts->way = 0; ts->way < WAYS && status != EX_OK; ts->way++)
			status = begin(ts->d->ways, ts->way, t, &ts->d->said);
	if (status != EX_OK) {
		free(t);
		return status;
	}
	if (ts->n == 0)
		ts->way--;
	ts->v[ts->n++] = t;
	return EX_OK;
}

int
deliver_connect(const struct way_terms *ways, struct buf *said)
{
	for (enum way way = 0; way < WAYS; way++) {
		pid_t child;
		int fd = way == WAY_PIPE ? -EACCES : ways_open(ways, way, &child);
		if (fd >= 0)
			return fd;
		if (fd != -EACCES || way == WAY_LOCAL)
			buf_printf(said, "%s%s: %s", said->n > 0 ? "; " : "",
				ways_name(ways, way), strerror(-fd));
	}
	return -1;
}

/* ---- the envelope ---------------------------------------------------------------------------- */

/*
 * With the domain of this host. Its postmaster has a name without one, and smtpd knows where that
 * goes (RFC 5321 section 4.5.1).
 */
static struct span
complete(const struct recipient *r, const char *domain, bool to, struct buf *room)
{
	struct span address = span_of(r->address);
	if (!r->bare || address.n == 0 || (to && span_ieq(address, span_of("postmaster"))))
		return address;
	buf_reset(room);
	buf_printf(room, "%s@%s", r->address, domain);
	return buf_span(room);
}

static bool
needs_utf8(const struct deliver *d)
{
	bool ascii = span_is_ascii(span_of(d->sender.address));
	for (size_t i = 0; i < d->to->n && ascii; i++)
		ascii = span_is_ascii(span_of(d->to->v[i].address));
	return !ascii;
}

static int
say_mail(struct talks *ts, int64_t size)
{
	struct deliver *d = ts->d;
	auto_buf room = buf_new(LIMIT_COMMAND);
	struct talk_mail m = { .sender = complete(&d->sender, d->domain, false, &room),
		.size = size, .eightbit = d->text->eightbit, .utf8 = needs_utf8(d),
		.ret = d->ret, .envid = d->envid };
	struct talk *t = ts->v[ts->n - 1];
	int status = talk_mail(t, &m);
	if (status != EX_OK) {
		auto_buf what = buf_new(SHOWN);
		buf_puts(&what, "sender <");
		buf_escape(&what, m.sender, SHOWN / 5);
		buf_puts(&what, ">");
		buf_add(&what, (struct span){ "", 1 });
		say(d, what.p, talk_word(t));
	}
	return status;
}

/* One recipient, in a further transaction if the one that is open has no place for it. */
static int
say_rcpt(struct talks *ts, const struct recipient *r, int64_t size, size_t *here)
{
	struct deliver *d = ts->d;
	auto_buf room = buf_new(LIMIT_COMMAND);
	struct span address = complete(r, d->domain, true, &room);
	int status = talk_rcpt(ts->v[ts->n - 1], address, d->notify);
	if (status != EX_OK && *here > 0 && talk_is_full(ts->v[ts->n - 1])) {
		*here = 0;
		if ((status = add_talk(ts)) != EX_OK || (status = say_mail(ts, size)) != EX_OK)
			return status;
		status = talk_rcpt(ts->v[ts->n - 1], address, d->notify);
	}
	++*here;
	if (status != EX_OK) {
		auto_buf what = buf_new(SHOWN);
		buf_puts(&what, "recipient <");
		buf_escape(&what, address, SHOWN / 5);
		buf_puts(&what, ">");
		buf_add(&what, (struct span){ "", 1 });
		say(d, what.p, talk_word(ts->v[ts->n - 1]));
	}
	return status;
}

static int
say_envelope(struct talks *ts, int64_t size)
{
	size_t here = 0; /* recipients of the transaction that is open */
	int status = say_mail(ts, size);
	for (size_t i = 0; i < ts->d->to->n && status == EX_OK; i++)
		status = say_rcpt(ts, &ts->d->to->v[i], size, &here);
	return status;
}

/* ---- the text -------------------------------------------------------------------------------- */

static void
send_piece(void *ctx, struct span piece)
{
	talk_text(ctx, piece);
}

/* All but the end. */
static int
send_text(struct talks *ts, struct talk *t, const struct buf *header)
{
	int status = talk_data(t);
	if (status != EX_OK) {
		say(ts->d, "the message", talk_word(t));
		return status;
	}
	talk_text(t, buf_span(header));
	talk_text(t, span_of("\r\n"));
	int r = store_read(&ts->d->text->body, send_piece, t);
	if (r < 0)
		say(ts->d, "what was kept of the message", span_of(strerror(-r)));
	return r < 0 ? EX_IOERR : EX_OK;
}

/* From here on there is an answer to wait for. */
static void
hold_signals(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2,
		SIGTSTP, SIGXCPU };
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_IGN);
}

/* The last dots. */
static int
end_all(struct talks *ts)
{
	int status = EX_OK;
	size_t done = 0;
	hold_signals();
	while (done < ts->n && (status = talk_end(ts->v[done])) == EX_OK)
		done++;
	if (done == ts->n) {
		say(ts->d, ways_name(ts->d->ways, ts->way), talk_word(ts->v[0]));
		return EX_OK;
	}
	say(ts->d, done == 0 ? "the message" : "queued for some of the recipients only",
		talk_word(ts->v[done]));
	return done == 0 ? status : EX_TEMPFAIL;
}

static void
choose_domain(struct deliver *d, const struct talk *t)
{
	auto_buf doubt = buf_new(LIMIT_COMMAND);
	if (d->domain[0] == '\0' && address_is_domain(span_of(t->name)))
		snprintf(d->domain, sizeof(d->domain), "%s", t->name);
	if (d->domain[0] == '\0')
		hostname_default(d->domain, &doubt);
}

static void
write_header(struct deliver *d, struct buf *header)
{
	auto_buf room = buf_new(LIMIT_COMMAND);
	struct span given = buf_span(&d->text->header);
	struct span author = complete(&d->author, d->domain, false, &room);
	char address[2 * LIMIT_PATH];
	snprintf(address, sizeof(address), "%.*s", (int)author.n, author.n > 0 ? author.p : "");
	struct fields_origin o = { .domain = d->domain, .address = address, .name = d->name };
	fields_write(given, d->domain, header);
	fields_add_missing(given, &o, header);
}

static int
converse(struct talks *ts, struct buf *header)
{
	enum { BETWEEN = 2 }; /* the empty line */
	choose_domain(ts->d, ts->v[0]);
	write_header(ts->d, header);
	if (header->err != 0) {
		say(ts->d, "the header", span_of("it is too large"));
		return EX_DATAERR;
	}
	int status = say_envelope(ts, (int64_t)header->n + BETWEEN + ts->d->text->body.size);
	for (size_t i = 0; i < ts->n && status == EX_OK; i++)
		status = send_text(ts, ts->v[i], header);
	return status == EX_OK ? end_all(ts) : status;
}

int
deliver_message(struct deliver *d)
{
	static struct talks ts;
	auto_buf header = buf_new(HEADER_MAX);
	ts = (struct talks){ .d = d };
	int status = add_talk(&ts);
	if (status == EX_OK)
		status = converse(&ts, &header);
	close_all(&ts, status == EX_OK);
	return status;
}
