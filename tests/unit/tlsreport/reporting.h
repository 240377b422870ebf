/*
 * reporting: days of which sessions were counted, a name server that knows who wants reports, and
 * what is posted, for tests of due.
 */
#ifndef POSTERN_REPORTING_H
#define POSTERN_REPORTING_H

#include "tests/unit/spooled.h"

#include <sys/wait.h>

#include "lib/crc.h"
#include "lib/fetchwire.h"
#include "process/log.h"
#include "queue/tally.h"
#include "tests/unit/dns/nameserver.h"
#include "tests/unit/tlsreport/shut.h"
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

static inline int
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

static inline int
end_due(void **state)
{
	resolver_close(due.resolver);
	close(due.dir);
	return teardown(state);
}

/* A domain with a session on the day. */
static inline void
count(const char *domain)
{
	struct tally t = { .spool = &sp, .dir = due.dir };
	char text[200];
	snprintf(text, sizeof(text), "policy no-policy-found\ndomain %s\nresult success\n", domain);
	assert_int_equal(tally_add(&t, over - 1, domain, span_of(text), span_of(text)), 0);
}

/* Of files made just now it is not the time that counts, as long as the test says when it is. */
static inline void
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

static inline bool
is_done(void)
{
	return exists(due.dir, DAY_NAME "/" TALLY_DONE);
}

/* How long one waits that was tried now. */
static inline int64_t
wait_of(const char *domain)
{
	int64_t w = due.now - due_time(us, domain, over);
	return w < DUE_AGAIN ? DUE_AGAIN : w > DUE_AGAIN_MOST ? DUE_AGAIN_MOST : w;
}

static inline int
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

static inline int
stop(void **state)
{
	(void)state;
	nameserver_stop(&ns);
	return 0;
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_due, end_due)

#endif
