/*
 * window: a host that gives replies too many, and then closes. Whatever came where, nothing is told
 * as taken that the host has not taken (L11); and who is in step keeps his words (L9).
 */
#include "tests/unit/sending/jobs.h"

#include <signal.h>

enum { SCRIPT = 4096, MORE = 3 };

enum verb { MAIL, RCPT, END, RSET, VERBS };

static const char *const names[VERBS] = { "MAIL", "RCPT", "END", "RSET" };

/* What hosts say: Postfix, Gmail, one with a code of its own for the text, and one without any. */
static const char *const words[][VERBS] = {
	{ "250 2.1.0 Ok", "250 2.1.5 Ok", "250 2.0.0 Ok: queued", "250 2.0.0 Ok" },
	{ "250 2.1.0 OK", "250 2.1.5 OK", "250 2.0.0 OK", "250 2.1.5 Flushed" },
	{ "250 2.1.0 ok", "250 2.1.5 ok", "250 2.6.0 taken", "250 2.5.0 reset" },
	{ "250 ok", "250 ok", "250 ok", "250 ok" },
};

struct place {
	enum verb verb;
	int job; /* from 1 */
};

static bool
is_at(const struct place *p, enum verb v, int job)
{
	return p != NULL && p->verb == v && p->job == job;
}

struct plan {
	const char *const *words;
	int n;                       /* recipients of each job */
	const struct place *surplus; /* `more` replies too many come here, as the one before */
	int more;
	bool each; /* ... and one at each job before */
	struct place end; /* where this is said in place of a reply */
	const char *last;
};

static void
put_reply(FILE *out, const struct plan *p, enum verb v, int job, int i)
{
	int times = v == RCPT ? (job - 1) * p->n + i : job;
	bool last_of_job = v != RCPT || i == p->n;
	int more = is_at(p->surplus, v, job) ? p->more
		: p->each && v == p->surplus->verb && job < p->surplus->job ? 1 : 0;
	fprintf(out, "%s%d=", names[v], times);
	if (is_at(&p->end, v, job) && last_of_job) {
		fprintf(out, "%s|", p->last);
		return;
	}
	fputs(p->words[v], out);
	for (int k = 0; k < more && last_of_job; k++)
		fprintf(out, "/%s", p->words[v]);
	putc('|', out);
}

static void
write_script(char *script, const struct plan *p)
{
	FILE *out = fmemopen(script, SCRIPT, "w");
	assert_non_null(out);
	for (int job = 1; job <= JOBS; job++)
		for (enum verb v = 0; v < VERBS; v++)
			for (int i = 1; i <= (v == RCPT ? p->n : 1); i++)
				put_reply(out, p, v, job, i);
	assert_int_equal(fclose(out), 0);
}

/* ... at most. */
static bool
is_warned_once(const struct rcpt *r)
{
	static const struct span warning = { "possible duplicate", 18 };
	struct span text = buf_span(&r->text);
	int times = 0;
	for (; text.n > 0; text = span_skip(text, 1))
		times += span_istarts(text, warning);
	return times <= 1;
}

/* What became of the jobs with this host. */
static void
run(const struct plan *p, const struct message *m, char *script, char *got)
{
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	write_script(script, p);
	connect_to(WINDOW, script, JOBS);
	make_jobs(jobs, rcpt, m);
	for (int j = 0; j < JOBS; j++)
		jobs[j].n = p->n;
	send_all(jobs, JOBS, got);
	for (int j = 0; j < JOBS; j++)
		assert_true(is_warned_once(&rcpt[j][0]));
	free_jobs(rcpt);
	part();
}

/* The jobs that the host has taken are those before the one in which it ended. */
static void
check_taken(const struct plan *p, const struct message *m)
{
	char script[SCRIPT] = "", got[128];
	run(p, m, script, got);
	const char *word = got;
	for (int job = 1; job < p->end.job; job++)
		word = strchr(word, ' ') + 1;
	if (strchr(word, 'D') != NULL)
		fail_msg("%s: %s, though job %d was not taken", script, got, p->end.job);
}

