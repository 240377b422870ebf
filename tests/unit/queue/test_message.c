/* message: what is seen of one without opening it, and what its log remembers (K14). */
#include "tests/unit/spooled.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/crc.h"
#include "queue/message.h"
#include "queue/draft.h"

static struct lane lane;

/* Its name is in d.id, its lane is open. */
static void
queue_text(const struct envelope *e, struct span text)
{
	assert_int_equal(draft_begin(&d, &sp, e), 0);
	assert_int_equal(draft_recipient(&d, "d.example", span_of("u@d.example"), &(struct terms){ 0 }), 0);
	draft_body(&d, text);
	assert_int_equal(draft_commit(&d), 0);
	assert_int_equal(lane_open(&lane, &sp, "d.example"), 0);
}

static void
queue(const struct envelope *e)
{
	queue_text(e, span_of("x\r\n"));
}

static void
put_away(void)
{
	assert_int_equal(message_remove(&lane, d.id), 0);
	lane_close(&lane);
}

static void
test_glance(void **state)
{
	(void)state;
	struct message m;
	char long_text[600];
	memset(long_text, 'x', sizeof(long_text));
	struct span text = { long_text, 500 };
	const struct envelope e = { .sender = text, .utf8 = true, .require_tls = true, .ret = RET_FULL,
		.whole = true, .envid = text, .auth = text, .body = BODY_BINARYMIME, .by = 1700000000,
		.by_mode = 'N', .by_trace = true, .hold = 1600000000, .priority = -9 };
	queue(&e);
	int64_t before = clock_wall();
	assert_int_equal(message_glance(&m, &lane, d.id), 0);
	assert_true(m.arrived <= before && m.arrived > before - 60);
	assert_int_equal(m.env.by, e.by);
	assert_int_equal(m.env.by_mode, 'N');
	assert_int_equal(m.env.hold, e.hold);
	assert_int_equal(m.told, 0);
	assert_int_equal(m.n, 0);
	message_close(&m);
	put_away();
	assert_int_equal(message_glance(&m, &lane, d.id), -EBADF);
}

/* What is not to be seen is opened, and found out about there. */
static void
test_glance_damage(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "\n", "To: ", MESSAGE_MAGIC "\nFrom: a@b\n",
		MESSAGE_MAGIC "\nBy: 1 N\nTo: d.example" };
	struct message m;
	queue(&(struct envelope){ .sender = span_of("a@b.example") });
	for (size_t i = 0; i < ROWS(texts); i++) {
		int fd = openat(lane.dir, d.id, O_WRONLY | O_TRUNC | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
		close(fd);
		assert_int_equal(message_glance(&m, &lane, d.id), -EBADMSG);
		assert_int_equal(m.fd, -1);
	}
	assert_int_equal(message_glance(&m, &lane, "01hf0000000000000001"), -ENOENT);
	put_away();
}

/* Told once is told for ever; odd lines tell nothing. */
static void
test_told(void **state)
{
	(void)state;
	struct message m;
	char log[ID_SIZE + 4];
	queue(&(struct envelope){ .sender = span_of("a@b.example") });
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(message_tell(&m, &lane, TOLD_DELAYED), 0);
	assert_true(message_next(&lane, d.id) <= clock_wall());
	assert_int_equal(message_note(&m, &lane, 5, true), 0);
	message_close(&m);
	assert_int_equal(message_glance(&m, &lane, d.id), 0);
	assert_int_equal(m.told, TOLD_DELAYED);
	assert_int_equal(message_tell(&m, &lane, TOLD_OVERDUE), 0);
	message_close(&m);
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(m.told, TOLD_DELAYED | TOLD_OVERDUE);
	assert_int_equal(m.attempts, 1);
	message_close(&m);

	static const char odd[] = "1 told 4\n1 told -1\n1 told x\n1 told\n1 told 99999999999999999999\n1 tell 1\n";
	snprintf(log, sizeof(log), "%s.log", d.id);
	int fd = openat(lane.dir, log, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, odd, sizeof(odd) - 1), sizeof(odd) - 1);
	close(fd);
	assert_int_equal(message_glance(&m, &lane, d.id), 0);
	assert_int_equal(m.told, 0);
	message_close(&m);
	put_away();
}

