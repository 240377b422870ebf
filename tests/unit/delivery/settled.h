/* settled: a relay at work on the lane of d.example, a message of it with its outcomes, and a report. */
#ifndef POSTERN_SETTLED_H
#define POSTERN_SETTLED_H

#include "tests/unit/delivery/at_work.h"

#include <sys/socket.h>

#include "delivery/settle.h"
#include "lib/cleanup.h"

enum {
	RETRY = 100,
	RETRY2 = 200,
	EXPIRE = 10000,
	WARNING = 1000,
	TEXT = 64 * 1024,
	SLOW = 30 /* s that the machine may take */
};

/* ---- what there is to settle, and what came of it ----------------------------------------- */

static int keeper; /* what it is told is read there */

/* A relay at work on the lane of d.example, for a login that no other lane needs. */
static inline int
start(void **state)
{
	const char *options[] = { "hostname=us.example", "retry=100s 200s", "expire=10000s",
		"delay_warning=1000s", "max_connections=1" };
	auto_buf why = buf_new(TEXT);
	const struct conf_args args = {
		.file = "/dev/null", .options = options, .n = ROWS(options)
	};
	if (setup(state) < 0)
		return -1;
	log_open(LOG_TO_NONE, "test");
	r = (struct relay){ .hosts = { .dir = -1 } };
	if (conf_load(&r.common, &args, NULL, &why) < 0 || hire() < 0)
		return -1;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	r.keeper = ends[0];
	keeper = ends[1];
	return 0;
}

static inline int
stop(void **state)
{
	dismiss();
	close(r.keeper);
	close(keeper);
	conf_free(&r.common);
	return teardown(state);
}

/* Queues a message for u0, u1, ... @d.example, opens it and its lane. */
static inline void
queue(struct message *m, size_t recipients, const struct envelope *e, unsigned notify)
{
	char address[64];
	assert_int_equal(draft_begin(&d, &sp, e), 0);
	for (size_t i = 0; i < recipients; i++) {
		snprintf(address, sizeof(address), "u%zu@d.example", i);
		assert_int_equal(draft_recipient(&d, "d.example", span_of(address),
					 &(struct terms){ .notify = notify }),
			0);
	}
	draft_body(&d, span_of("Subject: x\r\n\r\nx\r\n"));
	assert_int_equal(draft_commit(&d), 0);
	lane_close(&tour.lane);
	assert_int_equal(lane_open(&tour.lane, &sp, "d.example"), 0);
	assert_int_equal(message_open(m, &tour.lane, d.id), 0);
	assert_int_equal(m->n, recipients);
}

/* Outcomes are written "DSH"; G is SOFT by a greylist, g DONE where a greylist was before. */
static inline void
set_outcomes(struct message *m, const char *outcomes)
{
	for (int i = 0; i < m->n; i++) {
		struct rcpt *to = &m->rcpt[i];
		to->outcome = strchr("Dg", outcomes[i]) != NULL ? DONE
			      : outcomes[i] == 'H'		? HARD
								: SOFT;
		to->grey = strchr("Gg", outcomes[i]) != NULL;
		buf_puts(&to->text, "mx[192.0.2.1]:25: 550 5.1.1 no");
	}
}

/* The one message of a lane, whole, and takes it away; "" if there is none. */
static inline void
take_report(const char *name, char out[static TEXT])
{
	struct lane lane;
	out[0] = '\0';
	if (lane_open(&lane, &sp, name) < 0)
		return;
	auto_dir dir = fdopendir(openat(lane.dir, ".", O_RDONLY | O_DIRECTORY));
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		if (!id_valid(span_of(e->d_name)))
			continue;
		assert_string_equal(out, ""); /* one report, no more */
		auto_fd fd = openat(lane.dir, e->d_name, O_RDONLY);
		ssize_t n = read(fd, out, TEXT - 1);
		assert_true(n > 0);
		out[n] = '\0';
		assert_int_equal(message_remove(&lane, e->d_name), 0);
	}
	lane_close(&lane);
}

#endif