static void
check_ends(struct plan p, const struct message *m)
{
	static const char *const lasts[] = { "close", "421 4.7.0 bye!", "550 5.7.1 no!",
		"451 4.7.1 no!" };
	static const enum verb ends[] = { MAIL, RCPT, END };
	for (size_t e = 0; e < ROWS(ends); e++)
		for (size_t i = 0; i < ROWS(lasts); i++) {
			p.end.verb = ends[e];
			p.last = lasts[i];
			if (p.surplus->job < p.end.job || p.surplus->verb < p.end.verb)
				check_taken(&p, m);
		}
}

/* One to three replies too many, behind each command, before each way to end in each job. */
static void
test_surplus(void **state)
{
	(void)state;
	struct message m = make_message(strlen(BODY));
	for (size_t w = 0; w < ROWS(words); w++)
		for (int n = 1; n <= RCPTS; n++)
			for (int end = 1; end <= JOBS; end++)
				for (int at = 0; at < end * VERBS; at++)
					for (int more = 1; more <= 2 * MORE; more++) {
						struct place s = { at % VERBS, at / VERBS + 1 };
						struct plan p = { words[w], n, &s,
							(more - 1) % MORE + 1, more > MORE,
							{ END, end }, NULL };
						check_ends(p, &m);
					}
	close(m.fd);
}

/* Without a code: by the words, in this job or where the window began. */
static void
test_words(void **state)
{
	(void)state;
	static const struct { const char *host, *want; } cases[] = {
		{ "RCPT3=250 b1|RCPT4=250 b2/250 b2|END2=close", "A+DD L+ss U+SS" },
		{ "MAIL2=250 b/250 b|RCPT3=250 b/250 b|RCPT4=250 b2|END2=close",
			"A+DD L+ss U+SS" },
		{ "MAIL1=250 m|RCPT1=250 r|RCPT2=250 r|END1=250 q/250 q/250 q|RSET1=250 s|"
		  "MAIL2=250 m|RCPT3=250 r|RCPT4=250 r|END2=close", "A+DD L+ss U+SS" },
		{ "MAIL1=250 m|RCPT1=250 r|RCPT2=250 r|END1=250 q/250 q/250 q/250 q|RSET1=250 s|"
		  "MAIL2=250 m|RCPT3=250 r|RCPT4=250 r|END2=close", "A+DD L+ss U+SS" },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++)
		check(WINDOW, cases[i].host, &m, cases[i].want);
	close(m.fd);
}

/* A host in step that closes, with a goodbye or without one, has taken what it said it has. */
static void
test_in_step(void **state)
{
	(void)state;
	static const struct { struct place end; const char *last, *want; } cases[] = {
		{ { RSET, 1 }, "close", "A+DD U+SS U+SS" },
		{ { RSET, 1 }, "421 4.7.0 bye!", "A+DD USS USS" },
		{ { MAIL, 2 }, "close", "A+DD U+SS U+SS" },
		{ { MAIL, 2 }, "421 4.7.0 bye!", "A+DD USS USS" },
		{ { RSET, 2 }, "close", "A+DD A+DD U+SS" },
		{ { RCPT, 3 }, "close", "A+DD A+DD L+ss" },
		{ { END, 3 }, "421 4.7.0 bye!", "A+DD A+DD A+SS" },
		{ { RSET, 3 }, "421 4.7.0 bye!", "A+DD A+DD A+DD" },
		{ { RSET, 3 }, "close", "A+DD A+DD A+DD" },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t w = 0; w + 1 < ROWS(words); w++)
		for (size_t i = 0; i < ROWS(cases); i++) {
			char script[SCRIPT] = "", got[128];
			struct plan p = { words[w], RCPTS, NULL, 0, false, cases[i].end,
				cases[i].last };
			run(&p, &m, script, got);
			if (strcmp(got, cases[i].want) != 0)
				fail_msg("%s: %s, not %s", script, got, cases[i].want);
		}
	close(m.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_surplus),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_in_step),
	};
	signal(SIGPIPE, SIG_IGN); /* as in the relay */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
