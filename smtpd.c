/*
 * smtpd: speaks SMTP with one client on standard input and output, and queues what it sends.
 *
 * systemd, inetd, xinetd or a shell starts it for each connection. It becomes two processes:
 *
 *	monitor   the process that was started. It lets go of the connection before the first byte
 *	          is read, and waits for requests (request.h): "lane L has new mail", for which it
 *	          rings for a relay or starts one; "speak TLS". It never sees a byte of the client.
 *	session   its child. Locked in (sandbox.h), it talks to the client and writes the spool.
 *
 * "250 queued" is sent only after draft_commit said that the message is on disk. Everything else
 * may fail at any moment: a message is in the spool whole, or not at all. The protocol is one table
 * (session/commands.c), its texts another (session/reply.h).
 *
 * `smtpd --check`, `--hash` and `--counters` are for the operator, on a command line: there is no
 * client.
 *
 * Exit status: 0; 66 there are no counters to print; 75 the spool cannot be used; 78 the
 * configuration is wrong.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/routes.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/check.h"
#include "process/counts.h"
#include "process/launch.h"
#include "process/log.h"
#include "process/monitor.h"
#include "process/numbers.h"
#include "process/program.h"
#include "process/request.h"
#include "process/ring.h"
#include "process/runtime.h"
#include "process/seal.h"
#include "process/stdfds.h"
#include "process/surroundings.h"
#include "queue/tended.h"
#include "session/loop.h"
#include "session/say.h"

/* Not among the large ones, where it would have a page to itself. */
static volatile int stop_requested __attribute__((section(".data")));

static struct session session; /* large: what is not written takes no memory */

static void
on_stop(int sig)
{
	(void)sig;
	stop_requested = 1;
}

/* Tells the operator and the client that there is no session. */
static int
give_up(struct session *s, enum reply r, int status, struct span why)
{
	struct log_fields f = { .event = "failed" };
	log_event(LOG_ERR, &f, "%.*s", (int)why.n, why.n > 0 ? why.p : "");
	(void)counters_fit();
	stream_init(&s->client.stream, STDIN_FILENO, STDOUT_FILENO, true, s->stop);
	say_reply(s, r);
	(void)stream_flush(&s->client.stream, session_deadline(s, s->conf.receive.timeout_command));
	return status;
}

/*
 * The session needs no environment but its time zone, which some C libraries look up each time. The
 * rest is overwritten, because it may hold secrets.
 */
static void
forget_environment(void)
{
	static char *kept[2];
	for (char **e = environ; *e != NULL; e++)
		if (strncmp(*e, "TZ=", 3) == 0)
			kept[0] = *e;
		else
			explicit_bzero(*e, strlen(*e));
	environ = kept;
}

static void
hold_signals(void)
{
	sigset_t blocked; /* let in only while waiting, by stream.c */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGCHLD, SIG_DFL);
}

/* In a session, which has something to say before it ends; the others just end. */
static void
catch_signals(void)
{
	struct sigaction stop = { .sa_handler = on_stop };
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
}

/* Clients on this host are not; but a proxy on it may speak for clients elsewhere. */
static bool
is_counted(const struct session *s, const struct peer *p)
{
	return !peer_is_local(p, &s->conf.receive) || peer_is_proxy(p, &s->conf.receive);
}

/*
 * What is done is counted, and what a client's network does, if it can be: mail is more than
 * numbers and limits.
 */
static void
count(struct session *s, const struct peer *p)
{
	struct log_fields f = { .event = "limits" };
	struct quota *table = is_counted(s, p) ? &s->counts : NULL;
	int r = counts_map(s->conf.who.runtime, table);
	if (r == -ENOENT && runtime_make(s->conf.who.runtime, geteuid(), getegid()) == 0)
		r = counts_map(s->conf.who.runtime, table);
	if (r < 0)
		log_event(LOG_WARNING, &f, "runtime %s: %s: " RUNTIME_MISSED,
			s->conf.who.runtime, strerror(-r));
}

/* Becomes two processes: each returns its exit status. */
static int
serve(struct session *s, const struct options *o, const struct peer *p)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	int pair[2];
	count(s, p);
	int r = spool_open(&s->spool, s->conf.who.spool);
	if (r < 0) {
		spool_explain(s->conf.who.spool, r, &why);
		return give_up(s, R_NO_QUEUE, EX_TEMPFAIL, buf_span(&why));
	}
	if (request_pair(pair) < 0)
		return give_up(s, R_NO_SESSION, EX_TEMPFAIL, span_of("cannot make a socket pair"));
	s->monitor = pair[1];
	pid_t pid = _Fork(); /* fork, without locks that only threads need */
	if (pid < 0)
		return give_up(s, R_NO_SESSION, EX_TEMPFAIL, span_of("cannot fork"));
	if (pid == 0) {
		close(pair[0]);
		catch_signals();
		tended_begin(&s->spool, clock_wall()); /* the monitor needs no clock */
		forget_environment();
		return loop_main(s, p);
	}
	close(pair[1]);
	struct launcher l = { .spool = &s->spool, .conf = &s->conf, .args = &o->conf };
	ring_prepare(&l);
	return monitor_run(&l, pair[0], pid);
}

/* For the operator, who asked on a command line: no client, no session. */
static int
answer_operator(struct conf *c, struct conf_origins *from, const struct options *o)
{
	if (o->check)
		return surroundings_check(o, c, from);
	if (o->counters)
		return numbers_print(c->who.runtime, stdout);
	execl(c->who.auth_path, "auth", "--hash", o->hash, (char *)NULL);
	return EX_UNAVAILABLE;
}

int
main(int argc, char **argv)
{
	struct session *s = &session;
	struct options o;
	struct conf_origins from;
	struct peer peer;
	auto_buf why = buf_new(LIMIT_COMMAND);

	if (seal_relocated() < 0 || !program_begin(&o, argc, argv))
		return EX_USAGE;
	bool operator = o.check || o.counters || o.hash != NULL;
	stdfds_close_from(STDERR_FILENO + 1);
	hold_signals();
	s->stop = &stop_requested;
	s->client.end = CLOCK_NEVER;
	s->conf.receive.timeout_command = 1; /* for give_up, until the configuration is read */
	if (!operator)
		stdfds_hide_client();
	int r = program_configure(&s->conf, &from, &o, NULL, "smtpd", &why);
	if (r < 0 && operator)
		return check_refuse("smtpd", &why);
	if (r == 0 && operator)
		return answer_operator(&s->conf, &from, &o);
	if (r == 0)
		r = program_drop_root(&s->conf, &from, &o, &why);
	if (r < 0)
		return give_up(s, R_NO_CONFIG, EXIT_CONFIG, buf_span(&why));
	r = peer_of(STDIN_FILENO, STDOUT_FILENO, &peer);
	if (r == -EOPNOTSUPP)
		return give_up(s, R_NO_CONFIG, EXIT_CONFIG, span_of("standard input is a socket "
			"that listens; there is an smtpd for each connection (Accept=yes, "
			"wait = no)"));
	if (r < 0)
		return EXIT_SUCCESS; /* the client has gone */
	program_end(serve(s, &o, &peer));
}