/* As many recipients as the configuration allows, each with a long reply: none is forgotten. */
static void
test_many_replies(void **state)
{
	(void)state;
	enum { MANY = 10000, REPLY = 1000 };
	char address[64], reply[REPLY];
	struct message m;
	memset(reply, 'x', sizeof(reply));
	assert_int_equal(draft_begin(&d, &sp, &(struct envelope){ .sender = span_of("a@b.example") }), 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(address, sizeof(address), "u%d@d.example", i);
		assert_int_equal(draft_recipient(&d, "d.example", span_of(address), &(struct terms){ 0 }), 0);
	}
	draft_body(&d, span_of("x\r\n"));
	assert_int_equal(draft_commit(&d), 0);
	assert_int_equal(lane_open(&lane, &sp, "d.example"), 0);
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(m.n, MANY);
	for (int i = 1; i < MANY; i++) { /* the first waits */
		m.rcpt[i].outcome = i % 2 != 0 ? DONE : HARD;
		m.rcpt[i].text = buf_new(REPLY);
		buf_add(&m.rcpt[i].text, (struct span){ reply, sizeof(reply) });
	}
	assert_int_equal(message_note(&m, &lane, 5, true), 0);
	message_close(&m);
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(m.rcpt[i].settled, i > 0);
	message_close(&m);
	put_away();
}

/* ---- states (S3) -------------------------------------------------------------------------- */

/* For four recipients, of whom u1 is of another lane; open. */
static void
queue_four(struct message *m)
{
	begin("s@s.example");
	add("d.example", "u0@d.example");
	add("e.example", "u1@e.example");
	add("d.example", "u2@d.example");
	add("d.example", "u3@d.example");
	draft_body(&d, span_of(BODY));
	assert_int_equal(draft_commit(&d), 0);
	open_lane(&lane, "d.example");
	assert_int_equal(message_open(m, &lane, d.id), 0);
}

static void
assert_states(const char *want)
{
	struct span text = slurp(lane.dir, d.id);
	const char *states = memmem(text.p, text.n, "States: ", 8);
	assert_non_null(states);
	assert_true(span_eq((struct span){ states + 8, strlen(want) }, span_of(want)));
}

