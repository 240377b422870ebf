/*
 * top: what goes on, on a screen that is drawn anew every other second: sessions, connections, the
 * queue, what is counted and how fast. `--once` prints it as text.
 */
#include "admin/command.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "admin/connections.h"
#include "admin/frame.h"
#include "admin/screen.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "process/numbers.h"
#include "queue/held.h"

enum {
	DELAY = 2,        /* s between two frames, unless --delay says otherwise */
	DELAY_MAX = 3600,
	ROWS = 10000, COLUMNS = 80, /* of --once: all lanes there are */
	FRAME_SIZE = 1024 * 1024,
	NAME_SIZE = 32, STATUS_SIZE = 4096, ARGUMENTS_SIZE = 64 * 1024,
};

/* What is shown of the counters: some are sums. The last of each row is COUNTERS. */
static const struct {
	const char *name;
	enum counter of[9];
} rates[] = {
	{ "clients", { COUNTER_CONNECTIONS, COUNTERS } },
	{ "messages accepted", { COUNTER_MESSAGES_ACCEPTED, COUNTERS } },
	{ "octets accepted", { COUNTER_OCTETS_ACCEPTED, COUNTERS } },
	{ "refused for now", { COUNTER_REFUSED_4YZ, COUNTERS } },
	{ "refused for good", { COUNTER_REFUSED_5YZ, COUNTERS } },
	{ "recipients delivered", { COUNTER_DELIVERED, COUNTERS } },
	{ "recipients put off", { COUNTER_DEFERRED_DNS, COUNTER_DEFERRED_CONNECT,
		COUNTER_DEFERRED_TLS, COUNTER_DEFERRED_AUTH, COUNTER_DEFERRED_LOST,
		COUNTER_DEFERRED_HOST_4YZ, COUNTER_DEFERRED_HOST_5YZ, COUNTER_DEFERRED_OURS,
		COUNTERS } },
	{ "tries without a host", { COUNTER_LANES_DEFERRED_DNS, COUNTER_LANES_DEFERRED_CONNECT,
		COUNTER_LANES_DEFERRED_TLS, COUNTER_LANES_DEFERRED_AUTH,
		COUNTER_LANES_DEFERRED_LOST, COUNTER_LANES_DEFERRED_HOST_4YZ,
		COUNTER_LANES_DEFERRED_HOST_5YZ, COUNTER_LANES_DEFERRED_OURS, COUNTERS } },
	{ "recipients failed", { COUNTER_BOUNCED_DNS, COUNTER_BOUNCED_HOST_5YZ,
		COUNTER_BOUNCED_OURS, COUNTER_BOUNCED_EXPIRED, COUNTERS } },
};

enum { RATES = sizeof(rates) / sizeof(rates[0]) };
_Static_assert((int)RATES <= (int)FRAME_RATES, "a frame has no room for them");

/* What was seen in the last frame. */
struct before {
	int64_t at; /* clock_ms; 0: there was none */
	uint64_t total[RATES];
};

/* ---- processes ----------------------------------------------------------------------------- */

/* The value of a line of /proc/<pid>/status. */
static struct span
line_of(struct span status, const char *name)
{
	while (status.n > 0) {
		struct span line = span_line(&status), key = span_word(&line, ":");
		if (span_eq(key, span_of(name)))
			return span_trim(span_skip(line, line.n > 0));
	}
	return (struct span){ 0 };
}

/* What a command line says of the configuration; nothing: nothing. */
struct which {
	struct span file, spool;
};

static void
take_argument(struct which *w, struct span option, struct span value)
{
	static const struct span spool = { "spool=", 6 };
	if (span_eq(option, span_of("-c")))
		w->file = value;
	else if (span_eq(option, span_of("-o")) && span_starts(value, spool))
		w->spool = span_skip(value, spool.n);
}

/* Has a process the configuration that we have? Others of this user serve another spool. */
static bool
is_ours(const struct admin *a, int proc, const char *pid)
{
	char path[NAME_SIZE], text[ARGUMENTS_SIZE];
	struct which mine = { .file = { 0 } }, its = { .file = { 0 } };
	const struct conf_args *args = &a->options.conf;
	if (args->file != NULL)
		mine.file = span_of(args->file);
	for (int i = 0; i < args->n; i++)
		take_argument(&mine, span_of("-o"), span_of(args->options[i]));
	snprintf(path, sizeof(path), "%.20s/cmdline", pid);
	auto_fd fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	struct span rest = { text, n > 0 ? (size_t)n : 0 }, last = { 0 };
	while (rest.n > 0) {
		struct span word = span_cut(&rest, '\0');
		take_argument(&its, last, word);
		last = word;
	}
	return span_eq(mine.file, its.file) && span_eq(mine.spool, its.spool);
}

