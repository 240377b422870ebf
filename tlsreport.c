/*
 * postern-tlsreport: sends the reports on TLS that domains ask for (RFC 8460).
 *
 * `relay --due` starts it where a day of what relays counted (report/tlsrpt.h) is over, with the
 * lock of tlsrpt/ in its hands, so that there is one. It looks up who wants a report, makes it, and
 * queues it; relays send it like any other mail. It reads what strangers put into the DNS, and what
 * hosts said, so it locks itself in before that, as a relay does; and needs two libraries that no
 * relay has to load (JSON, compression).
 *
 *	postern-tlsreport --check   looks at whether reports can be signed
 *
 *	tlsrpt/@lock   its time is when there is more to do, at the soonest
 *
 * Exit status: 0; 75 something cannot be opened; 78 the configuration is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/dkimkeys.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/alabel.h"
#include "mail/dkim.h"
#include "process/check.h"
#include "process/launch.h"
#include "process/program.h"
#include "queue/tally.h"
#include "tlsreport/due.h"
#include "tlsreport/post.h"

static struct conf conf;

/* Where TXT records are looked up. NULL, which was said: nowhere. */
static struct resolver *
open_resolver(const struct log_fields *f)
{
	auto_buf odd = buf_new(LIMIT_COMMAND);
	if (conf_find_nameservers(&conf, NULL, &odd) < 0) {
		log_event(LOG_ERR, f, "no nameserver can be used: %.*s", (int)odd.n, odd.p);
		return NULL;
	}
	const struct conf_servers *servers = &conf.relay.nameserver;
	struct resolver *r = resolver_open(servers->v, servers->n, conf.who.hostname);
	if (r == NULL)
		log_event(LOG_ERR, f, "cannot open a resolver: %s", strerror(errno));
	else if (servers->tcp)
		resolver_use_tcp(r);
	return r;
}

/*
 * Does a key sign what is from this address by now? What is wrong with the keys themselves is found
 * by sign --check.
 */
static bool
is_signed(const struct conf *c, const char *from)
{
	static uint8_t algorithm[SIGN_KEYS];
	struct dkimkeys table;
	char domain[ALABEL_DOMAIN];
	auto_buf why = buf_new(LIMIT_COMMAND);
	const char *at = strrchr(from, '@');
	if (c->dkim.keys == NULL)
		return false;
	if (at == NULL || alabel_domain(span_of(at + 1), domain) < 0 ||
		dkimkeys_read(&table, c->dkim.keys, &why) < 0)
		return true;
	memset(algorithm, DKIM_RSA, sizeof(algorithm));
	bool is = dkimkeys_choose(&table, algorithm, domain, clock_wall()).n > 0;
	dkimkeys_free(&table);
	return is;
}

/* Locked in. `starter`: who starts what posts a report. Exit status. */
static int
run(const struct spool *spool, int starter)
{
	struct log_fields f = { .event = "tls_report" };
	struct due due = { .conf = &conf, .spool = spool, .now = clock_wall(), .starter = starter,
		.resolver = open_resolver(&f), .share = (int64_t)DUE_SHARE * 1000,
		.is_signed = is_signed(&conf, conf.tls_reports.from) };
	auto_fd dir = openat(spool->root, TALLY_DIR,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	due.dir = dir;
	if (dir < 0)
		log_event(LOG_ERR, &f, "spool: " TALLY_DIR ": %s: no report on TLS goes out",
			strerror(errno));
	if (due.resolver == NULL || dir < 0 ||
		!program_lock_in(SANDBOX_RELAY, spool, -1, &f))
		return EX_TEMPFAIL;
	due_run(&due);
	const struct timespec next[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = due.next } };
	(void)futimens(LAUNCH_FIRST_FD, next);
	resolver_close(due.resolver);
	return EXIT_SUCCESS;
}

/* This host is short of something. Exit status. */
static int
refuse(void)
{
	struct log_fields f = { .event = "tls_report" };
	log_event(LOG_ERR, &f, "no report on TLS goes out now: %s", strerror(errno));
	return EX_TEMPFAIL;
}

/* What the child came to. Exit status. */
static int
judge(int status)
{
	struct log_fields f = { .event = "tls_report" };
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	log_event(LOG_ERR, &f, "reports on TLS: what makes them was killed by signal %d",
		WTERMSIG(status));
	return EX_SOFTWARE;
}

/* Two processes: one reads what strangers say, and the other one may start programs (post.h). */
static int
run_both(const struct spool *spool, const struct options *o)
{
	const struct launcher l = { .spool = spool, .conf = &conf, .args = &o->conf };
	int ends[2], status;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return refuse();
	pid_t pid = fork();
	if (pid < 0)
		return refuse();
	if (pid == 0) {
		close(ends[0]);
		_exit(run(spool, ends[1]));
	}
	close(ends[1]);
	close(LAUNCH_FIRST_FD); /* the other one has the lock, as long as it lives, */
	close(LAUNCH_SECOND_FD); /* and so it has here */
	post_start_all(ends[0], pid, &l);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EX_TEMPFAIL;
	return judge(status);
}

static void
check_signature(struct findings *f, const struct conf *c)
{
	if (is_signed(c, c->tls_reports.from))
		return;
	if (c->dkim.keys == NULL)
		check_warning(f, "tls_reports: no report is sent by mail, for nobody looks at one "
			"that is not signed; set dkim_keys, with a key for the domain of %s",
			c->tls_reports.from);
	else
		check_warning(f, "tls_reports: dkim_keys %s has no key for the domain of %s: "
			"reports by mail are not signed, and nobody looks at them; add one, or set "
			"tls_reports_from", c->dkim.keys, c->tls_reports.from);
}

static const struct check checks[] = { { check_signature } };

int
main(int argc, char **argv)
{
	struct options o;
	struct spool spool;
	auto_buf why = buf_new(LIMIT_COMMAND);

	if (!program_begin(&o, argc, argv))
		return EX_USAGE;
	const char *unfit =
		o.serve || o.check ? NULL : "postern-tlsreport is started by relay --due";
	int err = program_configure(&conf, NULL, &o, unfit, "postern-tlsreport", &why);
	if (o.check)
		return err < 0 ? check_refuse("postern-tlsreport", &why)
			       : check_all("postern-tlsreport", &o, &conf, NULL, checks,
					 CHECKS(checks));
	if (err < 0)
		return program_refuse(&why);
	err = spool_open(&spool, conf.who.spool);
	if (err < 0) {
		spool_explain(conf.who.spool, err, &why);
		(void)program_refuse(&why);
		return EX_TEMPFAIL;
	}
	int status = run_both(&spool, &o);
	spool_close(&spool);
	conf_free(&conf);
	return status;
}
