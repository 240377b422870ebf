/*
 * due, outbox: whose report is due when, once, whatever was left by one that died before, and who
 * is kept waiting by whom (R86).
 */
#include "tests/unit/spooled.h"

#include <sys/wait.h>

#include "lib/crc.h"
#include "queue/tally.h"
#include "tests/unit/dns/nameserver.h"
#include "lib/fetchwire.h"
#include "process/log.h"
#include "tests/unit/tlsreport/shut.h"
#include "tlsreport/bounds.h"
#include "tlsreport/due.h"
#include "tlsreport/outbox.h"
#include "tlsreport/post.h"

#define TXT "v=TLSRPTv1; rua=mailto:tls@r.example"

/* Texts of TXT records, but for what begins with "!"; start makes answers of them. */
static struct zone zone[] = {
	{ "_smtp._tls.a.example", "TXT", TXT },
	{ "_smtp._tls.b.example", "TXT", TXT },
	{ "_smtp._tls.two.example", "TXT",
		"v=TLSRPTv1; rua=mailto:x@r.example,mailto:y@s.example" },
	{ "_smtp._tls.fails.example", "*", "!rcode 2" },
	{ "_smtp._tls.odd.example", "TXT", "v=TLSRPTv1; rua=x" },
	{ "_smtp._tls.p1.example", "TXT", "v=TLSRPTv1; rua=https://p1.example/" },
	{ "_smtp._tls.p2.example", "TXT", "v=TLSRPTv1; rua=https://p2.example/" },
	{ "_smtp._tls.p3.example", "TXT", "v=TLSRPTv1; rua=https://p3.example/" },
	{ "_smtp._tls.late.example", "TXT", "v=TLSRPTv1; rua=https://late.example/" },
	{ "_smtp._tls.pair.example", "TXT",
		"v=TLSRPTv1; rua=https://pair.example/a,https://pair.example/b" },
	{ "_smtp._tls.both.example", "TXT",
		"v=TLSRPTv1; rua=https://p1.example/,mailto:x@r.example" },
};

static struct nameserver ns;
static char us[] = "us.example", from[] = "tls@us.example";
static struct conf conf;
static struct due due;
static int64_t over; /* when the day of the test is */

#define DAY_NAME "2026-11-28"

/* ---- who takes a report, and what is said in the log ----------------------------------------- */

static struct {
	int n, answer;        /* posts, and what comes of them, but for those of `good` */
	const char *good;     /* a part of a URL */
	char urls[200];       /* in order, with blanks */
	int64_t seconds;      /* of the last one */
	bool deadly;          /* the process dies of it */
} posts;

static char lines[4000]; /* what was logged, but for who is to get mail */

int __wrap_post_report(const struct poster *p, const char *url, struct span packed,
	struct buf *why);
void __wrap_log_event(int priority, const struct log_fields *f, const char *format, ...);

int
__wrap_post_report(const struct poster *p, const char *url, struct span packed, struct buf *why)
{
	size_t n = strlen(posts.urls);
	assert_true(packed.n > 0);
	snprintf(posts.urls + n, sizeof(posts.urls) - n, "%s ", url + strlen("https://"));
	posts.n++;
	posts.seconds = p->seconds;
	if (posts.deadly)
		_exit(1);
	buf_puts(why, "so it is");
	return posts.good != NULL && strstr(url, posts.good) != NULL ? 0 : posts.answer;
}

void
__wrap_log_event(int priority, const struct log_fields *f, const char *format, ...)
{
	va_list args;
	size_t n = strlen(lines);
	(void)priority;
	if (f->queue_id != NULL)
		return;
	va_start(args, format);
	vsnprintf(lines + n, sizeof(lines) - n, format, args);
	va_end(args);
	n = strlen(lines);
	snprintf(lines + n, sizeof(lines) - n, "\n");
}

static int readable = -1; /* so many names can be read, and the next one cannot; -1: all can */
const char *__wrap_dir_next(DIR *dir);
const char *__real_dir_next(DIR *dir);

const char *
__wrap_dir_next(DIR *dir)
{
	if (readable-- != 0) {
		readable = readable < -1 ? -1 : readable;
		return __real_dir_next(dir);
	}
	errno = EIO;
	return NULL;
}