/* Of /proc/PID/status: the text, in `room`. */
static struct span
status_of(int proc, const char *pid, char room[static STATUS_SIZE])
{
	char path[NAME_SIZE];
	snprintf(path, sizeof(path), "%.20s/status", pid);
	auto_fd fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, room, STATUS_SIZE);
	return (struct span){ room, n > 0 ? (size_t)n : 0 };
}

/*
 * What talks to a client or a host has locked itself in: it has a filter of system calls more than
 * the process of its name that forked it, a monitor or a keeper. In a container all have some.
 */
static bool
is_locked_in(int proc, struct span status)
{
	char room[STATUS_SIZE], parent[NAME_SIZE];
	struct span pid = line_of(status, "PPid");
	snprintf(parent, sizeof(parent), "%.*s", (int)pid.n, pid.p);
	struct span its = status_of(proc, parent, room);
	return span_eq(line_of(its, "Name"), line_of(status, "Name")) &&
		span_number(line_of(its, "Seccomp_filters")) <
			span_number(line_of(status, "Seccomp_filters"));
}

static void
count_process(const struct admin *a, struct frame *f, int proc, const char *pid)
{
	char text[STATUS_SIZE];
	struct span status = status_of(proc, pid, text);
	struct span name = line_of(status, "Name"), uid = line_of(status, "Uid");
	bool known = span_eq(name, span_of("smtpd")) || span_eq(name, span_of("relay"));
	if (!known || span_number(span_digits(uid)) != (int64_t)geteuid() ||
		!is_locked_in(proc, status) || !is_ours(a, proc, pid))
		return;
	f->sessions += span_eq(name, span_of("smtpd"));
	f->relays += span_eq(name, span_of("relay"));
}

static void
count_processes(const struct admin *a, struct frame *f)
{
	auto_dir proc = opendir("/proc");
	for (const char *name; proc != NULL && (name = dir_next(proc)) != NULL;)
		if (ascii_digit(name[0]))
			count_process(a, f, dirfd(proc), name);
	struct connections c;
	if (connections_read(&c, geteuid()) < 0)
		return;
	f->connections = c.all;
	connections_free(&c);
}

/* ---- the queue ----------------------------------------------------------------------------- */

/* Messages, and the oldest of them. */
static void
count_messages(int dir, struct frame_lane *out)
{
	auto_dir d = dir_open(dir);
	for (const char *id; d != NULL && (id = dir_next(d)) != NULL;) {
		if (!id_valid(span_of(id)))
			continue;
		int64_t came = id_time(id);
		out->messages++;
		out->oldest = out->oldest == 0 || came < out->oldest ? came : out->oldest;
	}
}

static void
count_lane(struct frame *f, const struct spool *spool, const char *name)
{
	struct lane l = LANE_CLOSED;
	struct lane_state st;
	struct frame_lane one = { .messages = 0 };
	if (lane_look(&l, spool, name) < 0)
		return;
	count_messages(l.dir, &one);
	lane_state(&l, &st);
	lane_close(&l);
	if (one.messages == 0)
		return;
	snprintf(one.name, sizeof(one.name), "%s", name);
	one.next = st.next;
	one.down = st.down;
	one.attempts = st.attempts;
	f->messages += one.messages;
	f->lanes++;
	f->down += st.down;
	f->oldest = f->oldest == 0 || one.oldest < f->oldest ? one.oldest : f->oldest;
	frame_add_lane(f, &one);
}

static void
count_held(struct frame *f, const struct spool *spool)
{
	auto_fd held = held_open_all(spool);
	auto_dir d = held >= 0 ? dir_open(held) : NULL;
	for (const char *name; d != NULL && (name = dir_next(d)) != NULL;) {
		struct lane l;
		struct frame_lane one = { .messages = 0 };
		if (!lane_name_valid(span_of(name)) || held_open(&l, spool, name) < 0)
			continue;
		count_messages(l.dir, &one);
		lane_close(&l);
		f->held += one.messages;
	}
}

static void
count_queue(struct frame *f, const struct spool *spool)
{
	auto_dir d = dir_open(spool->lanes);
	for (const char *name; d != NULL && (name = dir_next(d)) != NULL;)
		if (lane_name_valid(span_of(name)))
			count_lane(f, spool, name);
	if (spool->root >= 0)
		count_held(f, spool);
}

/* ---- counters ------------------------------------------------------------------------------ */

static uint64_t
sum(const struct counters *c, const enum counter *of)
{
	uint64_t n = 0;
	for (; *of != COUNTERS; of++)
		n += atomic_load_explicit(&c->value[*of], memory_order_relaxed);
	return n;
}

