/*
 * relay: delivers what is queued.
 *
 *	relay --lane NAME   started by launch.c with a slot of the lane and a global slot in its
 *	                    hands: sends all of the lane's due mail over one connection, then takes
 *	                    the next lane in which something is due, until there is none.
 *	relay --due         started by a timer: looks at the lanes (not at messages), starts a relay
 *	                    for each that is due while slots are free, cleans tmp/, and ends.
 *	relay --waiting     for the unit of the timer: is there anything that --due would look at?
 *	relay --check       looks at what it needs to deliver: name servers, authorities, logins.
 *
 * Promises: a message leaves a lane only when every recipient in it is settled: delivered (a host
 * said 2xx to its end), or failed and the report is durable. Whatever is not understood is SOFT and
 * tried again by the schedule. Killed at any point, it leaves locks that are gone and a message
 * that is still there; the price may be a duplicate (RFC 1047), never a loss.
 *
 * Exit status: 0; 1 nothing waits (--waiting); 75 the spool cannot be used; 78 the configuration is
 * wrong.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "conf/credential.h"
#include "delivery/connect.h"
#include "delivery/flight.h"
#include "delivery/hosts.h"
#include "delivery/readiness.h"
#include "delivery/work.h"
#include "dns.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/lane_name.h"
#include "process/check.h"
#include "process/launch.h"
#include "process/log.h"
#include "process/program.h"
#include "queue/lane.h"
#include "queue/spool.h"
#include "queue/tended.h"

enum { WHY_SIZE = 1024 };

#define HOSTS_FILE "/etc/hosts"

static struct relay relay;

/*
 * Opens and reads what is needed of the file system beside the spool, before that is out of reach:
 * the authorities, and of all logins the one of the first lane's route. If it cannot be read, the
 * lane's mail waits by the schedule, as if its host were down.
 */
static void
prepare(struct relay *r)
{
	struct log_fields f = { .event = "failed", .lane = r->work.lane.name };
	r->tls.authorities = open(r->common.relay.ca, O_RDONLY | O_CLOEXEC);
	if (r->tls.authorities < 0 && readiness_needs_authorities(&r->common))
		log_event(LOG_ERR, &f, "delivery_ca %s: %s: no host's certificate can be verified",
			r->common.relay.ca, strerror(errno));
	if (login_load(&r->work.delivery, r->common.receive.timeout_check, &r->login,
		    &r->unable) < 0)
		log_event(LOG_ERR, &f, "%.*s", (int)r->unable.n, r->unable.p);
}

/*
 * Makes due what waits in a lane, but for messages that their sender asked to be held (RFC 4865).
 */
static void
make_due(struct relay *r, const char *name)
{
	if (!lane_name_valid(span_of(name)) || lane_open(&r->work.lane, &r->spool, name) < 0)
		return;
	lane_make_due(&r->work.lane);
	lane_close(&r->work.lane);
}

/* False: there was trouble (S13), which is logged if it is the first (`before` is true). */
static bool
launch_logged(const struct launcher *l, const char *lane, bool before)
{
	struct log_fields f = { .event = "launch", .lane = lane };
	pid_t pid = launch_relay(l, lane);
	if (!launch_is_trouble(pid))
		return before;
	if (before)
		log_event(LOG_ERR, &f, "lane %s: cannot start relay: %s: %s", lane,
			l->conf->who.relay_path, strerror(-pid));
	return false;
}

