/*
 * relay: delivers what is queued.
 *
 *	relay --lane NAME   started by launch.c with a slot of the lane and a global slot in its
 *	                    hands: sends all of the lane's due mail over one connection, then takes
 *	                    the next lane in which something is due, until there is none.
 *	relay --due         started by a timer: looks at the lanes (not at messages), starts a relay
 *	                    for each that is due while slots are free, cleans tmp/, and ends.
 *
 * Promises: a message leaves a lane only when every recipient in it is settled: delivered (a host
 * said 2xx to its end), or failed and the report is durable. Whatever is not understood is SOFT
 * and tried again by the schedule. Killed at any point, it leaves locks that are gone and a message
 * that is still there; the price may be a duplicate (RFC 1047), never a loss.
 *
 * Exit status: 0; 75 the spool cannot be used; 78 the configuration is wrong.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "dns.h"
#include "lib/cleanup.h"
#include "lib/client.h"
#include "lib/clock.h"
#include "lib/dsn.h"
#include "lib/lane.h"
#include "lib/launch.h"
#include "lib/lock.h"
#include "lib/log.h"
#include "lib/message.h"
#include "lib/options.h"
#include "lib/route.h"
#include "lib/sandbox.h"
#include "lib/spool.h"
#include "lib/stdfds.h"

enum {
	HOSTS_TRIED = 20,     /* addresses of one attempt, so that it ends (G5) */
	LOST_IN_A_ROW = 3,    /* connections lost in transactions before the host counts as down */
	EXPIRE_ATTEMPTS = 3,  /* at least, before age alone ends a message: clocks jump (J12) */
	BATCH = 1024,         /* names read from a lane at a time; memory stays flat (I12) */
	BUSY_RETRY = 60,      /* s until a message whose writer had not finished is looked at */
	CROWD_RETRY = 3600,   /* s until a lane with a file that is not ours is looked at */
	LINE_SIZE = 1024,     /* of one event */
};

static struct relay {
	struct conf conf;
	struct spool spool;
	struct resolver *resolver;
	int slot; /* the global one */

	struct lane lane;         /* the one at work */
	struct lane_state state;
	struct exchangers hosts;  /* of this lane */
	bool routed;
	size_t host;              /* the one connected to */
	int lost;                 /* connections lost in a row */
	enum outcome verdict;     /* of the lane: DONE while it is worth trying */
	struct buf why;           /* if it is not */
	bool shared;              /* another relay has a message of it in its hands */
	int64_t next;             /* earliest time at which something here is due; 0: nothing left */
	struct client client;
} relay;

/* ---- what happened ---------------------------------------------------------------------- */

static void
log_recipient(const struct relay *r, const struct message *m, const struct rcpt *to, int64_t next)
{
	static const char *const event[] = { [DONE] = "delivered", [SOFT] = "deferred",
		[HARD] = "bounced" };
	char rcpt[LINE_SIZE], sender[LINE_SIZE], when[64] = "";
	escape_text(rcpt, sizeof(rcpt), to->address);
	escape_text(sender, sizeof(sender), m->env.sender);
	if (to->outcome == SOFT)
		snprintf(when, sizeof(when), "; next try in %lld s",
			(long long)(next - clock_wall()));
	struct log_fields f = { .event = event[to->outcome], .queue_id = m->id, .sender = sender,
		.recipient = rcpt, .lane = r->lane.name,
		.relay = r->client.name[0] != '\0' ? r->client.name : NULL };
	log_event(to->outcome == DONE ? LOG_INFO : LOG_NOTICE, &f,
		"%s: %s <%s>, delay %lld s, %.*s%s", m->id, event[to->outcome], rcpt,
		(long long)(clock_wall() - m->arrived), (int)to->text.n,
		to->text.n > 0 ? to->text.p : "", when);
}

static void
note_next(struct relay *r, int64_t next)
{
	if (r->next == 0 || next < r->next)
		r->next = next;
}

static int64_t
longest_retry(const struct relay *r)
{
	int64_t longest = 0;
	for (int i = 0; i < r->conf.retries; i++)
		longest = r->conf.retry[i] > longest ? r->conf.retry[i] : longest;
	return longest;
}

static int64_t
retry_after(const struct relay *r, int attempts)
{
	int last = r->conf.retries - 1;
	return clock_wall() + r->conf.retry[attempts < last ? attempts : last];
}

static bool
expired(const struct relay *r, const struct message *m, int attempts)
{
	int64_t since = m->env.hold > m->arrived ? m->env.hold : m->arrived;
	return clock_wall() - since > r->conf.expire && attempts >= EXPIRE_ATTEMPTS;
}