static void
count_rates(struct frame *f, const struct counters *c, struct before *b)
{
	int64_t now = clock_ms();
	for (int i = 0; i < RATES; i++) {
		uint64_t total = sum(c, rates[i].of);
		double each = b->at == 0 || now <= b->at || total < b->total[i] ? -1
			: (double)(total - b->total[i]) * 1000 / (double)(now - b->at);
		f->rate[i] = (struct frame_rate){ rates[i].name, total, each };
		b->total[i] = total;
	}
	f->rates = RATES;
	b->at = now;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static void
look(struct admin *a, struct frame *f, const struct counters *c, const char *why,
	struct before *b)
{
	*f = (struct frame){ .host = a->conf.who.hostname, .now = clock_wall(), .uncounted = why };
	count_processes(a, f);
	count_queue(f, &a->spool);
	if (c != NULL)
		count_rates(f, c, b);
}

static json_t *
lanes_of(const struct frame *f)
{
	json_t *list = json_array();
	for (int i = 0; i < f->shown; i++)
		(void)json_array_append_new(list, json_pack("{s:o, s:I, s:o, s:o, s:b}", "lane",
			out_string(span_of(f->lane[i].name)), "messages",
			(json_int_t)f->lane[i].messages, "oldest", out_time(f->lane[i].oldest),
			"next", json_integer(f->lane[i].next), "down", f->lane[i].down));
	return list;
}

static void
print_json(struct admin *a, const struct frame *f)
{
	json_t *counted = json_array();
	for (int i = 0; i < f->rates; i++)
		(void)json_array_append_new(counted, json_pack("{s:s, s:I, s:o}", "name",
			f->rate[i].name, "total", (json_int_t)f->rate[i].total, "each_second",
			f->rate[i].each >= 0 ? json_real(f->rate[i].each) : json_null()));
	out_json(&a->out, json_pack("{s:i, s:i, s:i, s:I, s:I, s:I, s:o, s:o, s:o}", "sessions",
		f->sessions, "relays", f->relays, "connections", f->connections, "messages",
		(json_int_t)f->messages, "down", (json_int_t)f->down, "held", (json_int_t)f->held,
		"oldest", out_time(f->oldest), "counters", counted, "lanes", lanes_of(f)));
}

static void
print_once(struct admin *a, const struct frame *f)
{
	auto_buf text = buf_new(FRAME_SIZE);
	if (a->out.json) {
		print_json(a, f);
		return;
	}
	frame_print(f, ROWS, COLUMNS, a->out.utf8, &text);
	for (struct span rest = buf_span(&text); rest.n > 0;) {
		out_text(&a->out, span_line(&rest));
		out_say(&a->out, "\n");
	}
}

/* Until somebody says q. */
static int
watch(struct admin *a, struct frame *f, const struct counters *c, const char *why, int delay)
{
	struct before b = { .at = 0 };
	const char *trouble = screen_open();
	if (trouble != NULL) {
		admin_trouble(a, "%s; --once prints it as text", trouble);
		return ADMIN_LATER;
	}
	for (int key = 0; key != 'q' && key != 'Q';) {
		auto_buf text = buf_new(FRAME_SIZE);
		int rows, columns;
		if (key != SCREEN_RESIZED)
			look(a, f, c, why, &b);
		screen_size(&rows, &columns);
		frame_print(f, rows, columns, a->out.utf8, &text);
		screen_draw(buf_span(&text));
		key = screen_key(delay * 1000);
	}
	screen_close();
	return ADMIN_DONE;
}

static int
run(struct admin *a, int argc, char **argv)
{
	static struct frame frame;
	struct before none = { .at = 0 };
	char path[NUMBERS_PATH];
	const char *given = admin_option(a, "delay"), *why = NULL;
	int64_t delay = given != NULL ? span_number(span_of(given)) : DELAY;
	(void)argc;
	(void)argv;
	if (delay < 1 || delay > DELAY_MAX)
		return admin_misused(a, "--delay %s: not a number of seconds", given);
	const struct counters *c = numbers_map(a->conf.who.runtime, path, &why);
	if (c != NULL)
		why = NULL;
	if (admin_option(a, "once") == NULL && !a->out.json && a->out.terminal)
		return watch(a, &frame, c, why, (int)delay);
	look(a, &frame, c, why, &none);
	print_once(a, &frame);
	return ADMIN_DONE;
}

static const struct command_option options[] = {
	{ "once", NULL, "print one picture as text, as if it were no terminal" },
	{ "delay", "SECONDS", "between two pictures (2)" },
	{ NULL, NULL, NULL },
};

const struct command command_top = {
	.name = "top",
	.operands = "",
	.what = "what goes on now: sessions, connections, lanes, rates; q quits",
	.needs = NEEDS_QUEUE,
	.least = 0,
	.most = 0,
	.options = options,
	.run = run,
};
