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
 * `smtpd --check`, `--hash`, `--counters` and `--health` are for the operator, on a command line:
 * there is no client.
 *
 * Exit status: 0; 75 the spool cannot be used; 78 the configuration is wrong; what the others mean
 * depends on what was asked for (docs/man/smtpd.8).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/recipient_map.h"
#include "conf/routes.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/match.h"
#include "process/check.h"
#include "process/counts.h"
#include "process/health.h"
#include "process/launch.h"
#include "process/listen.h"
#include "process/log.h"
#include "process/monitor.h"
#include "process/pool.h"
#include "process/numbers.h"
#include "process/program.h"
#include "process/request.h"
#include "process/ring.h"
#include "process/runtime.h"
#include "process/seal.h"
#include "process/stamp.h"
#include "process/standby.h"
#include "process/stdfds.h"
#include "process/surroundings.h"
#include "queue/tended.h"
#include "session/loop.h"
#include "session/say.h"
#include "session/worker.h"

/* Not among the large ones, where it would have a page to itself. */
static volatile int stop_requested __attribute__((section(".data")));

static struct session session; /* large: what is not written takes no memory */
static struct stamps stamps;   /* the same */
static struct people people;   /* the same */

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

/* Of a session. */
static void
hold_signals(void)
{
	sigset_t blocked; /* let in only while waiting, by stream.c */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
}

/* Of who has something to say before it ends; the others just end. */
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
 * What is done is counted, and what clients' networks do, if it can be: mail is more than numbers
 * and limits.
 */
static void
count(struct session *s, bool counted)
{
	struct log_fields f = { .event = "limits" };
	struct quota *table = counted ? &s->counts : NULL;
	int r = counts_map(s->conf.who.runtime, table);
	if (r == -ENOENT && runtime_make(s->conf.who.runtime, geteuid(), getegid()) == 0)
		r = counts_map(s->conf.who.runtime, table);
	if (r < 0)
		log_event(LOG_WARNING, &f, "runtime %s: %s: " RUNTIME_MISSED,
			s->conf.who.runtime, strerror(-r));
}

/*
 * What is a part of the configuration in a file of its own: without it mail would go where it must
 * not. 0, or -errno and a line in *why.
 */
static int
read_map(struct session *s, struct buf *why)
{
	struct conf_submission *c = &s->conf.submission;
	return c->recipient_map != NULL ? recipient_map_load(c->recipient_map, &c->map, why) : 0;
}

/* Names of users, for who comes in as one: behind the lock nobody could look. */
static void
know_people(struct session *s)
{
	if (s->conf.receive.local_users != CONF_YES ||
		!match_local_names(s->conf.receive.local_senders))
		return;
	stamp_add(&stamps, PEOPLE_PASSWD, STAMP_FILE);
	stamp_add(&stamps, PEOPLE_MAILNAME, STAMP_FILE);
	people_read(&people, PEOPLE_PASSWD, PEOPLE_MAILNAME);
	s->people = &people;
}

/* What sessions need that is opened before. 0, or -errno and a line in *why. */
static int
prepare(struct session *s, bool counted, struct buf *why)
{
	count(s, counted);
	know_people(s);
	int r = spool_open(&s->spool, s->conf.who.spool);
	if (r < 0)
		spool_explain(s->conf.who.spool, r, why);
	return r;
}

/* Becomes two processes: each returns its exit status. */
static int
serve(struct session *s, const struct options *o, const struct peer *p)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	int pair[2];
	if (read_map(s, &why) < 0)
		return give_up(s, R_NO_CONFIG, EXIT_CONFIG, buf_span(&why));
	if (prepare(s, is_counted(s, p), &why) < 0)
		return give_up(s, R_NO_QUEUE, EX_TEMPFAIL, buf_span(&why));
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
		loop_forget_environment();
		return loop_main(s, p);
	}
	close(pair[1]);
	struct launcher l = { .spool = &s->spool, .conf = &s->conf, .args = &o->conf };
	ring_prepare(&l);
	return monitor_run(&l, pair[0], pid);
}

/* ---- many clients -------------------------------------------------------------------------- */

/* Tells the operator that it does not begin: there is no client yet. */
static int
give_up_all(const struct buf *why, int status)
{
	(void)program_refuse(why);
	return status;
}

/*
 * There can be no sessions: those who come hear that for a while. Without the pause systemd would
 * start the next one at once, over and over. The status.
 */