/* ---- settling a message ----------------------------------------------------------------- */

/* Reports the hard failures. 0 when that is done, or nobody is to be told. */
static int
report(const struct relay *r, const struct message *m)
{
	char id[ID_SIZE];
	int err = dsn_queue(m, &r->spool, &r->conf, id);
	struct log_fields f = { .event = "report", .queue_id = m->id, .lane = r->lane.name };
	if (err == 0)
		log_event(LOG_INFO, &f, "%s: sender is told by %s", m->id, id);
	else if (err == -ENOENT)
		log_event(LOG_NOTICE, &f, "%s: dropped: no sender to tell", m->id);
	else
		log_event(LOG_ERR, &f, "%s: cannot queue the report: %s; keeping the message",
			m->id, strerror(-err));
	return err == -ENOENT ? 0 : err;
}

/* What expired fails; a failure that cannot be reported is put off. */
static bool
settle_failures(const struct relay *r, struct message *m, int attempts)
{
	bool any = false, old = expired(r, m, attempts);
	for (int i = 0; i < m->n; i++) {
		struct rcpt *to = &m->rcpt[i];
		if (to->settled)
			continue;
		if (to->outcome == SOFT && old) {
			to->outcome = HARD;
			buf_puts(&to->text, " (given up: 5.4.7 too old)");
		}
		any = any || to->outcome == HARD;
	}
	if (!any || report(r, m) == 0)
		return true;
	for (int i = 0; i < m->n; i++)
		if (!m->rcpt[i].settled && m->rcpt[i].outcome == HARD)
			m->rcpt[i].outcome = SOFT;
	return false;
}

/* Writes down what an attempt brought: the message goes, or waits. */
static void
settle_message(struct relay *r, struct message *m)
{
	int64_t next = retry_after(r, m->attempts);
	bool waits = false;
	(void)settle_failures(r, m, m->attempts + r->state.attempts + 1);
	for (int i = 0; i < m->n; i++) {
		if (m->rcpt[i].settled)
			continue;
		waits = waits || m->rcpt[i].outcome == SOFT;
		log_recipient(r, m, &m->rcpt[i], next);
	}
	int err = waits ? message_note(m, &r->lane, next) : message_remove(&r->lane, m->id);
	if (err < 0) {
		struct log_fields f = { .event = "spool", .queue_id = m->id };
		log_event(LOG_ERR, &f, "%s: cannot write down the outcome: %s", m->id,
			strerror(-err));
		next = clock_wall() + BUSY_RETRY;
	}
	if (waits || err < 0)
		note_next(r, next);
}

/* The same text and outcome for everybody. */
static void
settle_all(struct relay *r, struct message *m, enum outcome o)
{
	for (int i = 0; i < m->n; i++) {
		if (m->rcpt[i].settled)
			continue;
		m->rcpt[i].outcome = o;
		buf_reset(&m->rcpt[i].text);
		buf_add(&m->rcpt[i].text, buf_span(&r->why));
	}
	settle_message(r, m);
}

/* ---- a connection ----------------------------------------------------------------------- */

static void
give_lane_up(struct relay *r, enum outcome o)
{
	r->verdict = o;
	if (o != SOFT)
		return;
	char why[LINE_SIZE];
	escape_text(why, sizeof(why), buf_span(&r->why));
	int64_t next = retry_after(r, r->state.attempts);
	r->state.attempts++;
	r->state.down = true;
	r->state.next = next;
	int err = lane_set_down(&r->lane, r->state.attempts, next, why);
	struct log_fields f = { .event = "deferred", .lane = r->lane.name };
	log_event(LOG_NOTICE, &f, "lane %s: %s; next try in %lld s%s%s", r->lane.name, why,
		(long long)(next - clock_wall()), err < 0 ? "; cannot write that down: " : "",
		err < 0 ? strerror(-err) : "");
}

/* Connects to the next host that greets us. */
static enum outcome
connect_to_any(struct relay *r)
{
	buf_reset(&r->why);
	if (!r->routed) {
		enum outcome o = route_find(r->resolver, &r->conf, r->lane.name, &r->hosts, &r->why);
		if (o != DONE)
			return o;
		r->routed = true;
	}
	for (size_t i = 0; i < r->hosts.n && i < HOSTS_TRIED; i++) {
		enum outcome o = client_open(&r->client, &r->conf, &r->hosts.v[i]);
		if (o == DONE)
			return DONE;
		buf_reset(&r->why);
		buf_printf(&r->why, "%s: %.*s", r->client.name, (int)r->client.text.n,
			r->client.text.p);
	}
	return SOFT;
}

