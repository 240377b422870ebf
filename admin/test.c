/*
 * test: sends one message, and follows it to its end.
 *
 * It goes the way of all mail: to smtpd, on a pipe, then to the relay of its login, which is rung
 * for or started here and goes on when this ends. Nobody is told by a report, for this tells. A
 * message that is settled leaves the queue, and a relay need not write into its file what became of
 * it; so that, and what the host answered, is read in the log.
 *
 * Who has no right to the queue sends as every user of this host does: sendmail, with no more
 * rights than its caller, speaks with the socket for local mail, which knows who he is. What
 * becomes of the message is read in the log alone, as far as he may read one.
 */
#include "admin/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "admin/checked.h"
#include "admin/source.h"
#include "conf/people.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "mail/address.h"
#include "process/launch.h"
#include "process/program.h"
#include "process/ring.h"
#include "queue/lane.h"
#include "queue/message.h"

enum {
	WHY_SIZE = 4096,
	SAID_MAX = 64 * 1024,
	SMTPD_PATIENCE = 120, /* s for smtpd to take it */
	WAIT = 30,            /* s for its end, unless --wait does: less than the first retry */
	WAIT_MAX = 7 * 24 * 60 * 60,
	LOOK = 200,           /* ms between two looks at the queue */
	LOG_PATIENCE = 3,     /* s for the log to have the answer that the queue knows of */
	TIME_TEXT = 40,
};

/* The message, as far as it has come. */
struct trial {
	char lane[LANE_NAME_SIZE];
	char id[ID_SIZE];
	struct lane l;
	int64_t next;     /* when it is tried again, as it was told last; 0: it was put off never */
	int attempts;
	int64_t begun;    /* clock_ms */
	bool unseen;      /* this user may not look into the queue */
	json_t *all;
};

/* ---- to smtpd ------------------------------------------------------------------------------ */

/* `from` NULL: sendmail knows whom its caller sends as. */
static void
write_message(const struct admin *a, const char *from, const char *to, struct buf *out)
{
	char date[CLOCK_DATE_SIZE];
	clock_date(clock_wall(), date);
	const char *name = a->conf.who.hostname;
	if (from != NULL)
		buf_printf(out, "From: <%s>\r\n", from);
	buf_printf(out, "To: <%s>\r\nDate: %s\r\n", to, date);
	buf_printf(out, "Message-ID: <%lld.postern-test@%s>\r\nSubject: A test from %s\r\n"
		"Auto-Submitted: auto-generated\r\n\r\n", (long long)clock_wall_us(), name, name);
	buf_printf(out, "This message was sent by \"postern test\" on %s,\r\nto see whether mail "
		"gets to you. Nothing need be done.\r\n", name);
}

static void
write_script(const struct admin *a, const char *from, const char *to, struct buf *out)
{
	buf_printf(out, "EHLO %s\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s> NOTIFY=NEVER\r\nDATA\r\n",
		a->conf.who.hostname, from, to);
	write_message(a, from, to, out);
	buf_puts(out, ".\r\nQUIT\r\n");
}

/* The id stands behind "queued as"; else the last line that refuses is what matters. */
static bool
read_replies(struct span said, char id[static ID_SIZE], struct span *refusal)
{
	static const char queued[] = "queued as ";
	*refusal = (struct span){ 0 };
	while (said.n > 0) {
		struct span line = span_line(&said);
		const char *at = line.n > 0 ? memmem(line.p, line.n, queued, strlen(queued)) : NULL;
		size_t skip = at != NULL ? (size_t)(at - line.p) + strlen(queued) : 0;
		struct span rest = span_skip(line, skip), word = span_word(&rest, " ");
		if (at != NULL && id_valid(word)) {
			snprintf(id, ID_SIZE, "%.*s", (int)word.n, word.p);
			return true;
		}
		if (refusal->n == 0 && line.n > 0 && (line.p[0] == '4' || line.p[0] == '5'))
			*refusal = line;
	}
	return false;
}