static int
turn_all_away(struct session *s, int listeners, enum reply r, int status)
{
	enum { PAUSE = 10 };
	struct pollfd at[OPTIONS_LISTEN];
	const int64_t end = clock_deadline(PAUSE);
	for (int i = 0; i < listeners; i++)
		at[i] = (struct pollfd){ .fd = LISTEN_FIRST + i, .events = POLLIN };
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	while (!*s->stop && clock_left(end) > 0)
		for (int i = 0, n = poll(at, (nfds_t)listeners, clock_left(end));
			n > 0 && i < listeners; i++) {
			auto_fd fd = accept4(LISTEN_FIRST + i, NULL, NULL, SOCK_CLOEXEC);
			if (fd < 0)
				continue;
			stream_init(&s->client.stream, fd, fd, true, NULL);
			say_reply(s, r);
			(void)stream_flush(&s->client.stream, clock_deadline(1));
		}
	return status;
}

/* In a worker's process. */
static int
work(void *ctx, int monitor, enum pool_role role, const struct source *own)
{
	struct worker_terms *t = ctx;
	t->session->source = *own;
	t->session->monitor = monitor;
	return worker_main(t, role);
}

/* Before any of it is read: a change meanwhile is one that is seen. */
static void
stamp_sources(const struct options *o)
{
	stamp_add_program(&stamps);
	stamp_add(&stamps, o->conf.file != NULL ? o->conf.file : CONF_FILE, STAMP_FILE);
}

/* Serves all clients that come to the sockets, `n` of them. The exit status. */
static int
serve_many(struct session *s, const struct options *o, int n, char **argv)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	stamp_add(&stamps, s->conf.submission.recipient_map, STAMP_FILE);
	stamp_add(&stamps, s->conf.who.spool, STAMP_DIRECTORY);
	if (read_map(s, &why) < 0)
		return turn_all_away(s, n, R_NO_CONFIG, program_refuse(&why));
	if (prepare(s, true, &why) < 0)
		return turn_all_away(s, n, R_NO_QUEUE, give_up_all(&why, EX_TEMPFAIL));
	tended_begin(&s->spool, clock_wall());
	struct launcher l = { .spool = &s->spool, .conf = &s->conf, .args = &o->conf };
	struct worker_terms workers = { .session = s, .stamps = &stamps, .listeners = n,
		.parent = getpid() };
	struct pool_terms pool = { .launcher = &l, .stamps = &stamps, .stop = s->stop,
		.listeners = n, .stays = o->listeners > 0, .argv = argv, .work = work,
		.ctx = &workers };
	ring_prepare(&l);
	l.standby = standby_open(&l);
	if (l.standby == NULL) {
		buf_puts(&why, "no memory for tls and auth that wait");
		return turn_all_away(s, n, R_NO_SESSION, give_up_all(&why, EX_TEMPFAIL));
	}
	int status = pool_run(&pool);
	standby_close(l.standby);
	return status;
}

/* How many sockets there are to listen at, or -errno and a line in *why. What else is open goes. */
static int
find_listeners(const struct options *o, struct buf *why)
{
	int n = listen_inherited();
	if (n < 0)
		buf_puts(why, "not all sockets that were handed over (LISTEN_FDS) listen");
	if (n <= 0 || !pool_takes_over())
		stdfds_close_from(LISTEN_FIRST + (n > 0 ? n : 0));
	if (n == 0 && o->listeners > 0)
		n = listen_bind(o, why);
	if (n > 0)
		listen_ready(n);
	return n;
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
	fprintf(stderr, "smtpd: %s: %s\n", c->who.auth_path, strerror(errno));
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
	if (o.health != NULL && o.wrong == NULL)
		return health_ask(o.health);
	auto_buf unbound = buf_new(LIMIT_COMMAND);
	bool operator = o.check || o.counters || o.hash != NULL;
	int listeners = operator ? 0 : find_listeners(&o, &unbound);
	if (operator)
		stdfds_close_from(STDERR_FILENO + 1);
	else
		hold_signals();
	signal(SIGCHLD, SIG_DFL);
	if (listeners > 0) {
		catch_signals();
		stamp_sources(&o);
	}
	s->stop = &stop_requested;
	s->client.end = CLOCK_NEVER;
	s->conf.receive.timeout_command = 1; /* for give_up, until the configuration is read */
	if (!operator && listeners == 0)
		stdfds_hide_client();
	int r = program_configure(&s->conf, &from, &o, NULL, "smtpd", &why);
	if (r < 0 && operator)
		return check_refuse("smtpd", &why);
	if (r == 0 && operator)
		return answer_operator(&s->conf, &from, &o);
	if (listeners < 0)
		return give_up_all(&unbound, EX_UNAVAILABLE);
	if (r == 0)
		r = program_drop_root(&s->conf, &from, &o, &why);
	if (r < 0 && listeners > 0)
		return turn_all_away(s, listeners, R_NO_CONFIG, program_refuse(&why));
	if (r == 0 && listeners > 0)
		return serve_many(s, &o, listeners, argv);
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
