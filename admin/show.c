/*
 * show: one message: its envelope, what happened to it in each lane, its header; or all of it as it
 * came (--raw).
 */
#include "admin/command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "admin/past.h"
#include "admin/pick.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/tlsrequired.h"

enum {
	HEADER = 64 * 1024, /* octets of a header that are shown */
	CHUNK = 16 * 1024,
	NUMBER = 32,
};

struct show {
	struct admin *admin;
	json_t *lanes;   /* what JSON says of each, so far */
	json_t *message; /* and of the message */
	int n;           /* lanes that were shown */
	int err;
};

/* ---- the body ------------------------------------------------------------------------------ */

/* Octets of the body from `at` on, at most n. */
static ssize_t
read_body(int fd, const struct message *m, uint64_t at, char *p, size_t n)
{
	uint64_t left = m->length - at;
	return pread(fd, p, left < n ? (size_t)left : n, m->body + (int64_t)at);
}

/* As it is; but for a terminal, which would do what it says, as text. */
static void
put_raw(struct out *o, struct span text)
{
	while (o->terminal && text.n > 0) {
		const char *end = memchr(text.p, '\n', text.n);
		struct span line = span_line(&text);
		out_text(o, line);
		out_say(o, "%s", end != NULL ? "\n" : "");
	}
	(void)fwrite(text.n > 0 ? text.p : "", 1, text.n, o->to);
}