/* A mark changes one octet, and is all that is needed. */
static void
test_marks(void **state)
{
	(void)state;
	struct message m;
	struct stat before, after;
	queue_four(&m);
	assert_true(message_waits(&m));
	assert_int_equal(message_try_mark(&m, true), 0);
	assert_states("wwww");
	assert_int_equal(fstat(m.fd, &before), 0);
	m.rcpt[0].outcome = HARD;
	m.rcpt[2].outcome = DONE;
	assert_int_equal(message_mark(&m, &lane), 0);
	assert_states("fwwd");
	assert_int_equal(fstat(m.fd, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(names("lane/d.example"), 1); /* no log */
	message_close(&m);

	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_true(m.rcpt[0].settled && !m.rcpt[1].settled && m.rcpt[2].settled);
	assert_int_equal(m.rcpt[0].outcome, HARD);
	assert_int_equal(m.rcpt[2].outcome, DONE);
	assert_int_equal(message_try_mark(&m, false), 0);
	m.rcpt[0].outcome = DONE; /* what is settled stays as it is */
	m.rcpt[1].outcome = DONE;
	assert_int_equal(message_mark(&m, &lane), 0);
	assert_states("fwdd");
	message_close(&m);
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_false(message_waits(&m));
	message_close(&m);
	lane_close(&lane);

	open_lane(&lane, "e.example"); /* the other lane waits as before */
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_true(message_waits(&m));
	message_close(&m);
	assert_int_equal(message_remove(&lane, d.id), 0);
	lane_close(&lane);
	open_lane(&lane, "d.example");
	put_away();
}

/* Where it cannot be written to, that is known before it is sent. */
static void
test_not_markable(void **state)
{
	(void)state;
	struct message m;
	queue_four(&m);
	int good = m.fd;
	m.fd = openat(lane.dir, d.id, O_RDONLY | O_CLOEXEC);
	m.rcpt[0].outcome = DONE;
	assert_int_equal(message_try_mark(&m, false), -EBADF);
	assert_int_equal(message_mark(&m, &lane), -EBADF);
	close(m.fd);
	m.fd = good;
	message_close(&m);
	assert_states("wwww");
	put_away();
}

/* A file of the version before has no states: outcomes go into its log, so on a full disk it waits. */
static void
test_without_states(void **state)
{
	(void)state;
	static const char head[] = MESSAGE_MAGIC "\nArrived: 5\nFrom: a@b\nTo: d.example u@d.example\n"
		"To: d.example v@d.example\n\n";
	char end[MESSAGE_END_SIZE + 1];
	struct message m;
	queue(&(struct envelope){ .sender = span_of("a@b.example") });
	message_end(end, 0, crc32c(0, head, sizeof(head) - 1), d.id);
	struct buf file = buf_new(1000);
	buf_puts(&file, head);
	buf_puts(&file, end);
	spill(lane.dir, d.id, buf_span(&file));
	buf_free(&file);
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(message_try_mark(&m, false), 0);
	assert_int_equal(message_try_mark(&m, true), -ENOSPC);
	m.rcpt[1].outcome = DONE;
	assert_int_equal(message_mark(&m, &lane), 0);
	assert_int_equal(message_note(&m, &lane, 5, true), 0);
	message_close(&m);
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_true(!m.rcpt[0].settled && m.rcpt[1].settled && m.attempts == 1);
	assert_int_equal(message_try_mark(&m, true), 0); /* one who waits needs no mark: it goes */
	message_close(&m);
	put_away();
}

/* ---- the log ------------------------------------------------------------------------------ */

/* Nothing waits any more, and what failed is still known. */
static void
test_make_due(void **state)
{
	(void)state;
	struct message m;
	struct lane_state st;
	queue(&(struct envelope){ .sender = span_of("a@b.example") });
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(message_note(&m, &lane, clock_wall() + 1000, true), 0);
	assert_int_equal(lane_set_down(&lane, 3, clock_wall() + 1000, "no"), 0);
	lane_make_due(&lane);
	assert_int_equal(message_next(&lane, d.id), 1); /* 0 is that there is no log */
	lane_state(&lane, &st);
	assert_int_equal(st.next, 0);
	assert_int_equal(st.attempts, 3);
	lane_set_up(&lane);
	assert_int_equal(lane_settle(&lane), 0);
	lane_make_due(&lane); /* a relay that is at work sees that the mark is gone */
	assert_int_equal(faccessat(lane.dir, LANE_RETRY, F_OK, 0), -1);
	message_close(&m);
	put_away();
}

/* M12, I14: how often a relay died with it in hand stands in its log, and is an attempt. */
static void
test_crashes(void **state)
{
	(void)state;
	struct message m;
	int times = 0;
	queue(&(struct envelope){ .sender = span_of("a@b.example") });
	assert_false(message_has_crashed(&lane, d.id));
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(message_note(&m, &lane, 5, true), 0);
	message_close(&m);
	assert_false(message_has_crashed(&lane, d.id)); /* an attempt is no crash */
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(message_note_crash(&lane, d.id, &times), 0);
		assert_int_equal(times, i);
		assert_true(message_has_crashed(&lane, d.id));
	}
	assert_false(message_has_crashed(&lane, ID));
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(m.crashes, 3);
	assert_int_equal(m.attempts, 1 + 3);
	assert_int_equal(message_note(&m, &lane, 5, true), 0); /* one that ended otherwise */
	message_close(&m);
	assert_int_equal(message_note_crash(&lane, d.id, &times), 0);
	assert_int_equal(times, 4);
	assert_true(message_has_crashed(&lane, d.id));
	put_away();
}

/* Terms of a recipient of another lane are not those of ours before it. */
static void
test_terms(void **state)
{
	(void)state;
	struct message m;
	assert_int_equal(draft_begin(&d, &sp, &(struct envelope){ .sender = span_of("a@b.example") }), 0);
	assert_int_equal(draft_recipient(&d, "d.example", span_of("u@d.example"), &(struct terms){ 0 }), 0);
	assert_int_equal(draft_recipient(&d, "e.example", span_of("v@e.example"),
		&(struct terms){ .notify = NOTIFY_NEVER, .orcpt = span_of("rfc822;x") }), 0);
	draft_body(&d, span_of("x\r\n\xc3\xa9\r\n"));
	assert_int_equal(draft_commit(&d), 0);
	assert_int_equal(lane_open(&lane, &sp, "d.example"), 0);
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(m.n, 1);
	assert_int_equal(m.rcpt[0].terms.notify, 0);
	assert_int_equal(m.rcpt[0].terms.orcpt.n, 0);
	assert_true(m.eightbit);
	message_close(&m);
	lane_close(&lane);
	assert_int_equal(lane_open(&lane, &sp, "e.example"), 0);
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(m.rcpt[0].terms.notify, NOTIFY_NEVER);
	message_close(&m);
	put_away();
	queue(&(struct envelope){ .sender = span_of("a@b.example") });
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_false(m.eightbit);
	message_close(&m);
	put_away();
}

/* J10: what cannot be written down is said to have failed, not taken for written. */
static void
test_full(void **state)
{
	(void)state;
	struct message m;
	struct rlimit old, small;
	queue(&(struct envelope){ .sender = span_of("a@b.example") });
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_IGN);
	/* nothing of a line fits, or a part of it */
	for (rlim_t room = 0; room <= 10; room += 10) {
		small = (struct rlimit){ room, old.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		int r = message_note(&m, &lane, 5, true);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		assert_true(r < 0);
		assert_int_equal(message_next(&lane, d.id), 5); /* for which there is room */
	}
	message_close(&m);
	put_away();
}

/* A message that cannot be removed keeps its log: who was served is not served again. */
static void
test_log_goes_last(void **state)
{
	(void)state;
	struct message m;
	char log[ID_SIZE + 4];
	queue(&(struct envelope){ .sender = span_of("a@b.example") });
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(message_note(&m, &lane, 5, true), 0);
	message_close(&m);
	snprintf(log, sizeof(log), "%s.log", d.id);
	assert_int_equal(unlinkat(lane.dir, d.id, 0), 0);
	assert_int_equal(mkdirat(lane.dir, d.id, 0700), 0);
	assert_true(message_remove(&lane, d.id) < 0);
	assert_true(exists(lane.dir, log));
	assert_int_equal(unlinkat(lane.dir, d.id, AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(lane.dir, log, 0), 0);
	lane_close(&lane);
}

/* Of a message that was never tried no log is looked for, nor when it goes; of any other it is. */
static void
test_first_time(void **state)
{
	(void)state;
	struct message m;
	char log[ID_SIZE + 4];
	queue(&(struct envelope){ .sender = span_of("a@b.example") });
	snprintf(log, sizeof(log), "%s.log", d.id);
	assert_int_equal(message_next(&lane, d.id), 0);
	assert_true(message_next(&(struct lane){ .dir = -1 }, d.id) != 0); /* who knows? */
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_true(m.untold);
	assert_int_equal(message_note(&m, &lane, 5, true), 0); /* behind the back of the next one */
	message_close(&m);
	assert_int_equal(message_open_first(&m, &lane, d.id), 0);
	assert_true(m.untold && m.attempts == 0);
	message_close(&m);
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_true(!m.untold && m.attempts == 1);
	assert_int_equal(message_finish(&m, &lane), 0);
	message_close(&m);
	assert_false(exists(lane.dir, d.id) || exists(lane.dir, log));
	lane_close(&lane);

	queue(&(struct envelope){ .sender = span_of("a@b.example") });
	assert_int_equal(message_open_first(&m, &lane, d.id), 0);
	assert_int_equal(message_finish(&m, &lane), 0);
	assert_int_equal(message_finish(&m, &lane), -ENOENT);
	message_close(&m);
	assert_false(exists(lane.dir, d.id));
	lane_close(&lane);
}

/*
 * What a host has to know to be able to take it, whatever its client said of it: SMTPUTF8 is needed
 * by a header, BINARYMIME by what is not lines (L1).
 */
static void
test_needs(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t n; /* 0: its length */
		bool eightbit, global, binary;
	} rows[] = {
		{ "Subject: x\r\n\r\nx\r\n", 0, false, false, false },
		{ "Subject: x\r\n\r\n\xc3\xa4\r\n", 0, true, false, false },
		{ "Subject: \xc3\xa4\r\n\r\nx\r\n", 0, true, true, false },
		{ "Subject: x\r\n\r\nno end", 0, false, false, false },
		{ "Subject: x\r\n\r\na\nb\r\n", 0, false, false, true },
		{ "Subject: x\r\n\r\na\rb\r\n", 0, false, false, true },
		{ "Subject: x\r\n\r\nx\r", 0, false, false, true },
		{ "Subject: x\r\n\r\n\0\r\n", 17, false, false, true },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		for (int said = 0; said < 2; said++) {
			struct message m;
			const struct envelope e = { .sender = span_of("a@b.example"), .utf8 = said,
				.body = said ? BODY_BINARYMIME : BODY_8BITMIME };
			size_t n = rows[i].n > 0 ? rows[i].n : strlen(rows[i].text);
			queue_text(&e, (struct span){ rows[i].text, n });
			assert_int_equal(message_open(&m, &lane, d.id), 0);
			if (m.eightbit != rows[i].eightbit ||
				message_is_global(&m) != (said && rows[i].global) ||
				m.binary != (said && rows[i].binary))
				fail_msg("row %zu, %d: %d %d %d", i, said, m.eightbit,
					message_is_global(&m), m.binary);
			message_close(&m);
			put_away();
		}
}

/* R85: what the header says of TLS, but where its client asked for it with MAIL. */
static void
test_tls_optional(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool required, want;
	} rows[] = {
		{ "Subject: x\r\nTLS-Required: No\r\n\r\nx\r\n", false, true },
		{ "Subject: x\r\nTLS-Required: No\r\n\r\nx\r\n", true, false },
		{ "Subject: x\r\n\r\nTLS-Required: No\r\n", false, false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m;
		const struct envelope e = { .sender = span_of("a@b.example"),
			.require_tls = rows[i].required };
		queue_text(&e, span_of(rows[i].text));
		assert_int_equal(message_open(&m, &lane, d.id), 0);
		assert_int_equal(m.tls_optional, rows[i].want);
		message_close(&m);
		put_away();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glance),
		cmocka_unit_test(test_glance_damage),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_many_replies),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_not_markable),
		cmocka_unit_test(test_without_states),
		cmocka_unit_test(test_make_due),
		cmocka_unit_test(test_crashes),
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_tls_optional),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_log_goes_last),
		cmocka_unit_test(test_first_time),
		cmocka_unit_test(test_needs),
	};
	return cmocka_run_group_tests_name("message", tests, setup, teardown);
}