static bool
connected(struct relay *r)
{
	if (r->client.fd >= 0)
		return true;
	enum outcome o = connect_to_any(r);
	if (o != DONE) {
		give_lane_up(r, o);
		return false;
	}
	if (r->state.down) {
		lane_set_up(&r->lane);
		(void)lane_settle(&r->lane);
		r->state = (struct lane_state){ 0 };
	}
	return true;
}

/* ---- a message -------------------------------------------------------------------------- */

/* Sends to all who are not settled, some at a time. */
static void
send_message(struct relay *r, struct message *m)
{
	struct rcpt *to[CLIENT_RCPTS];
	int i = 0;
	bool usable = true;
	while (i < m->n && usable) {
		int n = 0;
		for (; i < m->n && n < CLIENT_RCPTS; i++)
			if (!m->rcpt[i].settled)
				to[n++] = &m->rcpt[i];
		if (n > 0)
			usable = client_send(&r->client, m, to, n);
	}
	for (; i < m->n; i++) /* the connection was lost before their turn */
		if (!m->rcpt[i].settled)
			buf_add(&m->rcpt[i].text, buf_span(&r->client.text));
	if (usable) {
		r->lost = 0;
		return;
	}
	client_close(&r->client);
	if (++r->lost >= LOST_IN_A_ROW) {
		buf_reset(&r->why);
		buf_printf(&r->why, "%s: %.*s", r->client.name, (int)r->client.text.n,
			r->client.text.p);
		give_lane_up(r, SOFT);
	}
}

/* Is it too late for a message that was to be delivered by some time or returned (RFC 2852)? */
static bool
too_late(const struct message *m)
{
	return m->env.by != 0 && m->env.by_mode == 'R' && clock_wall() >= m->env.by;
}

/*
 * The time before which a message is not sent (RFC 4865). Not later than the longest wait of the schedule
 * from now, or it would be taken for a jump of the clock, nor than a client may ask for (J12).
 */
static int64_t
held_until(const struct relay *r, const struct message *m)
{
	int64_t latest = clock_wall() + longest_retry(r), longest = m->arrived + r->conf.max_hold;
	int64_t hold = m->env.hold < longest ? m->env.hold : longest;
	return hold < latest ? hold : latest;
}

static void
deliver(struct relay *r, struct message *m)
{
	int64_t until = held_until(r, m);
	if (until > clock_wall()) {
		(void)message_wait(m, &r->lane, until); /* so that it is not opened each time */
		note_next(r, until);
	} else if (too_late(m)) {
		buf_reset(&r->why);
		buf_puts(&r->why, "554 5.4.7 not delivered by the time the sender asked for");
		settle_all(r, m, HARD);
	} else if (r->verdict == DONE && connected(r)) {
		send_message(r, m);
		settle_message(r, m);
	} else if (r->verdict == HARD) {
		settle_all(r, m, HARD);
	} else if (expired(r, m, m->attempts + r->state.attempts)) {
		settle_all(r, m, SOFT);
	} else {
		note_next(r, r->state.next);
	}
}

static void
set_aside(struct relay *r, const char *id)
{
	struct log_fields f = { .event = "aside", .queue_id = id, .lane = r->lane.name };
	int err = message_set_aside(&r->spool, &r->lane, id);
	log_event(LOG_ERR, &f, "%s: not a whole message, never acknowledged: moved to aside/%s%s",
		id, err < 0 ? ": " : "", err < 0 ? strerror(-err) : "");
	if (err < 0)
		note_next(r, clock_wall() + CROWD_RETRY);
}

static void
work_on_message(struct relay *r, const char *id)
{
	struct message m;
	int err = message_open(&m, &r->lane, id);
	if (err == 0) {
		deliver(r, &m);
		message_close(&m);
	} else if (err == -EBADMSG) {
		set_aside(r, id);
	} else if (err != -ENOENT) {
		note_next(r, clock_wall() + BUSY_RETRY);
		if (err != -EAGAIN) {
			struct log_fields f = { .event = "spool", .queue_id = id };
			log_event(LOG_ERR, &f, "%s: cannot read: %s", id, strerror(-err));
		}
	}
}

/* ---- a lane ----------------------------------------------------------------------------- */

