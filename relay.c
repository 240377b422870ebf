/*
 * relay: delivers what is queued.
 *
 *	relay --login NAME  started by launch.c with the login's lock in its hands: sends what is
 *	                    due of all lanes that need this login, hears of new mail, and ends
 *	                    when nothing is due any more.
 *	relay --due         started by a timer: looks at the lanes (not at messages), starts a relay
 *	                    for each login that has one that is due, or rings for the one that is at
 *	                    work, cleans tmp/, and ends.
 *	relay --waiting     for the unit of the timer: is there anything that --due would look at?
 *	relay --check       looks at what it needs to deliver: name servers, authorities, logins.
 *
 * Promises: a message leaves a lane only when every recipient in it is settled: delivered (a host
 * said 2xx to its end), or failed and the report is durable. Whatever is not understood is SOFT and
 * tried again by the schedule. Killed at any point, it leaves locks that are gone and a message
 * that is still there; the price may be a duplicate (RFC 1047), never a loss.
 *
 * Exit status: 0; 1 nothing waits (--waiting); 70 it died again and again;
 * 75 the spool cannot be used; 78 the configuration is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/credential.h"
#include "delivery/courier.h"
#include "delivery/fetching.h"
#include "delivery/journal.h"
#include "delivery/keeper.h"
#include "delivery/lanes.h"
#include "delivery/readiness.h"
#include "delivery/resolvers.h"
#include "delivery/serve.h"
#include "delivery/signing.h"
#include "delivery/sink.h"
#include "delivery/turns.h"
#include "delivery/visit.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "process/check.h"
#include "process/counts.h"
#include "process/files.h"
#include "process/log.h"
#include "process/program.h"
#include "process/ring.h"
#include "queue/bell.h"
#include "queue/tended.h"
#include "sending/tlsclient.h"

enum {
	WHY_SIZE = 1024,
	ARENAS = 2,        /* of malloc(3): one for each thread would cost more than it saves */
	LARGE = 128 * 1024, /* octets that it asks the kernel for, and gives back: what a look-up
	                    * takes for a moment would stay, a thousand times */
};

#define HOSTS_FILE "/etc/hosts"

static struct relay relay;
static struct launcher launcher; /* of other relays, and of sign */

/* ---- at work ------------------------------------------------------------------------------- */

/*
 * Opens and reads what is needed of the file system beside the spool, before that is out of reach:
 * the authorities, and of all logins its own. If that cannot be read, the mail waits by the
 * schedule, as if its hosts were down.
 */
static void
prepare(struct relay *r)
{
	struct log_fields f = { .event = "failed" };
	struct conf_delivery d;
	int err = readiness_find(r->common.relay.ca, R_OK);
	r->tls.authorities = err < 0 ? -1 : file_open(r->common.relay.ca);
	if (r->tls.authorities < 0 && readiness_needs_authorities(&r->common))
		log_event(LOG_ERR, &f, "delivery_ca %s: %s: no host's certificate can be verified",
			r->common.relay.ca, strerror(err < 0 ? -err : errno));
	way_of(&r->common, r->login_name, &d);
	if (login_load(&d, r->common.receive.timeout_check, &r->login, &r->unable) < 0)
		log_event(LOG_ERR, &f, "%.*s", (int)r->unable.n, r->unable.p);
}

/* Said once, when a relay begins; what it costs depends on whether DANE must be there. */
static void
log_without_dane(const struct relay *r)
{
	struct log_fields f = { .event = "resolver" };
	enum conf_dane dane = readiness_dane(&r->common);
	if (dane != CONF_DANE_OFF)
		log_event(dane == CONF_DANE_ONLY ? LOG_ERR : LOG_INFO, &f, "DANE is off: "
			READINESS_UNTRUSTED);
}

/*
 * Where names are looked up. Without a nameserver that can be used, nowhere: the mail waits until
 * there is one. 0 or -1 and errno.
 */
