/* jobs: some messages by one connection, in each of the ways that there are, and what became of them. */
#ifndef POSTERN_TEST_JOBS_H
#define POSTERN_TEST_JOBS_H

#include "tests/unit/sending/sent.h"

enum { JOBS = 3, RCPTS = 2 };

#define LIST   "250-mx/250-PIPELINING/250 CHUNKING"
#define NOBODY "RCPT1=550 no|RCPT2=550 no"
#define SPENT  "554 5.7.1 too many messages in this session"

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

static inline bool
is_lmtp(enum way way)
{
	return way == LMTP;
}

/* A connection to a host that was greeted already. */
static inline void
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
	l.bye = l.hung_up = l.silent = false;
	l.lessons = 0;
	l.host = (struct link_host){ .can = can[way] };
	l.flow = (struct link_flow){ 0 };
	stream_init(&l.stream, l.fd, l.fd, true, NULL);
	link_attend(&l);
}

static inline void
connect_to(enum way way, const char *exceptions, int window)
{
	struct host_script script = { .exceptions = exceptions, .ehlo = LIST };
	connect_script(way, &script, window);
}

static inline void
part(void)
{
	link_quit(&l, INT64_MAX);
	host_join(&host);
}

/*
 * What became of a job: its end (Answered, Lost, Untried), "+" if its text went out whole, and for
 * each recipient the outcome (Done, Soft, Hard), small with a warning of a possible duplicate.
 */
static inline void
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
static inline void
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

static inline void
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

static inline void
free_jobs(struct rcpt rcpt[][RCPTS])
{
	for (int j = 0; j < JOBS; j++)
		for (int i = 0; i < RCPTS; i++)
			buf_free(&rcpt[j][i].text);
}

/* JOBS messages, of RCPTS recipients each. */
static inline void
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

/* The first of the jobs alone. */
static inline void
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

#endif
