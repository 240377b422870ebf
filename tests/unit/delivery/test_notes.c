/* notes: what is said between the first process and the relay at work, and what comes of it (I14). */
#include "tests/unit/delivery/at_work.h"

#include <sys/socket.h>

#include "delivery/notes.h"
#include "lib/cleanup.h"

enum { TEXT = 4096 };

static int keeper; /* the other end of r.keeper */

/* A relay without a login; mail for other.example needs one. Its only courier is busy. */
static int
start(void **state)
{
	static const char routes[] = "hostname = us.example\nmax_connections = 1\n"
		"[route other]\ndomains = other.example\nhosts = [192.0.2.1]:587\n"
		"delivery_user = us\ndelivery_password_file = /nowhere\n";
	char path[sizeof(top) + 10];
	auto_buf why = buf_new(TEXT);
	int ends[2];
	if (setup(state) < 0)
		return -1;
	log_open(LOG_TO_NONE, "test");
	snprintf(path, sizeof(path), "%s/conf", top);
	spill(sp.root, "conf", span_of(routes));
	r = (struct relay){ .hosts = { .dir = -1 } };
	snprintf(r.login_name, sizeof(r.login_name), LOGIN_NONE);
	if (conf_load(&r.common, &(struct conf_args){ .file = path }, NULL, &why) < 0 || hire() < 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	r.keeper = ends[0];
	keeper = ends[1];
	return 0;
}

static int
stop(void **state)
{
	dismiss();
	if (r.keeper >= 0)
		close(r.keeper);
	if (keeper >= 0)
		close(keeper);
	conf_free(&r.common);
	return teardown(state);
}

/* What the first process hears; NULL: nothing. */
static void
hears(enum note_kind kind, const char *lane, const char *id)
{
	struct note n;
	if (lane != NULL) {
		assert_int_equal(notes_receive(keeper, &n, NULL), 1);
		assert_int_equal(n.kind, kind);
		assert_string_equal(n.lane, lane);
		assert_string_equal(n.id, id);
	}
	assert_int_equal(notes_receive(keeper, &n, NULL), -1);
}

/* Is this the one lane whose turn it is? NULL: there is none. */
static void
is_due(const char *lane)
{
	struct schedule_lane *l = schedule_take(&r.turns.schedule, clock_wall());
	if (lane == NULL)
		assert_null(l);
	else
		assert_string_equal(l->name, lane);
	if (l != NULL)
		schedule_done(&r.turns.schedule, l, 0);
}

static void
test_notes(void **state)
{
	(void)state;
	hears(NOTE_LANE, NULL, NULL);
	notes_send(r.keeper, NOTE_LANE, "route:other", "");
	notes_ask_alone(&r, "a.example", ID);
	struct note n;
	assert_int_equal(notes_receive(keeper, &n, NULL), 1);
	assert_true(n.kind == NOTE_LANE && n.id[0] == '\0');
	hears(NOTE_ALONE, "a.example", ID);
}

/* A process that is out of its mind, or dead. */
static void
test_odd(void **state)
{
	(void)state;
	static const struct note rows[] = {
		{ .kind = NOTE_LANE, .lane = "../a", .id = "" },
		{ .kind = NOTE_LANE, .lane = "", .id = "" },
		{ .kind = NOTE_ALONE, .lane = "a.example", .id = "../../../../etc/pass" },
		{ .kind = NOTE_ALONE, .lane = "a.example", .id = "" },
		{ .kind = NOTE_TRIED, .lane = "../a.example", .id = ID },
	};
	struct note n;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(send(r.keeper, &rows[i], sizeof(n), 0), sizeof(n));
		assert_int_equal(notes_receive(keeper, &n, NULL), -1);
	}
	memset(&n, 'a', sizeof(n)); /* without an end */
	n.kind = NOTE_LANE;
	assert_int_equal(send(r.keeper, &n, sizeof(n), 0), sizeof(n));
	(void)notes_receive(keeper, &n, NULL);
	assert_true(n.lane[sizeof(n.lane) - 1] == '\0' && n.id[sizeof(n.id) - 1] == '\0');
	hears(NOTE_LANE, NULL, NULL);
	static const char more[sizeof(n) + 1];
	assert_int_equal(send(r.keeper, more, sizeof(more), 0), sizeof(more));
	assert_int_equal(notes_receive(keeper, &n, NULL), 0); /* nothing that it says is of use */
	close(r.keeper);
	r.keeper = -1;
	assert_int_equal(notes_receive(keeper, &n, NULL), 0);
	notes_send(keeper, NOTE_TRIED, "a.example", ID); /* to nobody: no signal, no wait */
}