static int
open_resolvers(struct relay *r)
{
	struct log_fields f = { .event = "resolver" };
	auto_buf odd = buf_new(WHY_SIZE);
	int err = conf_find_nameservers(&r->common, NULL, &odd);
	if (odd.n > 0)
		log_event(err < 0 ? LOG_ERR : LOG_WARNING, &f, "%s: %.*s",
			err < 0 ? "no nameserver can be used" : "left out", (int)odd.n, odd.p);
	r->resolvers = resolvers_open(&r->common.relay.nameserver, HOSTS_FILE,
		r->common.who.hostname);
	if (r->resolvers == NULL)
		return -1;
	bool trusted = resolvers_trust(r->resolvers, &r->common.relay.dnssec_trusted);
	if (!trusted && r->common.relay.nameserver.n > 0)
		log_without_dane(r);
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

/* As many open files as the connections may need, or as we may have; then fewer connections. */
static void
make_room_for_files(struct relay *r)
{
	struct log_fields f = { .event = "files" };
	struct rlimit limit;
	int64_t *most = &r->common.relay.max_connections;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		limit.rlim_cur = before;
	int64_t each = files_of_connection(&r->common.relay);
	int64_t fit = limit.rlim_cur > FILES_OF_RELAY
		? ((int64_t)limit.rlim_cur - FILES_OF_RELAY) / each : 1;
	if (limit.rlim_cur == RLIM_INFINITY || fit >= *most)
		return;
	log_event(LOG_NOTICE, &f, "%lld open files are too few for %lld connections: there will "
		"be %lld (LimitNOFILE, max_connections)", (long long)limit.rlim_cur,
		(long long)*most, (long long)(fit > 0 ? fit : 1));
	*most = fit > 0 ? fit : 1;
}

/* Of the file of counts a relay maps the counters alone. Without them mail goes all the same. */
static void
begin_to_count(const struct relay *r)
{
	struct log_fields f = { .event = "counters" };
	int err = counts_map(r->common.who.runtime, NULL);
	const char *why = err < 0 ? strerror(-err) : !counters_fit() ? COUNTS_FOREIGN : NULL;
	if (why != NULL)
		log_event(LOG_WARNING, &f, "runtime %s: %s: this relay does not count",
			r->common.who.runtime, why);
	counters_one(COUNTER_RELAYS);
}

/*
 * Starts sign, which has the keys of DKIM. Without it mail that is to be signed waits, or goes as
 * it is (dkim_missing).
 */
static void
begin_to_sign(struct relay *r)
{
	struct log_fields f = { .event = "dkim" };
	auto_buf why = buf_new(WHY_SIZE);
	if (r->common.dkim.keys == NULL)
		return;
	int fd = signing_start(&launcher, &why);
	if (signer_begin(&r->signer, &r->common.dkim, fd, &why) < 0 || why.n > 0)
		log_event(LOG_ERR, &f, "dkim_keys %.*s: no mail can be signed", (int)why.n, why.p);
}

/*
 * What policies are fetched with, as a key names it. False: it is not there, or not for us, which
 * is told. Another trouble passes, and what passes mail waits for.
 */
static bool
find_for_policies(const char *key, const char *path, int mode)
{
	struct log_fields f = { .event = "sts" };
	int err = readiness_find(path, mode);
	if (err != -ENOENT && err != -ENOTDIR && err != -EACCES && err != -EISDIR)
		return true;
	log_event(LOG_ERR, &f, "MTA-STS: %s %s: %s: no policy can be fetched, and mail goes as if "
		"domains had none but those that are kept", key, path, strerror(-err));
	return false;
}

/*
 * Policies of MTA-STS: those that are kept, and how many may be fetched at once. No mail waits for
 * what only the operator can mend; what is seen in the end alone, it waits for as long as
 * delivery/fetchless.h says.
 */
static void
begin_with_policies(struct relay *r)
{
	const struct conf *c = &r->common;
	stscache_open(&r->stscache, r->spool.root);
	r->fetches = eventfd(FETCHING_MOST, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	fetchless_begin(&r->fetchless, r->stscache.dir, conf_longest_retry(c) + FETCHLESS_AFTER);
	r->fetchless.missing = c->relay.mta_sts == CONF_YES &&
		!(find_for_policies("fetch_path", c->who.fetch_path, X_OK) &&
			find_for_policies("delivery_ca", c->relay.ca, R_OK));
}

/* Of reports on TLS; without them mail goes all the same. */
static void
begin_to_tally(struct relay *r)
{
	struct log_fields f = { .event = "tls_report" };
	tally_open(&r->tally, &r->spool, r->common.receive.min_free);
	if (r->tally.dir < 0)
		log_event(LOG_WARNING, &f, "spool: " TALLY_DIR ": %s: this relay counts nothing "
			"for reports on TLS", strerror(-r->tally.dir));
}

/* What a process that talks to hosts begins with. Exit status: 0, or why it cannot. */
static int
begin(struct relay *r)
{
	struct log_fields f = { .event = "failed" };
	(void)mallopt(M_ARENA_MAX, ARENAS);
	(void)mallopt(M_MMAP_THRESHOLD, LARGE);
	begin_to_count(r);
	note_presence(r);
	hosts_open(&r->hosts, r->spool.root, r->common.relay.remember_hosts);
	begin_with_policies(r);
	prepare(r);
	journal_load();
	const char *missing = tlsclient_load();
	if (missing != NULL) {
		log_event(LOG_ERR, &f, "cannot load OpenSSL: %s", missing);
		return EX_TEMPFAIL;
	}
	begin_to_sign(r);
	if (r->common.tls_reports.on == CONF_YES)
		begin_to_tally(r);
	credential_forget(); /* passwords of other routes, too */
	if (open_resolvers(r) < 0) {
		log_event(LOG_ERR, &f, "cannot open a resolver: %s", strerror(errno));
		return EX_TEMPFAIL;
	}
	sink_open(r);
	return program_lock_in(SANDBOX_RELAY, &r->spool, -1, &f) ? EXIT_SUCCESS : EX_TEMPFAIL;
}

static void
end(struct relay *r)
{
	resolvers_close(r->resolvers);
	stscache_close(&r->stscache);
	cleanup_fd(&r->fetches);
	login_free(&r->login);
	signer_end(&r->signer);
	tlsclient_forget(&r->tls);
	hands_free(r->hands);
	buf_free(&r->unable);
	suspects_free(&r->suspects);
	conf_free(&r->common);
}

static int
serve_all(struct relay *r, int dir)
{
	int status = begin(r);
	if (status == EXIT_SUCCESS)
		status = serve_run(r, dir);
	end(r);
	return status;
}

static int
try_one(struct relay *r, const char *lane, const char *id)
{
	int status = begin(r);
	struct courier *c = status == EXIT_SUCCESS && turns_init(r) == 0 ? courier_new(r, 0) : NULL;
	if (c == NULL)
		return EX_TEMPFAIL;
	visit_alone(c, lane, id);
	courier_free(c);
	turns_free(r);
	end(r);
	return EXIT_SUCCESS;
}

/* Exit status. */
static int
run_login(struct relay *r, const struct options *o)
{
	static const struct keeper_work work = { serve_all, try_one };
	struct log_fields f = { .event = "failed" };
	launcher = (struct launcher){ .spool = &r->spool, .conf = &r->common, .args = &o->conf };
	close(LAUNCH_SECOND_FD);
	snprintf(r->login_name, sizeof(r->login_name), "%s", o->login);
	int dir = bell_open_dir(&r->spool, r->common.who.hostname, r->login_name);
	int err = dir < 0 ? dir : bell_make(dir);
	if (dir >= 0 && bell_is_impossible(err)) {
		log_event(LOG_WARNING, &f, "login %s: a FIFO in the spool: %s; while I am at work "
			"I look for new mail each second", r->login_name, strerror(-err));
	} else if (err < 0) {
		log_event(LOG_ERR, &f, "login %s: spool: %s", r->login_name, strerror(-err));
		return EX_TEMPFAIL;
	}
	make_room_for_files(r);
	suspects_init(&r->suspects);
	return keeper_run(r, &launcher, &work, dir, LAUNCH_FIRST_FD);
}

/* ---- by the timer -------------------------------------------------------------------------- */

/*
 * Makes due what waits in a lane, but for messages that their sender asked to be held (RFC 4865).
 * False: some of it waits on.
 */
static bool
make_due(struct relay *r, const char *name)
{
	struct log_fields f = { .event = "failed", .lane = name };
	struct lane lane = LANE_CLOSED;
	int err = lane_open(&lane, &r->spool, name);
	if (err == 0)
		err = lane_make_due(&lane);
	lane_close(&lane);
	if (err == 0 || err == -ENOENT || err == -ENOTDIR || err == -ELOOP) /* or it is no lane */
		return true;
	log_event(LOG_ERR, &f, "lane %s: what waits there cannot be made due: %s", name,
		strerror(-err));
	return false;
}

/* Logins for which a relay was started or rung for. */
struct served {
	char (*v)[LOGIN_NAME_SIZE]; /* owned */
	size_t n;
};

static bool
add_login(struct served *all, const char *login)
{
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->v[i], login) == 0)
			return false;
	void *v = reallocarray(all->v, all->n + 1, sizeof(*all->v));
	if (v == NULL)
		return false;
	all->v = v;
	snprintf(all->v[all->n++], sizeof(*all->v), "%s", login);
	return true;
}