/* Started by smtpd, a relay could be done with it before this has looked. So it starts none. */
static int
submit(struct admin *a, const char *from, const char *to, struct trial *t)
{
	const char *arg[LAUNCH_ARGUMENTS];
	auto_buf path = buf_new(WHY_SIZE), script = buf_new(ERRAND_INPUT), said = buf_new(SAID_MAX);
	struct span refusal;
	checked_path(&a->conf, "smtpd", &path);
	write_script(a, from, to, &script);
	launch_arguments(&a->options.conf, path.p, "-o", "max_connections=0", arg);
	int r = errand_talk(arg, buf_span(&script), SMTPD_PATIENCE, &said);
	if (r < 0) {
		admin_trouble(a, "%s: %s", path.p, strerror(-r));
		return ADMIN_LATER;
	}
	if (read_replies(buf_span(&said), t->id, &refusal))
		return ADMIN_DONE;
	admin_trouble(a, "smtpd did not take it: %.*s", (int)refusal.n,
		refusal.n > 0 ? refusal.p : "");
	(void)json_object_set_new(t->all, "answer", out_string(refusal));
	return refusal.n > 0 && refusal.p[0] == '5' ? ADMIN_NOTHING : ADMIN_LATER;
}

/*
 * The same by sendmail, whose own word stands on standard error if it was not taken. By the socket
 * of the service alone: another mail system may listen on port 25.
 */
static int
submit_as_caller(struct admin *a, const char *from, const char *to, struct trial *t)
{
	auto_buf path = buf_new(WHY_SIZE), text = buf_new(ERRAND_INPUT), said = buf_new(SAID_MAX);
	struct span refusal;
	checked_path(&a->conf, "sendmail", &path);
	write_message(a, from, to, &text);
	(void)setenv("POSTERN_SOCKET", PEOPLE_SOCKET, 0);
	const char *arg[] = { path.p, "-i", "-v", "-N", "never", "--", to, NULL, NULL, NULL };
	const char *const rest[] = { "-f", from, "--", to };
	if (from != NULL)
		memcpy(&arg[5], rest, sizeof(rest));
	int r = errand_talk(arg, buf_span(&text), SMTPD_PATIENCE, &said);
	if (r == EX_OK && read_replies(buf_span(&said), t->id, &refusal))
		return ADMIN_DONE;
	if (r < 0)
		admin_trouble(a, "%s: %s", path.p, strerror(-r));
	if (r == EX_NOPERM || r == EX_NOUSER || r == EX_DATAERR)
		return ADMIN_NOTHING;
	admin_trouble(a, "%s and root can send without that socket: try \"sudo postern test\"",
		a->conf.who.user);
	return ADMIN_LATER;
}

/* ---- what becomes of it -------------------------------------------------------------------- */

