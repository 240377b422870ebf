/*
 * sending: what becomes of jobs for each reply that a host may give, at each place, and where it
 * may close (R59, R60, F10, F12, L8, L9, M10).
 */
#include "tests/unit/sending/sent.h"

#include <poll.h>
#include <signal.h>

enum { JOBS = 3, RCPTS = 2, MANY = 100, LARGE = 4 * 1024 * 1024 };

#define LIST   "250-mx/250-PIPELINING/250 CHUNKING"
#define NOBODY "RCPT1=550 no|RCPT2=550 no"

static struct link l; /* large */
static struct host host;
static uint64_t window_size = 1 << 20;

enum way { LOCK_STEP, GROUPS, WINDOW, LMTP, WAYS };

static const unsigned can[] = {
	[LOCK_STEP] = 0,
	[GROUPS] = CAN_PIPELINING,
	[WINDOW] = CAN_PIPELINING | CAN_CHUNKING,
	[LMTP] = CAN_PIPELINING | CAN_CHUNKING, /* and yet in groups */
};

static bool
is_lmtp(enum way way)
{
	return way == LMTP;
}

/* A connection to a host that was greeted already. */
static void
connect_script(enum way way, struct host_script *script, int window)
{
	script->lmtp = is_lmtp(way);
	patient.protocol = is_lmtp(way) ? PROTOCOL_LMTP : PROTOCOL_SMTP;
	buf_free(&l.text);
	l.terms = patient_terms();
	l.terms.window = window;
	l.terms.window_size = window_size;
	l.terms.discards = true;
	l.fd = host_start(&host, script);
	l.text = buf_new(LIMIT_REPLY_TEXT);
	l.bye = l.hung_up = false;
	l.lessons = 0;
	l.host = (struct link_host){ .can = can[way] };
	l.flow = (struct link_flow){ 0 };
	stream_init(&l.stream, l.fd, l.fd, true, NULL);
	link_attend(&l);
}

static void
connect_to(enum way way, const char *exceptions, int window)
{
	struct host_script script = { .exceptions = exceptions, .ehlo = LIST };
	connect_script(way, &script, window);
}

static void
part(void)
{
	link_quit(&l, INT64_MAX);
	host_join(&host);
}

/* ---- the table ------------------------------------------------------------------------------ */

/*
 * What became of a job: its end (Answered, Lost, Untried), "+" if its text went out whole, and for
 * each recipient the outcome (Done, Soft, Hard), small with a warning of a possible duplicate.
 */
static void
describe(const struct job *j, char *out)
{
	static const char ends[] = { [JOB_OPEN] = '?', [JOB_ANSWERED] = 'A', [JOB_LOST] = 'L',
		[JOB_UNTRIED] = 'U' };
	static const char outcomes[] = { [DONE] = 'D', [SOFT] = 'S', [HARD] = 'H' };
	*out++ = ends[j->end];
	if (j->sent)
		*out++ = '+';
	for (int i = 0; i < j->n; i++) {
		struct span text = buf_span(&j->to[i]->text);
		char o = outcomes[j->to[i]->outcome];
		bool doubt = text.n > 0 && memmem(text.p, text.n, "duplicate", 9) != NULL;
		*out++ = doubt ? ascii_lower(o) : o;
	}
	*out = '\0';
}

/* All jobs by one connection, as many at once as it takes. */
static void
send_all(struct job *jobs, int n, char *out)
{
	int started = 0, landed = 0;
	while (landed < n) {
		if (started < n && !sending_full(&l)) {
			sending_start(&l, &jobs[started++]);
			continue;
		}
		assert_ptr_equal(sending_land(&l), &jobs[landed]);
		if (landed > 0)
			*out++ = ' ';
		describe(&jobs[landed++], out);
		out += strlen(out);
	}
	assert_null(sending_land(&l));
	assert_int_equal(sending_jobs(&l), 0);
	assert_int_equal(l.flow.replies, 0);
	assert_int_equal(l.flow.octets, 0);
}

struct row {
	const char *host; /* what it does beside what is usual (host.h) */
	const char *want[WAYS];
};

static void
make_jobs(struct job *jobs, struct rcpt rcpt[][RCPTS], const struct message *m)
{
	for (int j = 0; j < JOBS; j++) {
		jobs[j] = (struct job){ .m = m };
		for (int i = 0; i < RCPTS; i++) {
			rcpt[j][i] = make_rcpt("r@r.example");
			assert_true(sending_add(&l, &jobs[j], &rcpt[j][i]));
		}
	}
}

static void
free_jobs(struct rcpt rcpt[][RCPTS])
{
	for (int j = 0; j < JOBS; j++)
		for (int i = 0; i < RCPTS; i++)
			buf_free(&rcpt[j][i].text);
}

/* JOBS messages, of RCPTS recipients each. */
static void
check(enum way way, const char *exceptions, const struct message *m, const char *want)
{
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	char got[128];
	connect_to(way, exceptions, JOBS);
	make_jobs(jobs, rcpt, m);
	send_all(jobs, JOBS, got);
	free_jobs(rcpt);
	part();
	if (strcmp(got, want) != 0)
		fail_msg("way %d, host \"%s\": %s, not %s", (int)way, exceptions, got, want);
}