static void
serve_login(const struct launcher *l, const char *login)
{
	struct log_fields f = { .event = "launch" };
	pid_t pid = ring_login(l, login);
	if (ring_is_trouble(pid))
		log_event(LOG_ERR, &f, "login %s: cannot start relay: %s: %s", login,
			l->conf->who.relay_path, strerror(-pid));
}

/* Sees to it that each login with a lane that is due has a relay. Exit status. */
static int
start_due(struct relay *r, const struct options *o)
{
	struct launcher l = { .spool = &r->spool, .conf = &r->common, .args = &o->conf };
	struct served served = { .n = 0 };
	char login[LOGIN_NAME_SIZE];
	int64_t next;
	bool fine = true;
	auto_dir lanes = lanes_open(&r->spool);
	if (lanes == NULL)
		return EX_TEMPFAIL;
	ring_prepare(&l);
	for (const char *name; (name = lanes_next(lanes)) != NULL;) {
		if (o->now)
			fine = make_due(r, name) && fine;
		way_login(&r->common, name, login);
		if (lane_looks_due(&r->spool, name, clock_wall(), conf_longest_retry(&r->common),
			    &next))
			(void)add_login(&served, login);
	}
	for (size_t i = 0; i < served.n; i++)
		serve_login(&l, served.v[i]);
	free(served.v);
	return fine ? EXIT_SUCCESS : EX_TEMPFAIL;
}