/* A line on the way, for people. */
static void
say(struct admin *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
say(struct admin *a, const char *fmt, ...)
{
	auto_buf b = buf_new(WHY_SIZE);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	if (a->out.json)
		return;
	out_text(&a->out, buf_span(&b));
	out_say(&a->out, "\n");
	fflush(a->out.to);
}

static bool
is_queued(const struct trial *t)
{
	struct stat st;
	return fstatat(t->l.dir, t->id, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* When it is tried again: by itself, or with its lane. 0: nothing was tried yet. */
static int64_t
next_of(const struct trial *t)
{
	struct lane_state st;
	lane_state(&t->l, &st);
	int64_t own = message_next(&t->l, t->id);
	return st.down && st.next > own ? st.next : own;
}

static void
note_delay(struct admin *a, struct trial *t)
{
	char text[TIME_TEXT];
	int64_t next = next_of(t);
	if (next <= 1 || next == t->next)
		return;
	t->next = next;
	t->attempts++;
	out_duration(text, sizeof(text), next - clock_wall());
	say(a, "attempt %d: it was put off; next try in %s", t->attempts, text);
}

/* Until it has left the lane, or its next attempt lies behind the end. */
static void
follow(struct admin *a, struct trial *t, int64_t seconds)
{
	int64_t end = clock_deadline(seconds), wall = clock_wall() + seconds;
	while (is_queued(t) && clock_left(end) > 0) {
		note_delay(a, t);
		if (t->next > wall)
			return;
		(void)poll(NULL, 0, LOOK);
	}
}

/* ---- what the host said -------------------------------------------------------------------- */

/* What an event says that is an end, in the words of each format of the log. */
static const char *
end_of(const json_t *event)
{
	static const struct {
		const char *said, *word;
	} ends[] = { { ": delivered <", "delivered" }, { ": bounced <", "failed" },
		{ "status=sent", "delivered" }, { "status=bounced", "failed" },
		{ "\"delivered\"", "delivered" }, { "\"bounced\"", "failed" } };
	const char *text = json_string_value(json_object_get(event, "text"));
	for (size_t i = 0; text != NULL && i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strstr(text, ends[i].said) != NULL)
			return ends[i].word;
	return NULL;
}

/* "delivered", "failed", or NULL: the log does not say. */
static const char *
end_among(const json_t *events)
{
	size_t i;
	json_t *e;
	const char *word = NULL;
	json_array_foreach(events, i, e)
		word = word != NULL ? word : end_of(e);
	return word;
}

/* What the log has of it. `patience`: s in which its end is waited for; 0: it has none. Owned. */
static json_t *
read_log(struct trial *t, struct source *src, int64_t patience)
{
	int64_t end = clock_deadline(patience);
	json_t *events = json_array();
	do {
		struct stories s;
		if (story_begin_all(&s) < 0)
			break;
		struct story *one = story_of(&s, span_of(t->id));
		one->waits = patience == 0;
		if (t->lane[0] != '\0')
			story_note_lane(one, span_of(t->lane));
		source_tell(src, &s);
		json_decref(events);
		events = json_incref(one->events);
		story_end_all(&s);
	} while (patience > 0 && end_among(events) == NULL && clock_left(end) > 0 &&
		poll(NULL, 0, LOOK) == 0);
	return events;
}

/*
 * How it ended, and the status. Whoever may not look into the queue has the log alone, for so many
 * seconds.
 */
static int
tell_end(struct admin *a, struct trial *t, struct source *src, int64_t seconds)
{
	size_t i;
	json_t *e;
	bool waits = !t->unseen && is_queued(t), any = src->diary != NULL || src->text != NULL;
	int64_t patience = t->unseen ? seconds : LOG_PATIENCE;
	json_t *events = read_log(t, src, waits || !any ? 0 : patience);
	const char *word = waits ? "waiting" : end_among(events);
	if (t->unseen && word == NULL)
		word = json_array_size(events) > 0 ? "waiting" : "queued";
	json_array_foreach(events, i, e)
		if (!a->out.json)
			story_say(&a->out, e);
	(void)json_object_set_new(t->all, "events", events);
	word = word != NULL ? word : "gone";
	int64_t took = clock_ms() - t->begun;
	say(a, "%s after %lld.%lld s%s", word, (long long)(took / 1000),
		(long long)(took % 1000 / 100), strcmp(word, "waiting") == 0
		? "; \"postern trace\" and \"postern explain\" say why" : "");
	if (strcmp(word, "queued") == 0)
		admin_trouble(a, "no log that this user may read says what becomes of it; "
			"\"sudo postern trace %s\" does", t->id);
	if (strcmp(word, "gone") == 0)
		admin_trouble(a, "it has left the queue, and no log that this user may read says "
			"what became of it");
	(void)json_object_set_new(t->all, "state", json_string(word));
	(void)json_object_set_new(t->all, "milliseconds", json_integer(took));
	return strcmp(word, "delivered") == 0 ? ADMIN_DONE
		: strcmp(word, "failed") == 0 ? ADMIN_NOTHING : ADMIN_LATER;
}

/* ---- all of it ----------------------------------------------------------------------------- */

/* The lane that it is in, which may be another one than that of its address. 0 or -errno. */
static int
find_lane(struct admin *a, struct trial *t)
{
	auto_dir d = dir_open(a->spool.lanes);
	for (const char *name; d != NULL && (name = dir_next(d)) != NULL;) {
		if (!lane_name_valid(span_of(name)) || lane_open(&t->l, &a->spool, name) < 0)
			continue;
		snprintf(t->lane, sizeof(t->lane), "%s", name);
		if (is_queued(t))
			return 0;
		lane_close(&t->l);
	}
	return -ENOENT;
}

static void
ring(struct admin *a, const struct trial *t)
{
	struct launcher l = { .spool = &a->spool, .conf = &a->conf, .args = &a->options.conf };
	ring_prepare(&l);
	pid_t pid = ring_lane(&l, t->lane);
	if (ring_is_trouble(pid))
		admin_trouble(a, "%s: %s", a->conf.who.relay_path, strerror(-pid));
	else if (pid == -EAGAIN && a->conf.relay.max_connections == 0)
		admin_trouble(a, "max_connections is 0, so nothing is delivered");
}

static int
send_one(struct admin *a, const char *from, const char *to, int64_t seconds, struct source *src,
	struct trial *t)
{
	struct address rcpt;
	if (address_mailbox(span_of(to), &rcpt) < 0)
		return admin_misused(a, "%s: not an address", to);
	int status = submit(a, from, to, t);
	if (status != ADMIN_DONE)
		return status;
	if (find_lane(a, t) < 0) {
		admin_trouble(a, "%s was queued, and is not found in the queue", t->id);
		return ADMIN_LATER;
	}
	say(a, "queued as %s, in lane %s", t->id, t->lane);
	ring(a, t);
	follow(a, t, seconds);
	return tell_end(a, t, src, seconds);
}

static int
send_as_caller(struct admin *a, const char *from, const char *to, int64_t seconds,
	struct source *src, struct trial *t)
{
	struct address rcpt;
	if (address_mailbox(span_of(to), &rcpt) < 0)
		return admin_misused(a, "%s: not an address", to);
	t->unseen = true;
	int status = submit_as_caller(a, from, to, t);
	if (status != ADMIN_DONE)
		return status;
	say(a, "queued as %s, as every user of this host sends", t->id);
	return tell_end(a, t, src, seconds);
}

/*
 * As the user of the service, with the queue open. *denied: this user may not, and there is nothing
 * else wrong; then nothing was said if the service is the one that all users know.
 */
static int
open_queue(struct admin *a, bool *denied)
{
	auto_buf why = buf_new(WHY_SIZE);
	int r = program_drop_root(&a->conf, &a->from, &a->options, &why);
	if (r == 0) {
		r = spool_open(&a->spool, a->conf.who.spool);
		*denied = (r == -EPERM || r == -EACCES) && a->options.conf.file == NULL;
		if (*denied)
			return ADMIN_LATER;
		if (r == -EPERM || r == -EACCES)
			buf_printf(&why, "mail is queued by %s and root alone; try \"sudo postern "
				"test\": ", a->conf.who.user);
		if (r < 0)
			spool_explain(a->conf.who.spool, r, &why);
	}
	if (r == 0)
		return ADMIN_DONE;
	admin_trouble(a, "%.*s", (int)why.n, why.n > 0 ? why.p : "");
	return ADMIN_LATER;
}

static int
run(struct admin *a, int argc, char **argv)
{
	struct source src = { .diary = NULL };
	struct trial t = { .l = LANE_CLOSED, .begun = clock_ms() };
	struct address sender;
	const char *given = admin_option(a, "wait");
	const char *named = admin_plain(admin_option(a, "from"));
	bool denied = false;
	int64_t seconds = given != NULL ? span_number(span_of(given)) : WAIT;
	(void)argc;
	argv[0] = admin_plain(argv[0]);
	if (seconds < 0 || seconds > WAIT_MAX)
		return admin_misused(a, "--wait %s: not a number of seconds", given);
	if (named != NULL && address_mailbox(span_of(named), &sender) < 0)
		return admin_misused(a, "--from %s: not an address", named);
	signal(SIGPIPE, SIG_IGN); /* of smtpd */
	tzset();
	(void)source_open(a, &src);
	int status = open_queue(a, &denied); /* which may read the configuration again */
	const char *from = named != NULL || denied ? named : a->conf.who.postmaster;
	t.all = json_pack("{s:o, s:o}", "to", out_string(span_of(argv[0])), "from",
		from != NULL ? out_string(span_of(from)) : json_null());
	if (denied)
		status = send_as_caller(a, from, argv[0], seconds, &src, &t);
	else if (status == ADMIN_DONE)
		status = send_one(a, from, argv[0], seconds, &src, &t);
	if (a->out.json && (status <= ADMIN_NOTHING || t.id[0] != '\0')) {
		(void)json_object_set_new(t.all, "id", json_string(t.id));
		(void)json_object_set_new(t.all, "lane", out_string(span_of(t.lane)));
		(void)json_object_set_new(t.all, "attempts_put_off", json_integer(t.attempts));
		out_json(&a->out, t.all);
	} else {
		json_decref(t.all);
	}
	lane_close(&t.l);
	source_close(&src);
	return status;
}

static const struct command_option options[] = {
	{ "from", "ADDRESS", "the sender; else postmaster, or who calls" },
	{ "wait", "SECONDS", "how long it is followed (30)" },
	{ "log", "FILE", "read the answer in this log of text, not the journal" },
	{ "journal", "PATH", "read it in the journal in this file or directory" },
	{ NULL, NULL, NULL },
};

const struct command command_test = {
	.name = "test",
	.operands = "ADDRESS",
	.what = "sends one message, and follows it to its end",
	.needs = NEEDS_CONF,
	.least = 1,
	.most = 1,
	.options = options,
	.run = run,
};
