/*
 * probe: which hosts get a text before they took a recipient (L20); what else is learned of a host
 * by a loss, and what is said to it then (L10, L21).
 */
#include "tests/unit/sending/sent.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "sending/probe.h"

enum { JOBS = 3 };

#define LIST "250-mx/250-PIPELINING/250 CHUNKING"

static struct link l; /* large */
static struct host host;

static void
connect_to(const struct host_script *script, unsigned can)
{
	buf_free(&l.text);
	l.terms = patient_terms();
	l.terms.window = JOBS;
	l.fd = host_start(&host, script);
	l.text = buf_new(LIMIT_REPLY_TEXT);
	l.bye = l.hung_up = false;
	l.lessons = 0;
	l.host = (struct link_host){ .can = can };
	l.flow = (struct link_flow){ 0 };
	stream_init(&l.stream, l.fd, l.fd, true, NULL);
	link_attend(&l);
}

static void
part(void)
{
	link_quit(&l, INT64_MAX);
	host_join(&host);
	host.log[host.n] = '\0';
}

/* A host passes that refuses, throws the octets away, and says nothing that was not asked. */
static void
test_discards(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		bool runs, ok;
	} rows[] = {
		{ "", false, true },
		{ "END1=554 5.5.1 no", false, true },
		{ "END1=503-no/503 no", false, true },
		{ "", true, false }, /* the octets are commands to it */
		{ "END1=500 what?", true, false },
		{ "END1=500 what?", false, false },
		{ "END1=502 not me", false, false },
		{ "END1=250 thanks", false, false },
		{ "END1=421 bye!", false, false },
		{ "END1=503 no!", false, false },
		{ "END1=close", false, false },
		{ "END1=503 no/503 no", false, false },
		{ "RSET1=250 ok/250 too many", false, false },
		{ "RSET1=502 what?", false, false },
		{ "HELLO1=503 twice", false, false },
		{ "HELLO1=250-mx/250 CHUNKING/250 too many", false, false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct host_script script = { .exceptions = rows[i].host, .ehlo = LIST,
			.runs_chunks = rows[i].runs };
		connect_to(&script, CAN_PIPELINING | CAN_CHUNKING);
		bool ok = probe_discards(&l);
		if (ok != rows[i].ok || (l.fd >= 0) != ok || l.terms.discards != ok)
			fail_msg("%s, %d", rows[i].host, rows[i].runs);
		assert_int_equal(l.lessons, ok ? LESSON_DISCARDS : LESSON_NO_CHUNKS);
		assert_int_equal(link_can(&l, CAN_CHUNKING), ok);
		part();
		if (rows[i].runs) /* what it runs is harmless */
			assert_non_null(strstr(host.log, "BDAT 6 LAST\nNOOP\n"));
		else
			assert_null(strstr(host.log, "NOOP"));
	}
}

/* A host that is known is not asked. */
static void
test_known(void **state)
{
	(void)state;
	const struct host_script script = { .ehlo = LIST };
	connect_to(&script, CAN_PIPELINING | CAN_CHUNKING);
	l.terms.discards = true;
	assert_true(probe_discards(&l));
	assert_int_equal(l.lessons, 0);
	part();
	assert_string_equal(host.log, "QUIT\n");
}

/* Says yes now and then to whatever it was asked, until the other side has had enough. */
static void *
drip(void *context)
{
	enum { NOW_AND_THEN = 100 }; /* ms */
	static const char yes[] = "250 ok\r\n";
	struct pollfd p = { .fd = *(int *)context, .events = POLLRDHUP };
	do
		(void)send(p.fd, yes, strlen(yes), MSG_NOSIGNAL);
	while (poll(&p, 1, NOW_AND_THEN) <= 0);
	return NULL;
}

/* The mark has its time, and not each reply that comes before it. */
static void
test_drip(void **state)
{
	(void)state;
	pthread_t thread;
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	buf_free(&l.text);
	l.text = buf_new(LIMIT_REPLY_TEXT);
	l.terms = patient_terms();
	l.fd = fd[0];
	stream_init(&l.stream, fd[0], fd[0], true, NULL);
	link_attend(&l);
	patient.timeout_helo = 1;
	assert_int_equal(pthread_create(&thread, NULL, drip, &fd[1]), 0);
	probe_put_mark(&l);
	assert_int_equal(probe_read_mark(&l), MARK_LOST);
	link_close(&l);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(fd[1]);
	patient.timeout_helo = patient.timeout_mail;
}

/* ---- with messages ------------------------------------------------------------------------- */

struct row {
	const char *host;
	unsigned can, lessons;
	bool known, runs, binary;
	const char *want; /* of each job: its end and outcome */
	const char *said; /* the verbs that came; before the first of two replies, if it `runs` */
};

/* The first word of each line, but for texts. */
static void
verbs_of(const char *log, char *out)
{
	for (; *log != '\0'; log += strcspn(log, "\n") + 1) {
		size_t n = strcspn(log, " \n");
		memcpy(out, log, n);
		out += n;
		*out++ = ' ';
	}
	*out = '\0';
}

static void
send_all(struct job *jobs, char *out)
{
	static const char ends[] = { [JOB_OPEN] = '?', [JOB_ANSWERED] = 'A', [JOB_LOST] = 'L',
		[JOB_UNTRIED] = 'U' };
	static const char outcomes[] = { [DONE] = 'D', [SOFT] = 'S', [HARD] = 'H' };
	int started = 0, landed = 0;
	while (landed < JOBS) {
		if (started < JOBS && !sending_full(&l)) {
			sending_start(&l, &jobs[started++]);
			continue;
		}
		assert_ptr_equal(sending_land(&l), &jobs[landed]);
		*out++ = ends[jobs[landed].end];
		*out++ = outcomes[jobs[landed++].to[0]->outcome];
		*out++ = ' ';
	}
	*out = '\0';
}