/* One message by name, if it is due and nobody else has it. */
static void
visit_message(struct relay *r, const char *id)
{
	int64_t now = clock_wall(), next = message_next(&r->lane, id);
	if (next > now && next <= now + longest_retry(r)) {
		note_next(r, next);
		return;
	}
	/* With the lane down only what has grown too old is of interest. */
	if (r->verdict == SOFT && now - id_time(id) <= r->conf.expire) {
		note_next(r, now + CROWD_RETRY);
		return;
	}
	if (lane_claim(&r->lane, id) < 0) {
		r->shared = true;
		return;
	}
	work_on_message(r, id);
	lane_unclaim(&r->lane, id);
}

/* A file that is not a message: a log without its message goes, anything else is left alone. */
static void
visit_other(struct relay *r, const char *name)
{
	struct span id = { name, ID_LEN };
	struct stat st;
	if (name[0] == '.' || name[0] == '@')
		return;
	if (strlen(name) > ID_LEN && id_valid(id) && strcmp(name + ID_LEN, ".log") == 0) {
		char message[ID_SIZE];
		snprintf(message, sizeof(message), "%.20s", name);
		if (fstatat(r->lane.dir, message, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			unlinkat(r->lane.dir, name, 0);
		return;
	}
	note_next(r, clock_wall() + CROWD_RETRY);
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, ID_LEN);
}

/* Goes once over the lane, oldest first within a batch. */
static int
scan_lane(struct relay *r)
{
	static char ids[BATCH][ID_SIZE];
	int fd = openat(r->lane.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL)
		return -errno;
	for (bool more = true; more;) {
		size_t n = 0;
		while (n < BATCH) {
			struct dirent *e = readdir(dir);
			more = e != NULL;
			if (!more)
				break;
			if (id_valid(span_of(e->d_name)))
				memcpy(ids[n++], e->d_name, ID_SIZE);
			else
				visit_other(r, e->d_name);
		}
		qsort(ids, n, sizeof(ids[0]), compare_ids);
		for (size_t i = 0; i < n; i++)
			visit_message(r, ids[i]);
	}
	return 0;
}

/*
 * Works on r->lane, whose slot we hold, until nothing in it is due. Closes it. False: the spool is
 * in trouble, and going on would only turn in circles.
 */
static bool
work_on_lane(struct relay *r)
{
	char name[LANE_NAME_SIZE];
	memcpy(name, r->lane.name, sizeof(name));
	bool ok = true;
	for (bool again = true; again;) {
		again = false;
		r->next = 0;
		r->shared = false;
		r->routed = false;
		r->lost = 0;
		r->verdict = DONE;
		r->client.name[0] = '\0';
		lane_state(&r->lane, &r->state);
		if (!lane_is_due(&r->state, clock_wall(), longest_retry(r)))
			break;
		ok = lane_settle(&r->lane) == 0 && scan_lane(r) == 0;
		if (!ok)
			break;
		client_quit(&r->client);
		exchangers_free(&r->hosts);
		if (r->shared) /* whoever has the rest writes down when it is due */
			break;
		if (r->state.down && r->next != 0) /* what is left waits for the host */
			r->next = r->state.next;
		again = lane_leave(&r->lane, &r->spool, r->next) == -EAGAIN &&
			lane_open(&r->lane, &r->spool, name) == 0 &&
			lane_slot(&r->lane, (int)r->conf.max_relays_per_lane) == 0;
	}
	lane_close(&r->lane);
	return ok;
}

/* ---- which lane ------------------------------------------------------------------------- */

/* Cheap: one stat of the lane's @retry. */
static bool
looks_due(const struct relay *r, const char *name)
{
	char path[LANE_NAME_SIZE + sizeof(LANE_RETRY) + 1];
	struct stat st;
	if (!address_lane_valid(span_of(name)))
		return false;
	snprintf(path, sizeof(path), "%s/" LANE_RETRY, name);
	if (fstatat(r->spool.lanes, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return true;
	struct lane_state state = { .next = st.st_mtime };
	return lane_is_due(&state, clock_wall(), longest_retry(r));
}

static DIR *
open_lanes(const struct relay *r)
{
	int fd = openat(r->spool.lanes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fdopendir(fd) : NULL;
}

/*
 * Takes the next due lane, going on in `lanes` where the last call stopped and once around. A lane
 * in which another relay is at work is passed by: that one ends it, and two that come and go in an
 * empty lane would keep each other from removing it.
 */
static bool
take_next_lane(struct relay *r, DIR *lanes)
{
	for (int round = 0; round < 2; round++) {
		for (struct dirent *e; (e = readdir(lanes)) != NULL;) {
			if (!looks_due(r, e->d_name))
				continue;
			if (lane_open(&r->lane, &r->spool, e->d_name) < 0)
				continue;
			if (lock_taken(r->lane.lock, 0, LOCK_WHOLE) == 0 &&
				lane_slot(&r->lane, (int)r->conf.max_relays_per_lane) == 0)
				return true;
			lane_close(&r->lane);
		}
		rewinddir(lanes);
	}
	return false;
}

/*
 * Lanes one after the other. A monitor that found all global slots taken relies on us: so after
 * giving ours back we look once more.
 */
static void
work(struct relay *r)
{
	auto_dir lanes = open_lanes(r);
	if (lanes == NULL)
		return;
	for (;;) {
		if (r->lane.dir >= 0 && !work_on_lane(r))
			return;
		if (take_next_lane(r, lanes))
			continue;
		cleanup_fd(&r->slot);
		r->slot = -1;
		if (!take_next_lane(r, lanes))
			return;
		r->slot = spool_slot(&r->spool, (int)r->conf.max_relays);
		if (r->slot < 0)
			return;
	}
}

/* ---- start ------------------------------------------------------------------------------ */

static int
run_lane(struct relay *r, const char *name)
{
	struct log_fields f = { .event = "failed", .lane = name };
	if (!address_lane_valid(span_of(name)) ||
		lane_adopt(&r->lane, &r->spool, name, LAUNCH_FIRST_FD) < 0) {
		log_event(LOG_ERR, &f, "lane %s: not there", name);
		return EX_TEMPFAIL;
	}
	r->slot = LAUNCH_SECOND_FD;
	r->resolver = resolver_open(r->conf.nameserver, r->conf.nameservers);
	if (r->resolver == NULL) {
		log_event(LOG_ERR, &f, "cannot open a resolver: %s", strerror(errno));
		return EX_TEMPFAIL;
	}
	int err = sandbox_enter(SANDBOX_RELAY, r->spool.root);
	if (err < 0 && err != -ENOSYS) {
		log_event(LOG_ERR, &f, "cannot lock myself in: %s", strerror(-err));
		return EX_TEMPFAIL;
	}
	work(r);
	resolver_close(r->resolver);
	return EXIT_SUCCESS;
}

static int
run_due(struct relay *r, const struct options *o)
{
	struct launcher l = { .spool = &r->spool, .conf = &r->conf, .args = &o->conf };
	auto_dir lanes = open_lanes(r);
	if (lanes == NULL)
		return EX_TEMPFAIL;
	spool_sweep(&r->spool);
	for (struct dirent *e; (e = readdir(lanes)) != NULL;)
		if (looks_due(r, e->d_name))
			(void)launch_relay(&l, e->d_name);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct relay *r = &relay;
	struct options o;
	auto_buf why = buf_new(LINE_SIZE);
	struct log_fields f = { .event = "failed" };

	stdfds_fill();
	if (argc < 1)
		return EX_USAGE;
	r->lane = LANE_CLOSED;
	r->slot = r->client.fd = -1;
	r->why = buf_new(LINE_SIZE);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	umask(S_IRWXG | S_IRWXO);
	options_parse(&o, argc, argv);
	int err = o.wrong != NULL || (!o.due && o.lane == NULL && !o.check) ? -EINVAL : 0;
	if (err < 0)
		buf_puts(&why, o.wrong != NULL ? o.wrong : "nothing to do; see --help");
	else
		err = conf_load(&r->conf, &o.conf, &why);
	log_open(err == 0 ? r->conf.log : LOG_TO_AUTO, "relay", sd_journal_sendv);
	if (err < 0) {
		log_event(LOG_ERR, &f, "%.*s", (int)why.n, why.p);
		return EXIT_CONFIG;
	}
	if (o.check) {
		conf_print(&r->conf, stdout);
		return EXIT_SUCCESS;
	}
	err = sandbox_drop_root(r->conf.user);
	if (err < 0) {
		log_event(LOG_ERR, &f, "started as root, cannot become user %s: %s", r->conf.user,
			strerror(-err));
		return EXIT_CONFIG;
	}
	err = spool_open(&r->spool, r->conf.spool);
	if (err < 0) {
		log_event(LOG_ERR, &f, "spool %s: %s", r->conf.spool, strerror(-err));
		return EX_TEMPFAIL;
	}
	return o.due ? run_due(r, &o) : run_lane(r, o.lane);
}