/* New mail of ours, reports above all, is seen to here if this login may, else by another relay. */
static void
test_tell_of(void **state)
{
	(void)state;
	notes_tell_of(&r, "a.example");
	hears(NOTE_LANE, NULL, NULL);
	is_due("a.example");
	notes_tell_of(&r, "route:other");
	hears(NOTE_LANE, "route:other", "");
	is_due(NULL);
	/* M2: the other way round */
	snprintf(r.login_name, sizeof(r.login_name), "route:other");
	notes_tell_of(&r, "a.example");
	hears(NOTE_LANE, "a.example", "");
	is_due(NULL);
	notes_tell_of(&r, "route:other");
	hears(NOTE_LANE, NULL, NULL);
	is_due("route:other");
	/* whoever tries one message alone sees to no other */
	r.alone = true;
	notes_tell_of(&r, "route:other");
	hears(NOTE_LANE, "route:other", "");
	is_due(NULL);
	/* nobody is there: the timer is */
	close(r.keeper);
	r.keeper = -1;
	notes_tell_of(&r, "route:other");
	is_due(NULL);
	r.alone = false;
}

/* A message that was tried is like any other again, and its lane is looked at. */
static void
test_hear(void **state)
{
	(void)state;
	assert_true(suspects_add(&r.suspects, "a.example", ID));
	assert_true(suspects_add(&r.suspects, "b.example", ID));
	assert_true(notes_hear(&r)); /* nothing, yet */
	is_due(NULL);
	notes_send(keeper, NOTE_TRIED, "a.example", ID);
	notes_send(keeper, NOTE_TRIED, "c.example", ID); /* which was none */
	assert_true(notes_hear(&r));
	assert_false(suspects_has(&r.suspects, "a.example", ID));
	assert_true(suspects_has(&r.suspects, "b.example", ID));
	is_due("a.example");
	is_due("c.example");
	is_due(NULL);
	notes_send(keeper, NOTE_TRIED, "b.example", ID);
	close(keeper);
	keeper = -1;
	assert_false(notes_hear(&r)); /* what it said last was heard */
	assert_false(suspects_any(&r.suspects));
}

/* A descriptor comes with one kind of note, and is taken by the one who asks for it alone. */
static void
test_handed_on(void **state)
{
	(void)state;
	struct note n;
	int passed[NOTE_FDS] = { 0, 0 }, ends[2];
	char octet = 0;
	notes_ask_sign(&r);
	hears(NOTE_SIGN, "", "");
	r.alone = true;
	notes_ask_sign(&r);
	hears(NOTE_SIGN, NULL, NULL);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_true(notes_hand_on(keeper, NOTE_SIGN, &ends[1]));
	assert_true(notes_hand_on(keeper, NOTE_SIGN, &ends[1]));
	close(ends[1]);
	assert_int_equal(notes_receive(r.keeper, &n, NULL), 1);
	assert_int_equal(notes_receive(r.keeper, &n, passed), 1);
	assert_int_equal(n.kind, NOTE_SIGN);
	assert_int_equal(passed[1], -1);
	assert_int_equal(write(passed[0], "x", 1), 1);
	assert_int_equal(read(ends[0], &octet, 1), 1);
	close(passed[0]);
	assert_int_equal(read(ends[0], &octet, 1), 0); /* the other copy is nowhere */
	close(ends[0]);
	notes_send(keeper, NOTE_TRIED, "a.example", "01hf0000000000000001");
	assert_int_equal(notes_receive(r.keeper, &n, passed), 1);
	assert_int_equal(passed[0], -1);
}

/* Two come with what is to be fetched; whatever comes with another note is in nobody's way. */
static void
test_fetch(void **state)
{
	(void)state;
	struct note n;
	int passed[NOTE_FDS], ends[2];
	char octet = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_true(notes_ask_fetch(&r, ends));
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(notes_receive(keeper, &n, passed), 1);
	assert_int_equal(n.kind, NOTE_FETCH);
	assert_int_equal(write(passed[0], "x", 1), 1);
	assert_int_equal(read(passed[1], &octet, 1), 1);
	close(passed[0]);
	assert_int_equal(read(passed[1], &octet, 1), 0);
	close(passed[1]);
	notes_send(r.keeper, NOTE_FETCH, "", "");
	assert_int_equal(notes_receive(keeper, &n, passed), 1);
	assert_true(passed[0] == -1 && passed[1] == -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_notes, start, stop),
		cmocka_unit_test_setup_teardown(test_odd, start, stop),
		cmocka_unit_test_setup_teardown(test_tell_of, start, stop),
		cmocka_unit_test_setup_teardown(test_hear, start, stop),
		cmocka_unit_test_setup_teardown(test_handed_on, start, stop),
		cmocka_unit_test_setup_teardown(test_fetch, start, stop),
	};
	return cmocka_run_group_tests_name("notes", tests, NULL, NULL);
}