static int
begin_due(void **state)
{
	if (setup(state) < 0)
		return -1;
	conf = (struct conf){ .who.hostname = us, .tls_reports = { CONF_YES, from } };
	over = tally_begin(DAY_NAME) + TALLY_DAY_SECONDS;
	assert_int_equal(mkdirat(sp.root, TALLY_DIR, 0700), 0);
	memset(&posts, 0, sizeof(posts));
	memset(lines, 0, sizeof(lines));
	shut = NULL;
	due = (struct due){ .conf = &conf, .spool = &sp, .now = over + DUE_FIRST + DUE_SPREAD,
		.share = (int64_t)DUE_SHARE * 1000, .is_signed = true,
		.resolver = resolver_open(&ns.addr, 1, us),
		.dir = openat(sp.root, TALLY_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	return due.resolver == NULL ? -1 : 0;
}

static int
end_due(void **state)
{
	resolver_close(due.resolver);
	close(due.dir);
	return teardown(state);
}

/* A domain with a session on the day. */
static void
count(const char *domain)
{
	struct tally t = { .spool = &sp, .dir = due.dir };
	char text[200];
	snprintf(text, sizeof(text), "policy no-policy-found\ndomain %s\nresult success\n", domain);
	assert_int_equal(tally_add(&t, over - 1, domain, span_of(text), span_of(text)), 0);
}

/* Of files made just now it is not the time that counts, as long as the test says when it is. */
static void
run(void)
{
	int day = openat(due.dir, DAY_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = day >= 0 ? fdopendir(day) : NULL;
	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.' && e->d_name[0] != '@')
			set_age(day, e->d_name, clock_wall());
	if (dir != NULL)
		closedir(dir);
	due_run(&due);
}

static bool
is_done(void)
{
	return exists(due.dir, DAY_NAME "/" TALLY_DONE);
}

/* How long one waits that was tried now. */
static int64_t
wait_of(const char *domain)
{
	int64_t w = due.now - due_time(us, domain, over);
	return w < DUE_AGAIN ? DUE_AGAIN : w > DUE_AGAIN_MOST ? DUE_AGAIN_MOST : w;
}

static void
test_time(void **state)
{
	(void)state;
	int64_t least = INT64_MAX, most = 0;
	char domain[32];
	for (int i = 0; i < 1000; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		int64_t at = due_time("us.example", domain, 0);
		least = at < least ? at : least;
		most = at > most ? at : most;
		assert_int_equal(at, due_time("us.example", domain, 0));
	}
	assert_true(least >= DUE_FIRST && least < DUE_FIRST + DUE_SPREAD / 50);
	assert_true(most < DUE_FIRST + DUE_SPREAD && most > DUE_FIRST + DUE_SPREAD / 50 * 49);
	assert_int_not_equal(due_time("us.example", "a.example", 0),
		due_time("others.example", "a.example", 0));
}

/* Each in its own time; the day is done when all are. */
static void
test_own_time(void **state)
{
	(void)state;
	int64_t a = due_time(us, "a.example", over), b = due_time(us, "b.example", over);
	int64_t first = a < b ? a : b, second = a < b ? b : a;
	count("a.example");
	count("b.example");
	count("nobody.example");
	due.now = over + DUE_FIRST - 1;
	run();
	assert_int_equal(names("lane"), 0);
	assert_int_equal(due.next, over + DUE_FIRST);
	due.now = first - 1;
	run();
	assert_int_equal(names("lane"), 0);
	assert_true(due.next <= first);
	due.now = first;
	run();
	assert_int_equal(names("lane/r.example"), 1);
	assert_false(is_done());
	due.now = second;
	run();
	assert_int_equal(names("lane/r.example"), 2);
	due.now = over + DUE_FIRST + DUE_SPREAD;
	run();
	assert_true(is_done());
	assert_int_equal(names(TALLY_DIR "/" DAY_NAME), 0);
	assert_int_equal(due.next, over + TALLY_DAY_SECONDS + DUE_FIRST);
	run();
	assert_int_equal(names("lane/r.example"), 2);
	/* whoever was stopped all the time, and counts only now, brings no second one about */
	count("a.example");
	run();
	assert_int_equal(names("lane/r.example"), 2);
	due.now = over + DUE_END + 1;
	run();
	assert_int_equal(names(TALLY_DIR), 0);
}

static void
test_nobody(void **state)
{
	(void)state;
	count("nobody.example");
	count("odd.example");
	run();
	assert_int_equal(names("lane"), 0);
	assert_true(is_done());
}

/* Asked again when as long has passed as it was due, an hour at least, and for two days. */
static void
test_fails(void **state)
{
	(void)state;
	count("fails.example");
	run();
	assert_false(is_done());
	int64_t wait = wait_of("fails.example");
	assert_int_equal(due.next, due.now + wait);
	int asked = ns.counts->udp;
	due.now += wait - 1;
	due_run(&due); /* it stands in the time of its directory */
	assert_int_equal(ns.counts->udp, asked);
	due.now++;
	due_run(&due);
	assert_true(ns.counts->udp > asked);
	assert_int_equal(due.next, due.now + 2 * wait);
	assert_int_equal(names(TALLY_DIR "/" DAY_NAME "/fails.example"), 1);
	due.now = over + DUE_END;
	due_run(&due);
	assert_false(is_done());
	assert_null(strstr(lines, "given up"));
	due.now++;
	due_run(&due);
	assert_int_equal(names(TALLY_DIR), 0);
	assert_non_null(strstr(lines, "on " DAY_NAME ": given up for domains of which it could "
		"not be told"));
}

static void
test_two_places(void **state)
{
	struct message m;
	struct lane lane;
	(void)state;
	count("two.example");
	run();
	assert_int_equal(names("lane/r.example"), 1);
	open_lane(&lane, "s.example");
	DIR *dir = fdopendir(dup(lane.dir));
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (id_valid(span_of(e->d_name))) {
			assert_int_equal(message_open(&m, &lane, e->d_name), 0);
			assert_int_equal(m.env.sender.n, 0);
			assert_true(m.env.ours && m.rcpt[0].terms.notify == NOTIFY_NEVER);
			assert_true(span_eq(m.rcpt[0].address, span_of("y@s.example")));
			message_close(&m);
		}
	closedir(dir);
	lane_close(&lane);
	assert_true(is_done());
}

/*
 * A host that many domains name, which it is none of, gets so many reports of a day and no more;
 * one of the domain's own gets its report all the same.
 */
static void
test_many_for_one_host(void **state)
{
	(void)state;
	static char told[BOUNDS_MOST * 10];
	for (int i = 0; i < BOUNDS_MOST - 1; i++)
		memcpy(told + 10 * i, "r.example\n", 10);
	count("a.example");
	count("b.example");
	count("p1.example");
	spill(due.dir, DAY_NAME "/@to", (struct span){ told, 10 * (BOUNDS_MOST - 1) });
	posts.answer = -EAGAIN;
	run();
	assert_int_equal(names("lane/r.example"), 1);
	assert_int_equal(slurp(due.dir, DAY_NAME "/@to").n, 10 * BOUNDS_MOST);
	assert_non_null(strstr(lines, ": not sent to tls@r.example: 200 reports of that day went "
		"to that host, which is not this domain's own\n"));
	assert_string_equal(posts.urls, "p1.example/ ");
	assert_false(is_done());
	due.now += DUE_AGAIN_MOST;
	posts.answer = 0;
	run();
	assert_true(is_done());
	assert_false(exists(due.dir, DAY_NAME "/@to"));
	assert_int_equal(names("lane/r.example"), 1);
}

/* No room for it: it is tried again, and nothing of it goes out meanwhile. */
static void
test_no_room(void **state)
{
	(void)state;
	count("a.example");
	conf.tls_reports.from = NULL;
	static char longest[70000];
	memset(longest, 'x', sizeof(longest) - 1);
	conf.tls_reports.from = longest; /* a head that is too large */
	run();
	assert_int_equal(names("lane"), 0);
	assert_false(is_done());
	assert_int_equal(names(TALLY_DIR "/" DAY_NAME "/a.example"), 1);
	assert_false(exists(due.dir, DAY_NAME "/a.example/@new"));
	conf.tls_reports.from = from;
	run();
	assert_int_equal(names("lane/r.example"), 1);
}

/* ---- what is posted -------------------------------------------------------------------------- */

/* What was written for a web server goes there behind the seal, until it is taken. */
static void
test_posts(void **state)
{
	struct spool box;
	(void)state;
	count("a.example");
	int domain = openat(due.dir, DAY_NAME "/a.example", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(outbox_begin(&box, &sp, domain), 0);
	assert_int_equal(outbox_put(&box, 1, "https://b.example/", span_of("one\n1")), 0);
	assert_int_equal(outbox_put(&box, 2, "https://c.example/", span_of("two")), 0);
	assert_int_equal(outbox_put(&box, 2, "https://c.example/", span_of("two")), -EEXIST);
	assert_int_equal(outbox_seal(&box, domain), 0);
	posts.answer = -EAGAIN;
	run();
	assert_int_equal(posts.n, 2);
	assert_int_equal(names(TALLY_DIR "/" DAY_NAME "/a.example"), 0);
	assert_false(is_done());
	assert_int_equal(due.next, due.now + wait_of("a.example"));
	assert_int_equal(unlinkat(domain, "@out/@post-2", 0), 0);
	posts.answer = 0;
	run();
	assert_int_equal(posts.n, 2);
	due.now += wait_of("a.example");
	run();
	assert_int_equal(posts.n, 3);
	assert_string_equal(posts.urls, "b.example/ c.example/ b.example/ ");
	assert_true(is_done());
	close(domain);
}

/* What a server refuses is over; one that cannot be asked gets it later, by a longer try. */
static void
test_refused(void **state)
{
	(void)state;
	count("p1.example");
	posts.answer = -EAGAIN;
	run();
	assert_int_equal(posts.seconds, DUE_QUICK);
	due.now += wait_of("p1.example");
	posts.answer = -EPERM;
	run();
	assert_int_equal(posts.seconds, FETCH_TIME);
	assert_int_equal(posts.n, 2);
	assert_true(is_done());
	assert_non_null(strstr(lines, "not posted now to https://p1.example/: so it is\n"));
	assert_non_null(strstr(lines, "not posted to https://p1.example/: so it is\n"));
}

/* Mail is in its lane before anybody's web server is waited for. */
static void
test_mail_first(void **state)
{
	int status;
	(void)state;
	count("both.example");
	count("a.example");
	posts.deadly = true;
	pid_t pid = fork();
	if (pid == 0) {
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(names("lane/r.example"), 2);
}

/* What a run dies of is not the first of the next one, nor of any for an hour. */
static void
test_deadly(void **state)
{
	int status;
	(void)state;
	count("p1.example");
	count("p2.example");
	posts.deadly = true;
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			run();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WEXITSTATUS(status), 1); /* each of them once */
	}
	posts.deadly = false;
	due_run(&due);
	assert_int_equal(posts.n, 0);
	assert_true(due.next > due.now && due.next <= due.now + DUE_AGAIN_MOST);
	due.now += DUE_AGAIN_MOST;
	due_run(&due);
	assert_int_equal(posts.n, 2);
	assert_true(is_done());
}

/* A domain that took all the time of a try has no other one in this run; one place of it that is
 * silent keeps nothing from another one. */
static void
test_silent_place(void **state)
{
	(void)state;
	count("pair.example");
	posts.answer = -ETIMEDOUT;
	posts.good = "/b";
	run();
	assert_string_equal(posts.urls, "pair.example/a ");
	assert_int_equal(due.next, due.now); /* the next run begins at once */
	run();
	assert_string_equal(posts.urls, "pair.example/a pair.example/b ");
	assert_int_equal(due.next, due.now + wait_of("pair.example"));
	due.now += wait_of("pair.example");
	run();
	assert_string_equal(posts.urls, "pair.example/a pair.example/b pair.example/a ");
}

/* However many are silent, in each run somebody is asked who never was, and somebody who was. */
static void
test_shares(void **state)
{
	static const char *const silent[] = { "p1.example", "p2.example", "p3.example" };
	(void)state;
	posts.answer = -ETIMEDOUT;
	posts.good = "late";
	for (size_t i = 0; i < ROWS(silent); i++)
		count(silent[i]);
	due.share = 0;
	for (int i = 1; i <= 3; i++) { /* a look-up and a post in each run */
		run();
		assert_int_equal(posts.n, i);
		assert_int_equal(due.next <= due.now, i < 3);
	}
	due.now += DUE_AGAIN_MOST;
	count("late.example");
	run();
	assert_int_equal(posts.n, 5);
	assert_non_null(strstr(posts.urls, "late.example/"));
	assert_int_equal(due.next, due.now);
	posts.answer = 0;
	run();
	run();
	assert_int_equal(posts.n, 7);
	assert_int_equal(due.next, due.now + DUE_AGAIN_MOST); /* that of the one in vain */
	for (size_t i = 0; i < ROWS(silent); i++) { /* each one twice, nobody three times */
		const char *first = strstr(posts.urls, silent[i]);
		assert_non_null(first);
		const char *second = strstr(first + 1, silent[i]);
		assert_non_null(second);
		assert_null(strstr(second + 1, silent[i]));
	}
}

/* This host cannot post: it tries again before the day is over, however little there is to post. */
static void
test_cannot_post_one(void **state)
{
	(void)state;
	count("p1.example");
	posts.answer = -ECHILD;
	run();
	assert_int_equal(posts.n, 1);
	assert_int_equal(due.next, due.now + DUE_AGAIN);
}

/* ... and nobody was tried, and nobody else is. */
static void
test_cannot_post(void **state)
{
	(void)state;
	count("p1.example");
	count("p2.example");
	posts.answer = -ECHILD;
	run();
	assert_int_equal(posts.n, 1);
	assert_int_equal(due.next, due.now + DUE_AGAIN);
	posts.answer = 0;
	run();
	assert_int_equal(posts.n, 3);
	assert_int_equal(posts.seconds, DUE_QUICK); /* it is the first try still */
	assert_true(is_done());
}

/* What nobody took for two days is given up, and that is said. */
static void
test_given_up(void **state)
{
	(void)state;
	count("p1.example");
	posts.answer = -EAGAIN;
	run();
	due.now = over + DUE_END;
	run();
	assert_int_equal(posts.n, 2);
	assert_null(strstr(lines, "given up"));
	due.now++;
	run();
	assert_int_equal(posts.n, 2);
	assert_int_equal(names(TALLY_DIR), 0);
	assert_non_null(strstr(lines, "for p1.example on " DAY_NAME ": given up, for it could not "
		"be posted in time to https://p1.example/\n"));
	assert_null(strstr(lines, "given up for domains"));
}

/* A guard that is set meanwhile holds back what is there, and has none made for web servers. */
static void
test_guarded(void **state)
{
	static char guard[] = "sink";
	(void)state;
	count("p1.example");
	posts.answer = -EAGAIN;
	run();
	due.now += DUE_AGAIN_MOST;
	conf.submission.guard = guard;
	count("p2.example");
	run();
	assert_int_equal(posts.n, 1);
	assert_false(is_done());
	conf.submission.guard = NULL;
	posts.answer = 0;
	due_run(&due);
	assert_string_equal(posts.urls, "p1.example/ p1.example/ ");
	assert_true(is_done());
}

/* What cannot be opened now is not one that is not there: its report is made later. */
static void
test_cannot_open(void **state)
{
	static const char *const rows[] = { "a.example", DAY_NAME, "." };
	(void)state;
	count("a.example");
	for (size_t i = 0; i < ROWS(rows); i++) {
		shut = rows[i];
		due_run(&due);
		shut = NULL;
		assert_false(is_done());
		assert_int_equal(names("lane"), 0);
		assert_int_equal(due.next, due.now + DUE_AGAIN);
		assert_non_null(strstr(lines, strerror(EMFILE)));
	}
	run();
	assert_int_equal(names("lane/r.example"), 1);
	assert_true(is_done());
}

/* Wherever reading names fails: what is not read is not what is not there. */
static void
test_cannot_read(void **state)
{
	enum { MOST = 1000 };
	(void)state;
	bool broken = true;
	for (int n = 0; n < MOST && broken; n++) {
		count("a.example");
		count("p1.example");
		count("fails.example");
		posts.n = 0;
		readable = n;
		run();
		broken = readable == -1;
		readable = -1;
		assert_false(is_done());
		due.now += DUE_AGAIN_MOST; /* for what was put off */
		run();
		assert_false(is_done());
		assert_int_equal(names("lane/r.example"), 1);
		assert_int_equal(posts.n, 1);
		end_due(state);
		begin_due(state);
	}
	assert_false(broken);
}

/* ---- what one that died has left ------------------------------------------------------------ */

static int
open_domain(void)
{
	int fd = openat(due.dir, DAY_NAME "/a.example", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Mail in the outbox of a.example, as it is between these steps. */
static int
half_way(bool sealed)
{
	struct spool box;
	static struct draft draft;
	count("a.example");
	int domain = open_domain();
	assert_int_equal(outbox_begin(&box, &sp, domain), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(draft_begin(&draft, &box, &(struct envelope){ .ours = true }), 0);
		assert_int_equal(draft_recipient(&draft, i == 0 ? "r.example" : "s.example",
			span_of("x@r.example"), &no_terms), 0);
		draft_body(&draft, span_of(BODY));
		assert_int_equal(draft_commit(&draft), 0);
	}
	buf_free(&draft.head);
	assert_int_equal(names("lane"), 0);
	if (sealed)
		assert_int_equal(outbox_seal(&box, domain), 0);
	else
		close(box.lanes);
	assert_int_equal(outbox_is_sealed(domain), sealed);
	return domain;
}

static void
test_died_before(void **state)
{
	(void)state;
	close(half_way(false));
	run();
	assert_int_equal(names("lane/r.example"), 1); /* a new one; that one was none yet */
	assert_int_equal(names("lane"), 1);
	assert_true(is_done());
}

static void
test_died_behind(void **state)
{
	(void)state;
	close(half_way(true));
	run();
	assert_int_equal(names("lane/r.example"), 1);
	assert_int_equal(names("lane/s.example"), 1);
	assert_true(is_done());
}

/* Of two mails one was in its lane, and gone from there, before the other one was. */
static void
test_died_between(void **state)
{
	(void)state;
	int domain = half_way(true);
	struct stat st;
	char path[200];
	assert_int_equal(fstatat(domain, "@out/r.example", &st, 0), 0);
	snprintf(path, sizeof(path), "%s/" TALLY_DIR "/" DAY_NAME "/a.example/@out/r.example", top);
	assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	close(domain);
	run();
	assert_int_equal(names("lane"), 1);
	assert_int_equal(names("lane/s.example"), 1);
	assert_true(is_done());
}

/* What cannot be moved now is moved the next time; what was counted is gone meanwhile. */
static void
test_cannot_move(void **state)
{
	(void)state;
	int domain = half_way(true);
	spill(sp.lanes, "r.example", span_of("no directory"));
	assert_true(outbox_flush(&sp, domain) < 0);
	assert_int_equal(names("lane/s.example"), 1);
	assert_int_equal(names(TALLY_DIR "/" DAY_NAME "/a.example"), 0);
	run();
	assert_false(is_done());
	assert_int_equal(unlinkat(sp.lanes, "r.example", 0), 0);
	run();
	assert_true(is_done());
	assert_int_equal(names("lane/r.example"), 1);
	close(domain);
}

static void
test_waits(void **state)
{
	(void)state;
	assert_false(tally_waits(&sp, due.now)); /* nothing is there */
	count("a.example");
	assert_false(tally_waits(&sp, over - 1));
	assert_true(tally_waits(&sp, over));
	int lock = tally_lock(&sp);
	assert_true(lock >= 0);
	assert_int_equal(tally_lock(&sp), -EAGAIN);
	close(lock);
	const struct { int64_t at; bool waits; } rows[] = { { 0, true }, { 1, false },
		{ 2 * TALLY_DAY_SECONDS, false }, { 2 * TALLY_DAY_SECONDS + 1, true } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		set_age(due.dir, TALLY_LOCK, clock_wall() - due.now - rows[i].at);
		assert_int_equal(tally_waits(&sp, due.now), rows[i].waits);
	}
	run();
	assert_true(is_done());
	assert_int_equal(unlinkat(due.dir, TALLY_LOCK, 0), 0);
	assert_false(tally_waits(&sp, due.now));
	assert_true(tally_waits(&sp, due.now + 30 * TALLY_DAY_SECONDS)); /* to sweep it */
}

static int
start(void **state)
{
	static char answers[ROWS(zone)][300];
	(void)state;
	for (size_t i = 0; i < ROWS(zone); i++) {
		const char *text = zone[i].answer;
		if (text[0] == '!')
			continue;
		int n = snprintf(answers[i], sizeof(answers[i]), "@ TXT # %02zx", strlen(text));
		for (const char *p = text; *p != '\0'; p++)
			n += snprintf(answers[i] + n, sizeof(answers[i]) - (size_t)n, "%02x", *p);
		zone[i].answer = answers[i];
	}
	nameserver_start(&ns, zone, sizeof(zone) / sizeof(zone[0]));
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	nameserver_stop(&ns);
	return 0;
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_due, end_due)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_time),
		TEST(test_own_time),
		TEST(test_nobody),
		TEST(test_fails),
		TEST(test_two_places),
		TEST(test_many_for_one_host),
		TEST(test_no_room),
		TEST(test_posts),
		TEST(test_refused),
		TEST(test_mail_first),
		TEST(test_deadly),
		TEST(test_silent_place),
		TEST(test_shares),
		TEST(test_cannot_post_one),
		TEST(test_cannot_post),
		TEST(test_given_up),
		TEST(test_guarded),
		TEST(test_cannot_open),
		TEST(test_cannot_read),
		TEST(test_died_before),
		TEST(test_died_behind),
		TEST(test_died_between),
		TEST(test_cannot_move),
		TEST(test_waits),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