#define GROUP "MAIL RCPT DATA "
#define PIECE "MAIL RCPT BDAT RSET "
#define PROBE "BDAT RSET EHLO "
#define BOTH  (CAN_PIPELINING | CAN_CHUNKING)

static const struct row rows[] = {
	/* L20: a host that is not known is asked with the second message, and has a window then */
	{ "", .can = BOTH, .lessons = LESSON_DISCARDS, .want = "AD AD AD ",
		.said = GROUP PROBE PIECE PIECE "EHLO QUIT " },
	{ "", .can = BOTH, .known = true, .want = "AD AD AD ",
		.said = PIECE PIECE PIECE "EHLO QUIT " },
	{ "END2=500 what?", .can = BOTH, .lessons = LESSON_NO_CHUNKS, .want = "AD US US ",
		.said = GROUP "BDAT QUIT " },
	{ "", .can = BOTH, .runs = true, .lessons = LESSON_NO_CHUNKS, .want = "AD US US ",
		.said = GROUP "BDAT NOOP" },
	/* ... or with the first, if there is no other way; in lock step, too */
	{ "", .can = BOTH | CAN_BINARYMIME, .binary = true, .lessons = LESSON_DISCARDS,
		.want = "AD AD AD ", .said = PROBE PIECE PIECE PIECE "EHLO QUIT " },
	{ "", .can = CAN_CHUNKING | CAN_BINARYMIME, .binary = true, .lessons = LESSON_DISCARDS,
		.want = "AD AD AD ",
		.said = PROBE "MAIL RCPT BDAT MAIL RCPT BDAT MAIL RCPT BDAT QUIT " },
	{ "", .can = CAN_CHUNKING | CAN_BINARYMIME, .binary = true, .runs = true,
		.lessons = LESSON_NO_CHUNKS, .want = "US US US ", .said = "BDAT NOOP" },
	/* L10: BDAT is not there after all */
	{ "END2=500 what?", .can = BOTH, .known = true, .lessons = LESSON_NO_CHUNKS,
		.want = "AD AS AD ", .said = PIECE PIECE PIECE "EHLO QUIT " },
	/* L21: after a loss in a group, a command at a time; silence blames nobody yet */
	{ "RCPT1=odd", .can = CAN_PIPELINING, .lessons = LESSON_LOCKSTEP, .want = "US US US ",
		.said = GROUP },
	{ "RCPT1=close", .can = CAN_PIPELINING, .lessons = LESSON_LOCKSTEP, .want = "LS US US ",
		.said = "MAIL RCPT " },
	{ "RCPT1=close", .can = 0, .want = "LS US US ", .said = "MAIL RCPT " },
	{ "RCPT2=close", .can = CAN_PIPELINING, .lessons = LESSON_LOCKSTEP, .want = "AD LS US ",
		.said = GROUP "MAIL RCPT " },
	/* ... unless the host had given an answer and no more: it takes so many */
	{ "MAIL2=close", .can = CAN_PIPELINING, .want = "AD US US ", .said = GROUP "MAIL " },
	{ "MAIL2=421 bye!", .can = CAN_PIPELINING, .want = "AD US US ", .said = GROUP "MAIL " },
	/* several messages at once are more than several commands */
	{ "END1=close", .can = BOTH, .known = true, .lessons = LESSON_SINGLE, .want = "LS US US ",
		.said = "MAIL RCPT BDAT " },
	{ "HELLO1=503 twice", .can = BOTH, .known = true, .lessons = LESSON_SINGLE,
		.want = "AD AD AD ", .said = PIECE PIECE PIECE "EHLO " },
	/* L11: all of it is a yes, so none is taken back; but it is not done again like that */
	{ "MAIL1=250 ok/250 too many", .can = BOTH, .known = true, .lessons = LESSON_SINGLE,
		.want = "AD AD AD ", .said = PIECE PIECE PIECE "EHLO " },
};

static void
check(const struct row *row, const struct message *m)
{
	const struct host_script script = { .exceptions = row->host, .ehlo = LIST,
		.runs_chunks = row->runs };
	struct job jobs[JOBS];
	struct rcpt rcpt[JOBS];
	char got[64], said[1024];
	connect_to(&script, row->can);
	l.terms.discards = row->known;
	for (int i = 0; i < JOBS; i++) {
		rcpt[i] = make_rcpt("r@r.example");
		jobs[i] = (struct job){ .m = m };
		assert_true(sending_add(&l, &jobs[i], &rcpt[i]));
	}
	send_all(jobs, got);
	for (int i = 0; i < JOBS; i++)
		buf_free(&rcpt[i].text);
	part();
	verbs_of(host.log, said);
	if (row->runs) /* when the other one comes, chance decides */
		said[strlen(row->said)] = '\0';
	if (strcmp(got, row->want) != 0 || strcmp(said, row->said) != 0 ||
		l.lessons != row->lessons)
		fail_msg("\"%s\", %u: %s, %s, %u", row->host, row->can, got, said, l.lessons);
}

static void
test_lessons(void **state)
{
	(void)state;
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(rows); i++) {
		m.env.body = rows[i].binary ? BODY_BINARYMIME : BODY_UNSAID;
		check(&rows[i], &m);
	}
	close(m.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_discards),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_drip),
		cmocka_unit_test(test_lessons),
	};
	signal(SIGPIPE, SIG_IGN); /* as in the relay */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