/*
 * A day is over of which sessions were counted: postern-tlsreport sends what is asked for, and goes
 * on when we are gone.
 */
static void
start_reports(struct relay *r, const struct options *o)
{
	struct log_fields f = { .event = "launch" };
	struct launcher l = { .spool = &r->spool, .conf = &r->common, .args = &o->conf };
	const char *path = r->common.who.tlsreport_path;
	if (r->common.tls_reports.on == CONF_NO || !tally_waits(&r->spool, clock_wall()))
		return;
	auto_fd lock = tally_lock(&r->spool);
	if (lock == -EAGAIN)
		return; /* it is at work */
	pid_t pid = lock < 0 ? lock : launch_helper(&l, "postern-tlsreport", path, &lock, 1);
	if (pid < 0)
		log_event(LOG_ERR, &f, "reports on TLS: cannot start %s: %s", path,
			strerror((int)-pid));
}

/* Is there anything that --due would look at? */
static bool
is_anything_waiting(const struct relay *r)
{
	return !spool_is_empty(&r->spool) ||
		(r->common.tls_reports.on == CONF_YES && tally_waits(&r->spool, clock_wall()));
}

static int
run_due(struct relay *r, const struct options *o)
{
	spool_sweep(&r->spool);
	note_presence(r);
	hosts_open(&r->hosts, r->spool.root, r->common.relay.remember_hosts);
	hosts_sweep(&r->hosts);
	stscache_look(&r->stscache, r->spool.root);
	stscache_sweep(&r->stscache);
	start_reports(r, o);
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
	r->keeper = r->signer.fd = -1;
	r->unable = buf_new(WHY_SIZE);
	bool fit = (o.due || o.login != NULL || o.check || o.waiting) && (!o.now || o.due);
	int err = program_configure(&r->common, &from, &o,
		fit ? NULL : "nothing to do; see --help", "relay", &why);
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
		return is_anything_waiting(r) ? EXIT_SUCCESS : EXIT_FAILURE;
	return o.due ? run_due(r, &o) : run_login(r, &o);
}