static int
copy_raw(struct show *s, const struct picked *p)
{
	char chunk[CHUNK];
	auto_fd fd = openat(p->lane->dir, p->id, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (uint64_t at = 0; at < p->m->length;) {
		ssize_t r = read_body(fd, p->m, at, chunk, sizeof(chunk));
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		put_raw(&s->admin->out, (struct span){ chunk, (size_t)r });
		at += (uint64_t)r;
	}
	return 0;
}

/* The header, with its lines' ends as they are. */
static int
read_header(const struct picked *p, struct buf *text)
{
	char chunk[CHUNK];
	auto_fd fd = openat(p->lane->dir, p->id, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (uint64_t at = 0; at < p->m->length && text->err == 0;) {
		ssize_t r = read_body(fd, p->m, at, chunk, sizeof(chunk));
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		at += (uint64_t)r;
		if (text->n + (size_t)r > text->max)
			break;
		buf_add(text, (struct span){ chunk, (size_t)r });
		const char *end = memmem(text->p, text->n, "\r\n\r\n", 4);
		if (end != NULL) {
			text->n = (size_t)(end - text->p) + 2;
			break;
		}
	}
	return 0;
}

/* ---- text ---------------------------------------------------------------------------------- */

static void
say_of(struct out *o, const char *what, struct span value)
{
	out_colour(o, OUT_DIM);
	out_say(o, "%-11s", what);
	out_colour(o, OUT_PLAIN);
	out_text(o, value);
	out_say(o, "\n");
}

static void
say_when(struct out *o, const char *what, int64_t when)
{
	char stamp[CLOCK_STAMP_SIZE];
	clock_stamp(when, stamp);
	say_of(o, what, span_of(stamp));
}

/* What its sender wants of TLS (RFC 8689). */
enum wish { WISH_NONE, WISH_REQUIRED, WISH_OPTIONAL };

static enum wish
wish_of(const struct message *m, struct span header)
{
	struct header walk = { 0 };
	struct header_part part;
	struct tlsrequired t = { 0 };
	while (header_next(&walk, &header, &part))
		tlsrequired_hear(&t, &part);
	return m->env.require_tls ? WISH_REQUIRED
		: tlsrequired_says_no(&t) ? WISH_OPTIONAL : WISH_NONE;
}

static void
print_envelope(struct show *s, const struct picked *p, enum wish wish)
{
	static const char *const wishes[] = { [WISH_REQUIRED] = "required (REQUIRETLS)",
		[WISH_OPTIONAL] = "not required (TLS-Required: No)" };
	struct out *o = &s->admin->out;
	char size[NUMBER];
	out_size(size, sizeof(size), p->m->length);
	out_colour(o, OUT_BOLD);
	out_say(o, "%s\n", p->id);
	out_colour(o, OUT_PLAIN);
	say_when(o, "arrived", p->m->arrived);
	say_of(o, "size", span_of(size));
	say_of(o, "from", p->m->env.sender.n > 0 ? p->m->env.sender : span_of("<>"));
	if (p->m->env.envid.n > 0)
		say_of(o, "envid", p->m->env.envid);
	if (wish != WISH_NONE)
		say_of(o, "TLS", span_of(wishes[wish]));
}

static void
print_line(struct out *o, const struct message *m, const struct entry *line)
{
	static const char *const did[] = { [ENTRY_PUT_OFF] = "put off", [ENTRY_DELIVERED] =
		"delivered", [ENTRY_FAILED] = "failed", [ENTRY_TOLD] = "the sender was told" };
	char stamp[CLOCK_STAMP_SIZE];
	if (!entry_is_event(line))
		return;
	clock_stamp(line->when, stamp);
	bool crashed = line->event == ENTRY_PUT_OFF && line->number == 0;
	out_say(o, "  %s  %s", stamp, crashed ? "a relay died with it" : did[line->event]);
	for (int i = 0; i < m->n; i++)
		if (line->event != ENTRY_PUT_OFF && line->event != ENTRY_TOLD &&
			m->rcpt[i].index == line->number) {
			out_say(o, " <");
			out_text(o, m->rcpt[i].address);
			out_say(o, ">");
		}
	if (line->text.n > 0) {
		out_say(o, ": ");
		out_text(o, line->text);
	}
	out_say(o, "\n");
}

static void
print_lane(struct show *s, const struct picked *p, const struct past *past, int64_t next)
{
	struct out *o = &s->admin->out;
	char when[NUMBER];
	past_say_next(when, sizeof(when), next);
	out_say(o, "\n");
	say_of(o, "lane", span_of(p->lane->name));
	for (int i = 0; i < p->m->n; i++) {
		const struct rcpt *to = &p->m->rcpt[i];
		say_of(o, !to->settled ? "to" : to->outcome == DONE ? "delivered" : "failed",
			to->address);
	}
	say_of(o, "next try", span_of(when));
	struct span rest = buf_span(&past->text);
	for (struct entry line; past_next(&rest, &line);)
		print_line(o, p->m, &line);
}

static void
print_header(struct show *s, struct span text)
{
	struct out *o = &s->admin->out;
	out_say(o, "\n");
	while (text.n > 0) {
		struct span line = span_line(&text);
		out_say(o, "  ");
		/* A blank or tab goes on where the line before ended. */
		out_say(o, "%s", line.n > 0 && line.p[0] == '\t' ? "    " : "");
		out_text(o, line.n > 0 && line.p[0] == '\t' ? span_skip(line, 1) : line);
		out_say(o, "\n");
	}
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static json_t *
events_of(const struct past *past)
{
	static const char *const did[] = { [ENTRY_PUT_OFF] = "deferred", [ENTRY_DELIVERED] =
		"delivered", [ENTRY_FAILED] = "failed", [ENTRY_TOLD] = "told" };
	json_t *all = json_array();
	struct span rest = buf_span(&past->text);
	for (struct entry line; past_next(&rest, &line);)
		if (entry_is_event(&line))
			(void)json_array_append_new(all, json_pack("{s:I, s:s, s:o}",
				"time", (json_int_t)line.when, "event", did[line.event],
				"text", line.text.n > 0 ? out_string(line.text) : json_null()));
	return all;
}

static json_t *
recipients_of(const struct message *m)
{
	json_t *all = json_array();
	for (int i = 0; i < m->n; i++) {
		const struct rcpt *to = &m->rcpt[i];
		(void)json_array_append_new(all, json_pack("{s:o, s:s}", "address",
			out_string(to->address), "state", !to->settled ? "waiting"
			: to->outcome == DONE ? "delivered" : "failed"));
	}
	return all;
}

static void
add_lane(struct show *s, const struct picked *p, const struct past *past, int64_t next)
{
	(void)json_array_append_new(s->lanes, json_pack("{s:o, s:b, s:o, s:i, s:o, s:o}",
		"lane", out_string(span_of(p->lane->name)), "held", p->held, "recipients",
		recipients_of(p->m), "attempts", past->attempts, "next", past_json_next(next),
		"events", events_of(past)));
}

static json_t *
fields_of(struct span text)
{
	json_t *all = json_array();
	while (text.n > 0) {
		struct span line = span_line(&text);
		(void)json_array_append_new(all, out_string(line));
	}
	return all;
}

static json_t *
message_of(const struct message *m, struct span header)
{
	static const char *const wishes[] = { [WISH_NONE] = NULL, [WISH_REQUIRED] = "required",
		[WISH_OPTIONAL] = "optional" };
	return json_pack("{s:s, s:I, s:I, s:o, s:o, s:s?, s:o}", "id", m->id, "arrived",
		(json_int_t)m->arrived, "size", (json_int_t)m->length, "sender",
		out_string(m->env.sender), "envid", m->env.envid.n > 0 ? out_string(m->env.envid)
		: json_null(), "tls", wishes[wish_of(m, header)], "header", fields_of(header));
}

/* ---- all ----------------------------------------------------------------------------------- */

static void
show_lane(struct show *s, const struct picked *p)
{
	struct past past;
	struct lane_state state;
	lane_state(p->lane, &state);
	past_read(&past, p->lane, p->id);
	int64_t next = past_next_try(p->lane, p->id, p->held, &state);
	if (s->admin->out.json)
		add_lane(s, p, &past, next);
	else
		print_lane(s, p, &past, next);
	past_free(&past);
}

static void
show_message(struct show *s, const struct picked *p)
{
	auto_buf header = buf_new(HEADER);
	s->err = read_header(p, &header);
	if (s->admin->out.json)
		s->message = message_of(p->m, buf_span(&header));
	else
		print_envelope(s, p, wish_of(p->m, buf_span(&header)));
	if (!s->admin->out.json)
		print_header(s, buf_span(&header));
}

static bool
show(void *ctx, const struct picked *p)
{
	struct show *s = ctx;
	if (p->m == NULL) {
		s->err = p->err;
		return false;
	}
	s->n++;
	if (admin_option(s->admin, "raw") != NULL) {
		s->err = copy_raw(s, p);
		return false;
	}
	if (s->n == 1)
		show_message(s, p);
	show_lane(s, p);
	return true;
}

static int
run(struct admin *a, int argc, char **argv)
{
	struct show s = { .admin = a, .lanes = json_array() };
	struct pick_visitor v = { show, NULL, &s };
	struct pick p = { .operands = argv, .n = argc, .waiting = true, .held = true,
		.look = true };
	argv[0] = admin_plain(argv[0]);
	if (!id_valid(span_of(argv[0]))) {
		json_decref(s.lanes);
		return admin_misused(a, "%s: not the id of a message", argv[0]);
	}
	int64_t n = pick_each(&p, a, &v);
	if (n < 0 || s.err < 0)
		admin_trouble(a, "%s: %s", argv[0], s.err == -EBADMSG ? "not a whole message"
			: strerror(n < 0 ? (int)-n : -s.err));
	else if (n == 0)
		admin_trouble(a, "%s: not in the queue", argv[0]);
	if (s.message != NULL) {
		(void)json_object_set(s.message, "lanes", s.lanes);
		out_json(&a->out, s.message);
	}
	json_decref(s.lanes);
	return n < 0 || s.err < 0 ? ADMIN_LATER : n == 0 ? ADMIN_NOTHING : ADMIN_DONE;
}

static const struct command_option options[] = {
	{ "raw", NULL, "the message as it was taken, with CRLF at the end of lines" },
	{ NULL, NULL, NULL },
};

const struct command command_show = {
	.name = "show",
	.operands = "ID",
	.what = "one message: envelope, header, attempts",
	.needs = NEEDS_QUEUE,
	.least = 1,
	.most = 1,
	.options = options,
	.run = run,
};