/* Starts a relay for each lane in which something is due, while there are slots. Exit status. */
static int
start_due(struct relay *r, const struct options *o)
{
	struct launcher l = { .spool = &r->spool, .conf = &r->common, .args = &o->conf };
	auto_dir lanes = work_open_lanes(r);
	bool started = true;
	if (lanes == NULL)
		return EX_TEMPFAIL;
	for (const char *name; (name = work_next_name(lanes)) != NULL;) {
		if (o->now)
			make_due(r, name);
		if (work_looks_due(r, name))
			started = launch_logged(&l, name, started);
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return EXIT_SUCCESS;
}

/*
 * Starts relays for due lanes that the relay at work has to leave, because they need another login.
 * That one, and those that it started to help it, have the other end of `leavings` and write an
 * octet for each such lane; when all are gone, so is this process. Exit status.
 */
static int
keep(struct relay *r, const struct options *o, int leavings)
{
	char drain[64];
	lane_close(&r->work.lane);
	cleanup_fd(&r->slot);
	for (ssize_t n; (n = read(leavings, drain, sizeof(drain))) != 0;)
		if (n > 0)
			(void)start_due(r, o);
		else if (errno != EINTR)
			return EX_TEMPFAIL;
	return EXIT_SUCCESS;
}

/*
 * Where names are looked up. Without a nameserver that can be used, nowhere: the mail waits until
 * there is one. 0 or -1 and errno.
 */
static int
open_resolver(struct relay *r)
{
	struct log_fields f = { .event = "resolver" };
	struct conf_servers *servers = &r->common.relay.nameserver;
	auto_buf odd = buf_new(WHY_SIZE);
	int err = conf_find_nameservers(&r->common, NULL, &odd);
	if (odd.n > 0)
		log_event(err < 0 ? LOG_ERR : LOG_WARNING, &f, "%s: %.*s",
			err < 0 ? "no nameserver can be used" : "left out", (int)odd.n, odd.p);
	r->resolver = resolver_open(servers->v, servers->n, r->common.who.hostname);
	if (r->resolver == NULL)
		return -1;
	if (servers->tcp)
		resolver_use_tcp(r->resolver);
	resolver_use_hosts(r->resolver, HOSTS_FILE);
	return 0;
}

/* Mail that waits grows older while relays come and look. */
static void
note_presence(const struct relay *r)
{
	struct log_fields f = { .event = "spool" };
	int err = tended_note(&r->spool, clock_wall(), conf_longest_retry(&r->common));
	if (err < 0)
		log_event(LOG_ERR, &f, "tended: cannot write down that a relay is here: %s; mail "
			"that waits does not grow old", strerror(-err));
}

static int
work(struct relay *r)
{
	struct log_fields f = { .event = "failed", .lane = r->work.lane.name };
	note_presence(r);
	hosts_open(&r->hosts, r->spool.root, r->common.relay.remember_hosts);
	if (flight_prepare(r) < 0)
		return EX_TEMPFAIL;
	prepare(r);
	credential_forget(); /* passwords of other routes, too */
	signal(SIGCHLD, SIG_IGN); /* helpers are on their own */
	if (open_resolver(r) < 0) {
		log_event(LOG_ERR, &f, "cannot open a resolver: %s", strerror(errno));
		return EX_TEMPFAIL;
	}
	if (!program_lock_in(SANDBOX_RELAY, &r->spool, -1, &f))
		return EX_TEMPFAIL;
	work_on_lanes(r);
	resolver_close(r->resolver);
	return EXIT_SUCCESS;
}

/*
 * Works on the lane that was named, and on others. Where routes have different logins, this relay
 * reads only the one of the lane's route; then it forks, and the parent, which has no connection to
 * any host, starts relays for the lanes that need another. Exit status.
 */
static int
run_lane(struct relay *r, const struct options *o)
{
	struct log_fields f = { .event = "failed", .lane = o->lane };
	int leavings[2];
	if (!lane_name_valid(span_of(o->lane)) ||
		lane_adopt(&r->work.lane, &r->spool, o->lane, LAUNCH_FIRST_FD) < 0) {
		log_event(LOG_ERR, &f, "lane %s: not there", o->lane);
		return EX_TEMPFAIL;
	}
	r->slot = LAUNCH_SECOND_FD;
	connect_use_route(r);
	r->login_is = (struct login_settings){ .user = r->work.delivery.user,
		.password_file = r->work.delivery.password_file,
		.token_command = r->work.delivery.token_command };
	if (!connect_logins_vary(r) ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, leavings) < 0)
		return work(r);
	pid_t pid = fork();
	close(leavings[pid > 0]);
	if (pid > 0)
		return keep(r, o, leavings[0]);
	r->keeper = leavings[1];
	return work(r);
}

static int
run_due(struct relay *r, const struct options *o)
{
	spool_sweep(&r->spool);
	note_presence(r);
	hosts_open(&r->hosts, r->spool.root, r->common.relay.remember_hosts);
	hosts_sweep(&r->hosts);
	return start_due(r, o);
}

int
main(int argc, char **argv)
{
	struct relay *r = &relay;
	struct options o;
	struct conf_origins from;
	auto_buf why = buf_new(WHY_SIZE);

	if (!program_begin(&o, argc, argv))
		return EX_USAGE;
	r->work.lane = LANE_CLOSED;
	r->slot = r->keeper = r->link.fd = -1;
	r->why = buf_new(WHY_SIZE);
	r->unable = buf_new(WHY_SIZE);
	bool fit = (o.due || o.lane != NULL || o.check || o.waiting) && (!o.now || o.due);
	int err = program_configure(&r->common, &from, &o,
		fit ? NULL : "nothing to do; see --help", "relay", sd_journal_sendv, &why);
	if (err < 0)
		return o.check ? check_refuse("relay", &why) : program_refuse(&why);
	if (o.check)
		return readiness_check(&o, &r->common, &from);
	if (program_drop_root(&r->common, &from, &o, &why) < 0)
		return program_refuse(&why);
	err = spool_open(&r->spool, r->common.who.spool);
	if (err < 0) {
		spool_explain(r->common.who.spool, err, &why);
		(void)program_refuse(&why);
		return EX_TEMPFAIL;
	}
	if (o.waiting)
		return spool_is_empty(&r->spool) ? EXIT_FAILURE : EXIT_SUCCESS;
	return o.due ? run_due(r, &o) : run_lane(r, &o);
}