/* In lock step, in groups, in a window; and by LMTP in groups. */
static const struct row rows[] = {
	{ "",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "MAIL2=250-many/250 lines",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "MAIL2=451 later",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS A+DD", "A+DD USS USS" } },
	{ "MAIL2=550 never",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS A+DD", "A+DD USS USS" } },
	{ "MAIL2=421 bye!",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS USS", "A+DD USS USS" } },
	{ "MAIL2=421 bye",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS USS", "A+DD USS USS" } },
	{ "MAIL2=close",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL2=250 ok/250 too many",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "MAIL2=999 odd",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL2=2x0 odd",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL2=25x odd",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL2=2500 odd",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD U+SS U+SS", "A+DD USS USS" } },
	{ "RCPT4=250-many/250 lines",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "RCPT4=451 later",
		{ "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD" } },
	{ "RCPT4=550 never",
		{ "A+DD A+DH A+DD", "A+DD A+DH A+DD", "A+DD A+DH A+DD", "A+DD A+DH A+DD" } },
	{ "RCPT4=421 bye!",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS USS", "A+DD USS USS" } },
	{ "RCPT4=421 bye",
		{ "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD" } },
	{ "RCPT4=close",
		{ "A+DD LSS USS", "A+DD LSS USS", "A+DD L+ss U+SS", "A+DD LSS USS" } },
	{ "RCPT4=250 ok/250 too many",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "RCPT4=999 odd",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD L+ss U+SS", "A+DD USS USS" } },
	{ "DATA2=250-many/250 lines",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "DATA2=250 ok",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "DATA2=451 later",
		{ "A+DD ASS A+DD", "A+DD ASS A+DD", "A+DD A+DD A+DD", "A+DD ASS A+DD" } },
	{ "DATA2=550 never",
		{ "A+DD AHH A+DD", "A+DD AHH A+DD", "A+DD A+DD A+DD", "A+DD AHH A+DD" } },
	{ "DATA2=421 bye!",
		{ "A+DD ASS USS", "A+DD ASS USS", "A+DD A+DD A+DD", "A+DD ASS USS" } },
	{ "DATA2=421 bye",
		{ "A+DD ASS USS", "A+DD ASS USS", "A+DD A+DD A+DD", "A+DD ASS USS" } },
	{ "DATA2=close",
		{ "A+DD LSS USS", "A+DD LSS USS", "A+DD A+DD A+DD", "A+DD LSS USS" } },
	{ "DATA2=250 ok/250 too many",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "DATA2=999 odd",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "END2=250-many/250 lines",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "END2=451 later",
		{ "A+DD A+SS A+DD", "A+DD A+SS A+DD", "A+DD A+SS A+DD", "A+DS A+DD A+DD" } },
	{ "END2=550 never",
		{ "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DH A+DD A+DD" } },
	{ "END2=421 bye!",
		{ "A+DD A+SS USS", "A+DD A+SS USS", "A+DD A+SS USS", "A+DS USS USS" } },
	{ "END2=421 bye",
		{ "A+DD A+SS USS", "A+DD A+SS USS", "A+DD A+SS USS", "A+DS USS USS" } },
	{ "END2=close",
		{ "A+DD L+ss USS", "A+DD L+ss USS", "A+DD L+ss U+SS", "L+Ds USS USS" } },
	{ "END2=250 ok/250 too many",
		{ "A+DD A+DD USS", "A+DD A+DD USS", "A+DD A+DD A+DD", "L+ss USS USS" } },
	{ "END2=250-ok/550 no",
		{ "A+DD L+ss USS", "A+DD L+ss USS", "A+DD L+ss U+SS", "L+Ds USS USS" } },
	{ "END2=999 odd",
		{ "A+DD L+ss USS", "A+DD L+ss USS", "A+DD L+ss U+SS", "L+Ds USS USS" } },
	{ "RSET1=250-many/250 lines",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "RSET1=451 later",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "L+ss U+SS U+SS", "A+DD A+DD A+DD" } },
	{ "RSET1=550 never",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "L+ss U+SS U+SS", "A+DD A+DD A+DD" } },
	{ "RSET1=421 bye!",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD USS USS", "A+DD A+DD A+DD" } },
	{ "RSET1=421 bye",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD USS USS", "A+DD A+DD A+DD" } },
	{ "RSET1=close",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD U+SS U+SS", "A+DD A+DD A+DD" } },
	{ "RSET1=250 ok/250 too many",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "RSET1=999 odd",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD U+SS U+SS", "A+DD A+DD A+DD" } },
	{ "MAIL1=421 bye!",
		{ "ASS USS USS", "ASS USS USS", "ASS USS USS", "ASS USS USS" } },
	{ "MAIL1=452 full",
		{ "ASS A+DD A+DD", "ASS A+DD A+DD", "ASS A+DD A+DD", "ASS A+DD A+DD" } },
	{ "MAIL2=452 full",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS A+DD", "A+DD USS USS" } },
	{ "MAIL1=550 no",
		{ "AHH A+DD A+DD", "AHH A+DD A+DD", "AHH A+DD A+DD", "AHH A+DD A+DD" } },
	{ "RCPT3=550 no|RCPT4=450 no",
		{ "A+DD AHS A+DD", "A+DD AHS A+DD", "A+DD AHS A+DD", "A+DD AHS A+DD" } },
	{ "RCPT4=452 many",
		{ "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD" } },
	{ "RCPT3=452 many",
		{ "A+DD A+SD A+DD", "A+DD A+SD A+DD", "A+DD A+SD A+DD", "A+DD A+SD A+DD" } },
	{ "RCPT4=552 many",
		{ "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD", "A+DD A+DS A+DD" } },
	{ "RCPT3=550 no|RCPT4=550 no|DATA2=354 go",
		{ "A+DD AHH A+DD", "A+DD AHH A+DD", "A+DD AHH A+DD", "A+DD LHH USS" } },
	{ "RCPT3=550 no|RCPT4=550 no|DATA1=354 go",
		{ "A+DD AHH A+DD", "A+DD AHH A+DD", "A+DD AHH A+DD", "A+DD AHH A+DD" } },
	{ "DATA2=354 go/250 more",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD A+DD A+DD", "A+DD USS USS" } },
	{ "END3=550 no",
		{ "A+DD A+DD A+HH", "A+DD A+DD A+HH", "A+DD A+DD A+HH", "A+DD A+HD A+DD" } },
	{ "END3=452 no",
		{ "A+DD A+DD A+SS", "A+DD A+DD A+SS", "A+DD A+DD A+SS", "A+DD A+SD A+DD" } },
	{ "END3=close",
		{ "A+DD A+DD L+ss", "A+DD A+DD L+ss", "A+DD A+DD L+ss", "A+DD L+ss USS" } },
	{ "END4=close",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD L+Ds USS" } },
	{ "END3=421 bye!",
		{ "A+DD A+DD A+SS", "A+DD A+DD A+SS", "A+DD A+DD A+SS", "A+DD ASS USS" } },
	{ "RSET2=550 no",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "L+ss U+SS U+SS", "A+DD A+DD A+DD" } },
	{ "RSET2=close",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD U+SS", "A+DD A+DD A+DD" } },
	{ "MAIL2=250 ok/250 too many|END2=550 no",
		{ "A+DD LSS USS", "A+DD USS USS", "L+ss U+SS U+SS", "A+DS USS USS" } },
	{ "MAIL2=452 full|RSET1=close",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL2=452 full|RSET2=close",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS U+SS", "A+DD USS USS" } },
	{ "RCPT4=550 no|RSET2=550 no",
		{ "A+DD A+DH A+DD", "A+DD A+DH A+DD", "L+ss U+SS U+SS", "A+DD A+DH A+DD" } },
	/* L10: of BDAT, 500 to 504 are about itself; and nothing is for good before it is in step */
	{ "END2=500 what?!",
		{ "A+DD A+HH USS", "A+DD A+HH USS", "A+DD A+SS U+SS", "A+DH USS USS" } },
	{ "END2=504 what?",
		{ "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DD A+SS A+DD", "A+DH A+DD A+DD" } },
	{ "END2=505 what?",
		{ "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DH A+DD A+DD" } },
	{ "END2=554 no!",
		{ "A+DD A+HH USS", "A+DD A+HH USS", "A+DD A+SS U+SS", "A+DH USS USS" } },
	{ "END2=500 what?|RSET2=421 bye!",
		{ "A+DD A+HH A+DD", "A+DD A+HH A+DD", "A+DD A+SS USS", "A+DH A+DD A+DD" } },
	/* L11: whose the refusal is, nobody knows */
	{ "RCPT3=250 ok/250 too many|RCPT4=550 no",
		{ "A+DD LSS USS", "A+DD USS USS", "L+ss U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL2=250 ok/250 too many|RCPT4=550 no",
		{ "A+DD LSS USS", "A+DD USS USS", "L+ss U+SS U+SS", "A+DD USS USS" } },
	{ "MAIL1=250 ok/250 b|MAIL2=250 ok/250 b/250 c|RCPT4=550 no",
		{ "LSS USS USS", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ "MAIL2=250 ok/250 b/250 c|RCPT3=550 no",
		{ "A+DD LSS USS", "A+DD USS USS", "L+ss U+SS U+SS", "A+DD USS USS" } },
	{ "RCPT4=550 no/250 too many",
		{ "A+DD LSS USS", "A+DD USS USS", "L+ss U+SS U+SS", "A+DD USS USS" } },
	{ "END2=550 no/250 too many",
		{ "A+DD A+SS USS", "A+DD A+SS USS", "L+ss U+SS U+SS", "L+ss USS USS" } },
	{ "END2=250 ok/421 bye!",
		{ "A+DD A+DD USS", "A+DD A+DD USS", "A+DD A+DD USS", "A+DD USS USS" } },
	/* ... nor, in a window, whose the last yes is, if it is as that to a recipient */
	{ "MAIL1=250 ok/250 ok|END1=close",
		{ "LSS USS USS", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ "RCPT4=250 ok/250 ok|END2=close",
		{ "A+DD LSS USS", "A+DD USS USS", "A+DD L+ss U+SS", "L+Ds USS USS" } },
	{ "MAIL3=250 ok/250 more|RCPT5=250 2.1.5 a|RCPT6=250 2.1.5 b|END3=close",
		{ "A+DD A+DD LSS", "A+DD A+DD USS", "A+DD A+DD L+ss", "A+DD L+ss USS" } },
	{ "RSET3=250 ok/250 too many",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD" } },
	{ "HELLO1=503 twice|RCPT1=550 no",
		{ "A+HD A+DD A+DD", "A+HD A+DD A+DD", "A+SD A+DD A+DD", "A+HD A+DD A+DD" } },
	{ "HELLO1=421 bye!|RCPT1=550 no",
		{ "A+HD A+DD A+DD", "A+HD A+DD A+DD", "A+SD A+DD A+DD", "A+HD A+DD USS" } },
	{ "HELLO1=close|RCPT1=550 no",
		{ "A+HD A+DD A+DD", "A+HD A+DD A+DD", "A+SD A+DD A+DD", "A+HD A+DD USS" } },
	{ "RCPT1=550 no|RCPT2=550 no|DATA1=503 no!",
		{ "AHH AHH USS", "LSS USS USS", "AHH A+DD A+DD", "LSS USS USS" } },
	{ "MAIL1=550 no!",
		{ "AHH USS USS", "LSS USS USS", "LSS U+SS U+SS", "LSS USS USS" } },
	{ "RSET2=421 bye!",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD USS", "A+DD A+DD A+DD" } },
	/*
	 * L8: a MAIL that is refused by a connection that has taken one goes by another, whatever
	 * the code, and whatever became of the one before. The first of a connection counts.
	 */
	{ "MAIL2=503 enough",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS A+DD", "A+DD USS USS" } },
	{ "MAIL2=554 enough|MAIL3=554 enough",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS USS", "A+DD USS USS" } },
	{ "RCPT1=550 no|RCPT2=550 no|MAIL2=450 enough",
		{ "AHH USS USS", "AHH USS USS", "AHH USS A+DD", "AHH USS USS" } },
	{ "MAIL2=550 enough!",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS U+SS", "A+DD USS USS" } },
	{ "MAIL1=550 no|MAIL2=550 no",
		{ "AHH AHH A+DD", "AHH AHH A+DD", "AHH AHH A+DD", "AHH AHH A+DD" } },
	/* L9: closed before it was heard of the next one, having brought one to an end, any end. */
	{ "END1=451 later|MAIL2=close",
		{ "A+SS USS USS", "A+SS USS USS", "A+SS U+SS U+SS", "A+SD USS USS" } },
	{ "MAIL1=550 no|MAIL2=close",
		{ "AHH USS USS", "AHH USS USS", "ASS U+SS U+SS", "AHH USS USS" } },
	{ "MAIL1=close",
		{ "LSS USS USS", "LSS USS USS", "L+ss U+SS U+SS", "LSS USS USS" } },
	{ "RCPT3=421 bye!",
		{ "A+DD USS USS", "A+DD USS USS", "A+DD USS USS", "A+DD USS USS" } },
	{ "RCPT2=421 bye!",
		{ "ASS USS USS", "ASS USS USS", "ASS USS USS", "ASS USS USS" } },
	/* what came to nothing counts if RSET or the mark behind it came in its place (L11) */
	{ NOBODY "/250 more",
		{ "LSS USS USS", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ NOBODY "|HELLO1=503 twice/250 more",
		{ "AHH A+DD A+DD", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ NOBODY "|HELLO1=503 twice",
		{ "AHH A+DD A+DD", "AHH A+DD A+DD", "ASS A+DD A+DD", "AHH A+DD A+DD" } },
	{ NOBODY "|RSET1=250 ok/250 more",
		{ "LSS USS USS", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ NOBODY "|RSET1=250-mx/250-PIPELINING/250 CHUNKING",
		{ "LSS USS USS", "USS USS USS", "AHH A+DD A+DD", "USS USS USS" } },
	{ NOBODY "|RSET1=354 go",
		{ "LSS USS USS", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ NOBODY "|RSET1=421 bye!",
		{ "AHH USS USS", "ASS USS USS", "ASS USS USS", "ASS USS USS" } },
	{ NOBODY "|RSET1=550 no",
		{ "AHH USS USS", "AHH A+DD A+DD", "L+ss U+SS U+SS", "AHH A+DD A+DD" } },
	{ NOBODY "|RSET1=550 no|HELLO1=503 twice",
		{ "AHH USS USS", "USS USS USS", "L+ss U+SS U+SS", "USS USS USS" } },
	{ NOBODY "|RSET1=close",
		{ "AHH USS USS", "LSS USS USS", "ASS U+SS U+SS", "LSS USS USS" } },
	{ "END3=250 yes|END4=421 bye!",
		{ "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DD A+DD", "A+DD A+DS USS" } },
};

static void
test_replies(void **state)
{
	(void)state;
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(rows); i++)
		for (enum way way = LOCK_STEP; way < WAYS; way++)
			check(way, rows[i].host, &m, rows[i].want[way]);
	close(m.fd);
}

/* A pause in which the host said goodbye: the connection is closed, and takes nothing more. */
static void
test_wake(void **state)
{
	(void)state;
	static const struct { const char *greeting; bool open; } cases[] = { { NULL, true },
		{ "421 too long", false }, { "close", false } };
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct host_script script = { .greeting = cases[i].greeting };
		connect_script(LOCK_STEP, &script, 1);
		if (!cases[i].open) {
			struct pollfd p = { .fd = l.fd, .events = POLLIN };
			assert_int_equal(poll(&p, 1, -1), 1);
		}
		link_wake(&l);
		assert_int_equal(sending_is_open(&l), cases[i].open);
		part();
	}
}

/* ---- a host that has enough ------------------------------------------------------------------ */

/* The first of the jobs alone. */
static void
check_first(const char *exceptions, const struct message *m, const char *want)
{
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	char got[128];
	make_jobs(jobs, rcpt, m);
	send_all(jobs, 1, got);
	if (strcmp(got, want) != 0)
		fail_msg("%s: %s, not %s", exceptions, got, want);
	free_jobs(rcpt);
}

/*
 * In the middle of a text its 5yz counts, and nothing else does (F10, M10); whether it closes then,
 * or does neither that nor read on (S21): there is time until tomorrow. In a window the message is
 * for another connection, where DATA shows what the word is about.
 */
static void
test_in_the_middle(void **state)
{
	(void)state;
	static const struct { const char *host, *want, *windowed; } cases[] = {
		{ "TEXT1=552 too large!", "LHH", "USS" },
		{ "TEXT1=452 no room!", "LSS", "USS" },
		{ "TEXT1=421 bye!", "ASS", "ASS" },
		{ "TEXT1=250 fine!", "LSS", "USS" },
		{ "TEXT1=close", "LSS", "LSS" },
		{ "RCPT1=451 later|TEXT1=552 too large!", "LSH", "USS" },
		{ "TEXT1=552 too large~", "LHH", "USS" },
		{ "TEXT1=552-too/552 large~", "LHH", "USS" },
		{ "TEXT1=452 no room~", "LSS", "USS" },
		{ "TEXT1=421 bye~", "ASS", "ASS" },
		{ "TEXT1=250 fine~", "LSS", "USS" },
	};
	struct message m = make_message(LARGE);
	patient.timeout_data_block = 24 * 3600;
	for (size_t i = 0; i < ROWS(cases); i++)
		for (enum way way = LOCK_STEP; way <= WINDOW; way++) {
			connect_to(way, cases[i].host, 1);
			if (way == WINDOW)
				l.terms.window = 2; /* or it goes in groups */
			check_first(cases[i].host, &m,
				way == WINDOW ? cases[i].windowed : cases[i].want);
			assert_false(sending_is_open(&l));
			part();
		}
	patient.timeout_data_block = 60;
	close(m.fd);
}

/* A file that ends too early: the host must not take it for whole, nor the next job for its end. */
static void
test_short_file(void **state)
{
	(void)state;
	struct message m = make_message(strlen(BODY)), cut = make_message(strlen(BODY) / 2);
	cut.length = strlen(BODY);
	for (enum way way = LOCK_STEP; way < WAYS; way++) {
		struct rcpt rcpt[JOBS][RCPTS];
		struct job jobs[JOBS];
		char got[128];
		connect_to(way, NULL, JOBS);
		make_jobs(jobs, rcpt, &m);
		jobs[1].m = &cut;
		send_all(jobs, JOBS, got);
		assert_string_equal(got, "A+DD LSS USS");
		part();
		assert_true(host.text_n < strlen(BODY));
		free_jobs(rcpt);
	}
	close(m.fd);
	close(cut.fd);
}

/* ---- what the caller learns -------------------------------------------------------------------- */

/* All jobs, by a host that does so, and then `l` tells what was learned. */
static void
try_host(enum way way, const char *exceptions, const struct message *m)
{
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	char got[128];
	connect_to(way, exceptions, JOBS);
	make_jobs(jobs, rcpt, m);
	send_all(jobs, JOBS, got);
	free_jobs(rcpt);
}

/* A connection by which nothing was brought to an end says something of its host (L9, L15). */
static void
test_of_use(void **state)
{
	(void)state;
	static const struct { const char *host; enum way way; bool want; } cases[] = {
		{ NULL, LOCK_STEP, true },
		{ "MAIL1=550 no", LOCK_STEP, true },
		{ "MAIL1=close", LOCK_STEP, false },
		{ "MAIL1=421 bye!", LOCK_STEP, false },
		{ "RCPT2=421 bye!", LOCK_STEP, false },
		{ "END1=421 bye!", LOCK_STEP, false },
		{ "END2=421 bye!", LOCK_STEP, true },
		{ "END1=250 ok|END2=421 bye!", LMTP, true },
		{ "END1=250 ok/250 more", GROUPS, true },
		{ "END1=250 ok/250 more", LMTP, false },
		{ NOBODY "/250 more", GROUPS, false },
		{ "RSET1=550 no", WINDOW, false },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++) {
		try_host(cases[i].way, cases[i].host, &m);
		if (link_was_of_use(&l) != cases[i].want)
			fail_msg("%s", cases[i].host);
		part();
	}
	close(m.fd);
}

/* How much at once the host gets from now on. */
static void
test_lessons(void **state)
{
	(void)state;
	static const struct { const char *host; enum way way; unsigned want; } cases[] = {
		{ NULL, GROUPS, 0 },
		{ NULL, WINDOW, 0 },
		{ "RCPT2=close", LOCK_STEP, 0 },
		{ "RCPT2=close", GROUPS, LESSON_LOCKSTEP },
		{ "RCPT2=close", WINDOW, LESSON_SINGLE },
		{ "RCPT2=421 bye!", GROUPS, 0 },
		{ "MAIL2=close", GROUPS, 0 }, /* between two messages, as many do */
		{ "MAIL2=close", WINDOW, LESSON_SINGLE },
		{ "RCPT1=550 no|HELLO1=close", WINDOW, LESSON_SINGLE },
		{ "RCPT1=550 no|HELLO1=503 twice", WINDOW, LESSON_SINGLE },
		{ "END1=550 no/250 more", GROUPS, LESSON_LOCKSTEP },
		{ "END1=500 what?", WINDOW, LESSON_NO_CHUNKS },
		{ "HELLO1=421 bye!", WINDOW, 0 },
	};
	struct message m = make_message(strlen(BODY)), cut = make_message(strlen(BODY) / 2);
	cut.length = strlen(BODY);
	for (size_t i = 0; i < ROWS(cases); i++) {
		try_host(cases[i].way, cases[i].host, &m);
		if (l.lessons != cases[i].want)
			fail_msg("%s: %u", cases[i].host, l.lessons);
		part();
	}
	/* our own file that ends says nothing of the host */
	for (enum way way = LOCK_STEP; way < WAYS; way++) {
		try_host(way, NULL, &cut);
		assert_int_equal(l.lessons, 0);
		part();
	}
	close(m.fd);
	close(cut.fd);
}

/* A refusal that may be about more than the mail is not for good, and is told (L2, L13). */
static void
test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		bool own, clear, remembered;
		const char *want;
		unsigned about, avoided;
	} cases[] = {
		{ "RCPT1=554 relay access denied", false, false, false, "A+HD", 0, 0 },
		{ "RCPT1=554 relay access denied", true, false, false, "A+SD", REFUSAL_US, 0 },
		{ "RCPT1=530 who are you?", true, false, false, "A+SD", REFUSAL_US, 0 },
		{ "RCPT1=550 5.1.1 nobody", true, true, true, "A+HD", 0, 0 },
		{ "RCPT1=550 no", false, true, false, "A+SD", REFUSAL_FALLBACK, 0 },
		{ "END1=554 no", false, true, false, "A+SS", REFUSAL_FALLBACK, 0 },
		{ "MAIL1=550 no", false, true, false, "ASS", REFUSAL_FALLBACK, 0 },
		/* by a connection for which nothing is remembered it might be taken */
		{ "MAIL1=550 no", false, true, true, "USS", REFUSAL_FALLBACK, 0 },
		{ "MAIL1=450 no", false, true, true, "ASS", 0, 0 },
		/* that we do without BDAT is no reason of the host's (L10) */
		{ "RCPT1=550 no", false, false, false, "A+HD", 0, CAN_CHUNKING },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++) {
		connect_to(LOCK_STEP, cases[i].host, 1);
		l.terms.own = cases[i].own;
		l.terms.clear = cases[i].clear;
		l.terms.remembered = cases[i].remembered;
		l.terms.avoided = cases[i].avoided;
		check_first(cases[i].host, &m, cases[i].want);
		assert_int_equal(l.flow.about, cases[i].about);
		part();
	}
	close(m.fd);
}

/* A recipient is refused for the words that went with it: once more without them (L16). */
static void
test_words(void **state)
{
	(void)state;
	struct message m = make_message(strlen(BODY));
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	char got[128];
	connect_to(LOCK_STEP, "RCPT1=555 NOTIFY?", 1);
	l.host.can = CAN_DSN;
	make_jobs(jobs, rcpt, &m);
	rcpt[0][0].terms.notify = NOTIFY_FAILURE;
	send_all(jobs, 1, got);
	assert_string_equal(got, "A+SD");
	assert_true(rcpt[0][0].again);
	assert_false(rcpt[0][1].again);
	assert_false(link_can(&l, CAN_DSN));
	free_jobs(rcpt);
	part();
	close(m.fd);
}

/* ... and the host closes, or says 421, behind it: by the next connection, and nobody is to blame. */
static void
test_closes_at_words(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		unsigned can;
		const char *want;
		unsigned lessons;
		enum way way;
	} cases[] = {
		{ "RCPT1=555 NOTIFY?!", CAN_DSN, "USS", LESSON_FEWER, LOCK_STEP },
		{ "RCPT1=555 NOTIFY?/421 bye!", CAN_DSN, "USS", LESSON_FEWER, LOCK_STEP },
		{ "RCPT1=555 NOTIFY?", 0, "A+HD", 0, LOCK_STEP },
		{ "RCPT1=555 NOTIFY?!", 0, "LHS", 0, LOCK_STEP },
		{ "RCPT1=555 NOTIFY?|RCPT2=550 no!", CAN_DSN, "USS", LESSON_FEWER, LOCK_STEP },
		{ "RCPT1=555 NOTIFY?|END1=250 ok!", CAN_DSN, "A+SD", 0, LOCK_STEP },
		{ "MAIL1=501 SIZE?!", CAN_SIZE, "USS", LESSON_FEWER, LOCK_STEP },
		{ "MAIL1=501 SIZE?/421 bye!", CAN_SIZE, "USS", LESSON_FEWER, LOCK_STEP },
		{ "RCPT1=555 NOTIFY?|END1=421 bye!", CAN_DSN, "USS", LESSON_FEWER, LOCK_STEP },
		/* LMTP's last word to one recipient stands */
		{ "RCPT1=555 NOTIFY?|END1=421 bye!", CAN_DSN, "A+SS", 0, LMTP },
		{ "MAIL1=501 SIZE?!", CAN_DSN, "AHH", 0, LOCK_STEP },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct rcpt rcpt[JOBS][RCPTS];
		struct job jobs[JOBS];
		char got[128];
		connect_to(cases[i].way, cases[i].host, 1);
		l.host.can = cases[i].can;
		make_jobs(jobs, rcpt, &m);
		rcpt[0][0].terms.notify = NOTIFY_FAILURE;
		send_all(jobs, 1, got);
		if (strcmp(got, cases[i].want) != 0 || l.lessons != cases[i].lessons)
			fail_msg("%s: %s, %x", cases[i].host, got, l.lessons);
		l.lessons = 0;
		free_jobs(rcpt);
		part();
	}
	close(m.fd);
}

/* ---- how many at once ------------------------------------------------------------------------ */

/* Jobs of this many recipients that are started before one has to land. */
static int
started_at_once(enum way way, int window, struct message *m, int n)
{
	static struct rcpt rcpt[MANY];
	static struct job jobs[MANY];
	int started = 0;
	connect_to(way, NULL, window);
	for (int i = 0; i < n; i++)
		rcpt[i] = make_rcpt("r@r.example");
	for (; started < MANY && !sending_full(&l); started++) {
		jobs[started] = (struct job){ .m = m };
		for (int i = 0; i < n; i++)
			assert_true(sending_add(&l, &jobs[started], &rcpt[i]));
		sending_start(&l, &jobs[started]);
	}
	assert_int_equal(sending_jobs(&l), started);
	assert_ptr_equal(sending_land(&l), &jobs[0]);
	assert_false(sending_full(&l)); /* there is room for one more now */
	for (int i = 1; i < started; i++)
		assert_ptr_equal(sending_land(&l), &jobs[i]);
	part();
	for (int i = 0; i < n; i++)
		buf_free(&rcpt[i].text);
	return started;
}

static void
test_window(void **state)
{
	(void)state;
	struct message m = make_message(40 * 1024), small = make_message(strlen(BODY));
	window_size = 64 * 1024;
	assert_int_equal(started_at_once(WINDOW, 50, &m, 1), 2); /* octets (M10) */
	window_size = 40 * 1024;
	assert_int_equal(started_at_once(WINDOW, 50, &m, 1), 1);
	window_size = 1 << 20;
	assert_int_equal(started_at_once(WINDOW, 7, &m, 1), 7); /* jobs */
	assert_int_equal(started_at_once(GROUPS, 3, &small, 1), 3);
	assert_int_equal(started_at_once(LOCK_STEP, 3, &small, 1), 1);
	assert_int_equal(started_at_once(WINDOW, 50, &small, 100), 10); /* 104 replies each (M10) */
	assert_int_equal(started_at_once(LMTP, 50, &small, 100), 5); /* 204 */
	assert_int_equal(started_at_once(WINDOW, 50, &small, 16), 50); /* 50 * 20 = 1000 */
	assert_int_equal(started_at_once(WINDOW, 51, &small, 16), 50);
	close(m.fd);
	close(small.fd);
}

/* RFC 9422: what the host told of a transaction, and of a connection. */
static void
test_limits(void **state)
{
	(void)state;
	struct rcpt a = { .address = span_of("a@one.example") };
	struct rcpt b = { .address = span_of("b@ONE.example") };
	struct rcpt other = { .address = span_of("c@two.example") };
	struct job j = { 0 };
	l.host = (struct link_host){ 0 };
	for (int i = 0; i < JOB_RCPTS; i++)
		assert_true(sending_add(&l, &j, &a));
	assert_false(sending_add(&l, &j, &a));
	j.n = 0;
	l.host.limit.rcpts = 2;
	assert_true(sending_add(&l, &j, &a) && sending_add(&l, &j, &b));
	assert_false(sending_add(&l, &j, &b));
	j = (struct job){ 0 };
	l.host = (struct link_host){ .limit.domains = 1 };
	assert_true(sending_add(&l, &j, &a));
	assert_false(sending_add(&l, &j, &other));
	assert_true(sending_add(&l, &j, &b));
	assert_int_equal(j.n, 2);
	assert_ptr_equal(j.to[1], &b);
}

static void
test_mails(void **state)
{
	(void)state;
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	struct message m = make_message(strlen(BODY));
	char got[128];
	connect_to(GROUPS, NULL, JOBS);
	l.host.limit.mails = 2;
	make_jobs(jobs, rcpt, &m);
	send_all(jobs, JOBS, got);
	assert_string_equal(got, "A+DD A+DD USS");
	assert_false(sending_is_open(&l));
	assert_true(l.fd >= 0);
	part();
	assert_non_null(strstr(host.log, "QUIT\n"));
	free_jobs(rcpt);
	close(m.fd);
}

/* ---- more about a recipient ------------------------------------------------------------------ */

static void
test_recipients(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		enum outcome outcome;
		bool grey, crowded;
	} cases[] = {
		{ NULL, DONE, false, false },
		{ "RCPT2=450 wait", SOFT, true, false },
		{ "RCPT2=451 wait", SOFT, true, false },
		{ "RCPT2=452 many", SOFT, false, true },
		{ "RCPT2=552 many", SOFT, false, true },
		{ "RCPT2=550 no", HARD, false, false },
		{ "RCPT1=550 no|RCPT2=452 many", SOFT, false, false },
		{ "RCPT1=550 no|RCPT2=552 many", SOFT, false, false },
		{ "MAIL1=451 wait|RCPT2=451 wait", SOFT, false, false },
		{ "MAIL1=550 no|RCPT2=450 wait", HARD, false, false },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++)
		for (enum way way = LOCK_STEP; way < WAYS; way++) {
			struct rcpt rcpt[JOBS][RCPTS];
			struct job jobs[JOBS];
			char got[128];
			connect_to(way, cases[i].host, 2);
			make_jobs(jobs, rcpt, &m);
			send_all(jobs, 1, got);
			const struct rcpt *r = &rcpt[0][1];
			if (r->outcome != cases[i].outcome || r->grey != cases[i].grey ||
				r->crowded != cases[i].crowded)
				fail_msg("%s: %d %d %d", cases[i].host, (int)r->outcome, r->grey,
					r->crowded);
			assert_int_equal(r->taker.final, is_lmtp(way));
			assert_memory_equal(r->text.p, "mx: ", 4);
			free_jobs(rcpt);
			part();
		}
	close(m.fd);
}

/* The host gets the text, dots stuffed or counted, and nothing else. */
static void
test_text(void **state)
{
	(void)state;
	struct message m = make_message(strlen(BODY));
	for (enum way way = LOCK_STEP; way < WAYS; way++) {
		check(way, NULL, &m, "A+DD A+DD A+DD");
		assert_int_equal(host.text_n, strlen(BODY));
		assert_memory_equal(host.text, BODY, strlen(BODY));
		bool chunks = strstr(host.log, "BDAT 23 LAST\n") != NULL;
		assert_int_equal(chunks, way == WINDOW);
		assert_int_equal(chunks, strstr(host.log, "DATA\n") == NULL);
	}
	close(m.fd);
}

/* A text without a line end at its end: the dot stands alone all the same (A10). */
static void
test_text_without_end(void **state)
{
	(void)state;
	struct message m = make_message(2 * strlen(BODY));
	for (enum way way = LOCK_STEP; way < WAYS; way++) {
		bool windowed = way == WINDOW;
		check(way, NULL, &m, "A+DD A+DD A+DD");
		assert_int_equal(host.text_n, m.length + (windowed ? 0 : 2));
	}
	close(m.fd);
}

/* It goes by BDAT alone, and one that fails is ended by RSET (RFC 3030 section 2). */
static void
test_binary(void **state)
{
	(void)state;
	static const struct { const char *host; const char *want; bool reset; } cases[] = {
		{ NULL, "A+DD", false },
		{ "END1=550 no", "A+HH", true },
		{ "END1=451 no", "A+SS", true },
		{ "END1=550 no|RSET1=close", "A+HH", true },
		{ "END1=500 what?", "A+SS", true }, /* L10: that is about BDAT */
		{ "RCPT1=550 no|RCPT2=451 no", "AHS", true },
	};
	struct message m = make_message(strlen(BODY));
	m.env.body = BODY_BINARYMIME;
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct rcpt rcpt[JOBS][RCPTS];
		struct job jobs[JOBS];
		char got[128];
		connect_to(LOCK_STEP, cases[i].host, 1);
		l.host.can = CAN_CHUNKING | CAN_BINARYMIME;
		make_jobs(jobs, rcpt, &m);
		send_all(jobs, 1, got);
		assert_string_equal(got, cases[i].want);
		part();
		assert_null(strstr(host.log, "DATA\n"));
		assert_int_equal(strstr(host.log, "RSET\n") != NULL, cases[i].reset);
		free_jobs(rcpt);
	}
	close(m.fd);
}

/* In a window RSET stands behind each job anyway, and no other follows. */
static void
test_binary_in_window(void **state)
{
	(void)state;
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	char got[128];
	struct message m = make_message(strlen(BODY));
	m.env.body = BODY_BINARYMIME;
	connect_to(WINDOW, "END2=550 no", JOBS);
	l.host.can |= CAN_BINARYMIME;
	make_jobs(jobs, rcpt, &m);
	send_all(jobs, JOBS, got);
	assert_string_equal(got, "A+DD A+HH A+DD");
	part();
	assert_int_equal(host.times[HOST_RSET], JOBS);
	free_jobs(rcpt);
	close(m.fd);
}

/* One that the host cannot have stands between two others, and the connection goes on. */
static void
test_unfit(void **state)
{
	(void)state;
	struct message m = make_message(strlen(BODY)), utf8 = m;
	utf8.env.utf8 = utf8.header_eightbit = true;
	for (enum way way = LOCK_STEP; way < WAYS; way++) {
		struct rcpt rcpt[JOBS][RCPTS];
		struct job jobs[JOBS];
		char got[128];
		connect_to(way, NULL, JOBS);
		make_jobs(jobs, rcpt, &m);
		jobs[1].m = &utf8;
		send_all(jobs, JOBS, got);
		assert_string_equal(got, "A+DD AHH A+DD");
		free_jobs(rcpt);
		part();
	}
	close(m.fd);
}

/*
 * SMTPUTF8 is said where something of this transaction needs it, whatever the client said; and what
 * needs it does not take the other recipients along (L1).
 */
static void
test_utf8(void **state)
{
	(void)state;
	static const struct {
		const char *sender, *to[RCPTS];
		bool said, header;
		unsigned can;
		const char *want;
		bool word;
	} cases[] = {
		{ "s@s.example", { "a@r.example", "b@r.example" }, true, false, 0, "A+DD", false },
		{ "s@s.example", { "a@r.example", "b@r.example" }, true, false, CAN_SMTPUTF8,
			"A+DD", false },
		{ "s@s.example", { "a@r.example", "b@r.example" }, false, true, 0, "A+DD", false },
		{ "s@s.example", { "a@r.example", "b@r.example" }, true, true, 0, "AHH", false },
		{ "s@s.example", { "a@r.example", "b@r.example" }, true, true, CAN_SMTPUTF8,
			"A+DD", true },
		{ "\xc3\xa4@s.example", { "a@r.example", "b@r.example" }, true, false, 0, "AHH",
			false },
		{ "s@\xc3\xa4.example", { "a@\xc3\xa4.example", "b@r.example" }, true, false, 0,
			"A+DD", false },
		{ "s@s.example", { "a@r.example", "\xc3\xa4@r.example" }, true, false, 0, "A+DH",
			false },
		{ "s@s.example", { "\xc3\xa4@r.example", "b@r.example" }, true, false, 0, "A+HD",
			false },
		{ "s@s.example", { "\xc3\xa4@r.example", "\xc3\xb6@r.example" }, true, false, 0,
			"AHH", false },
		{ "s@s.example", { "a@r.example", "\xc3\xa4@r.example" }, true, false,
			CAN_SMTPUTF8, "A+DD", true },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++)
		for (enum way way = LOCK_STEP; way < WAYS; way++) {
			struct rcpt rcpt[RCPTS];
			struct job job = { .m = &m };
			char got[3 + RCPTS] = "A";
			connect_to(way, NULL, JOBS);
			l.host.can |= cases[i].can;
			m.env = (struct envelope){ .sender = span_of(cases[i].sender),
				.utf8 = cases[i].said };
			m.header_eightbit = cases[i].header;
			for (int k = 0; k < RCPTS; k++) {
				rcpt[k] = make_rcpt(cases[i].to[k]);
				assert_true(sending_add(&l, &job, &rcpt[k]));
			}
			sending_start(&l, &job);
			assert_ptr_equal(sending_land(&l), &job);
			assert_int_equal(l.flow.replies, 0);
			assert_int_equal(job.end, JOB_ANSWERED);
			snprintf(got, sizeof(got), "A%s%c%c", job.sent ? "+" : "",
				"DSH"[rcpt[0].outcome], "DSH"[rcpt[1].outcome]);
			if (strcmp(got, cases[i].want) != 0)
				fail_msg("case %zu, way %d: %s", i, (int)way, got);
			part();
			bool said = strstr(host.log, " SMTPUTF8\n") != NULL;
			assert_int_equal(said, cases[i].word);
			for (int k = 0; k < RCPTS; k++)
				buf_free(&rcpt[k].text);
		}
	close(m.fd);
}

/* Jobs that are given up without a word: all come back, and the link is as if it had none. */
static void
test_drop(void **state)
{
	(void)state;
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	struct message m = make_message(strlen(BODY));
	connect_to(WINDOW, NULL, JOBS);
	make_jobs(jobs, rcpt, &m);
	for (int j = 0; j < JOBS; j++)
		sending_start(&l, &jobs[j]);
	link_close(&l);
	for (int j = 0; j < JOBS; j++)
		assert_ptr_equal(sending_drop(&l), &jobs[j]);
	assert_null(sending_drop(&l));
	assert_int_equal(l.flow.jobs + l.flow.replies, 0);
	assert_int_equal(l.flow.octets, 0);
	free_jobs(rcpt);
	part();
	close(m.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_wake),
		cmocka_unit_test(test_in_the_middle),
		cmocka_unit_test(test_short_file),
		cmocka_unit_test(test_of_use),
		cmocka_unit_test(test_lessons),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_closes_at_words),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_mails),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_without_end),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_binary_in_window),
		cmocka_unit_test(test_unfit),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_drop),
	};
	signal(SIGPIPE, SIG_IGN); /* as in the relay */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
