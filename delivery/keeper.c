#include "delivery/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/nameserver.h"
#include "delivery/fetching.h"
#include "delivery/lanes.h"
#include "delivery/notes.h"
#include "delivery/settle.h"
#include "delivery/signing.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/log.h"
#include "process/ring.h"
#include "queue/bell.h"
#include "queue/message.h"

/*
 * So often may a relay at work die in a row without a message in hand that is new among the
 * suspects; then the timer is waited for.
 */
enum { CRASHES = 20 };

enum { SERVERS_RETRY = 10 }; /* s until nameservers are looked for again */

enum {
	/* At once, more than a relay asks for: some may have answered, and are slow to end. */
	FETCHES_MOST = FETCHING_MOST + 4,
	FETCH_END = 1000, /* ms that one is waited for when the relay at work has ended, */
	FETCH_LOOK = 10,  /* ... looking so often */
};

struct keeper {
	struct relay *r;
	const struct launcher *launcher;
	const struct keeper_work *work;
	int dir, lock;
	pid_t pid;              /* of the relay at work */
	int socket;             /* to it */
	int alone;              /* ... to the process that tries a message alone; -1: none */
	pid_t alone_pid;
	struct suspect trying;  /* ... and what that tries */
	int sign;               /* to a sign that was started anew and reads its keys; -1: none */
	int64_t sign_soonest;   /* clock_ms, when the next one may be started */
	pid_t fetch[FETCHES_MOST]; /* those that run; 0: none */
	int fetch_told;         /* how one ended, which was logged (wait(2)); 0: none was */
	int64_t servers_soonest; /* ... and when the nameservers may be looked for again */
	int crashes;            /* of the relay at work, in a row, that no message explains */
	struct suspects before; /* what was in hand when one died that nobody knows the fault of */
};

/* ---- who died at what ---------------------------------------------------------------------- */

static struct hands *
new_hands(const struct relay *r, int couriers)
{
	return hands_new(couriers, (int)r->common.relay.window_messages + 1);
}

/* False: it is one already. */
static bool
suspect(struct keeper *k, const struct hands_suspect *s)
{
	struct log_fields f = { .event = "crash", .queue_id = s->id, .lane = s->lane };
	bool new = suspects_add(&k->r->suspects, s->lane, s->id);
	if (new)
		log_event(LOG_ERR, &f, "%s: a relay died with it in hand; it is tried alone",
			s->id);
	return new;
}

/*
 * The relay at work has died. What the courier at fault had in hand is suspect. If that is not
 * known, as when somebody killed it, many had something in hand: what is there the next time, too.
 */
static void
look_at_hands(struct keeper *k, int status)
{
	struct log_fields f = { .event = "crash" };
	const struct hands *all = k->r->hands;
	struct suspects now;
	bool any = false;
	suspects_init(&now);
	log_event(LOG_ERR, &f, "the relay at work died by signal %d; another one goes on",
		WTERMSIG(status));
	for (struct hands_suspect s = { .number = 0 }; hands_next(all, &s);)
		if (all->shared->died_by >= 0 || suspects_has(&k->before, s.lane, s.id))
			any = suspect(k, &s) || any;
		else
			(void)suspects_add(&now, s.lane, s.id);
	hands_clear(k->r->hands);
	suspects_free(&k->before);
	k->before = now;
	k->crashes = any ? 0 : k->crashes + 1;
}

/* By an operator: that is no crash. */
static bool
is_asked_to_end(int status)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (WIFSIGNALED(status) && WTERMSIG(status) == signals[i])
			return true;
	return false;
}

/* One that was tried alone has killed its process, too: it is put off, further each time. */
static void
put_off(struct keeper *k)
{
	const struct suspect *s = &k->trying;
	struct lane lane = LANE_CLOSED;
	struct message m = MESSAGE_CLOSED;
	struct log_fields f = { .event = "crash", .queue_id = s->id, .lane = s->lane };
	int times = 1;
	if (lane_open(&lane, &k->r->spool, s->lane) < 0)
		return;
	if (faccessat(lane.dir, s->id, F_OK, 0) == 0) {
		/* Without room for the note, the time at least: that needs none. */
		int noted = message_note_crash(&lane, s->id, &times);
		int64_t next = settle_retry_after(&k->r->common, times - 1);
		snprintf(m.id, sizeof(m.id), "%s", s->id);
		int put = message_wait(&m, &lane, next);
		int err = put < 0 ? put : noted;
		log_event(LOG_ERR, &f, "%s: a relay died with it in hand; next try in %lld s%s%s",
			s->id, (long long)(next - clock_wall()),
			err < 0 ? "; cannot write that down: " : "",
			err < 0 ? strerror(-err) : "");
	}
	lane_close(&lane);
}

/* ---- alone --------------------------------------------------------------------------------- */

/* What a child of the keeper's has no use for. */
static void
close_own(struct keeper *k)
{
	cleanup_fd(&k->socket);
	cleanup_fd(&k->alone);
	cleanup_fd(&k->sign);
	k->socket = k->alone = k->sign = -1;
}

/* Without the keeper nobody would know that it has a message: another could send it, too. */
static void
end_with(pid_t keeper)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != keeper)
		_exit(EX_TEMPFAIL);
}

/* Begins with the next suspect, if none is being tried. */
static void
try_next(struct keeper *k)
{
	int ends[2];
	struct suspects *all = &k->r->suspects;
	if (k->alone >= 0 || all->n == 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return;
	pid_t keeper = getpid();
	k->trying = all->v[0];
	k->alone_pid = fork();
	if (k->alone_pid == 0) {
		end_with(keeper);
		close_own(k);
		cleanup_fd(&k->lock);
		close(ends[0]);
		k->r->keeper = ends[1];
		k->r->alone = true;
		hands_free(k->r->hands); /* those of the relay at work */
		k->r->hands = new_hands(k->r, 1);
		_exit(k->r->hands == NULL ? EX_TEMPFAIL
			: k->work->try_alone(k->r, k->trying.lane, k->trying.id));
	}
	close(ends[1]);
	k->alone = ends[0];
}

/* It has ended, or could not be started. */
static void
end_alone(struct keeper *k)
{
	int status = 0;
	cleanup_fd(&k->alone);
	k->alone = -1;
	while (k->alone_pid > 0 && waitpid(k->alone_pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) && !is_asked_to_end(status))
		put_off(k);
	suspects_remove(&k->r->suspects, k->trying.lane, k->trying.id);
	notes_send(k->socket, NOTE_TRIED, k->trying.lane, k->trying.id);
}

/* ---- the first process --------------------------------------------------------------------- */

/* The relay at work misses sign, and may not start it. Not more often than mail is tried again. */
static void
start_sign(struct keeper *k)
{
	struct log_fields f = { .event = "dkim" };
	auto_buf why = buf_new(LIMIT_COMMAND);
	if (k->r->common.dkim.keys == NULL || k->sign >= 0 || clock_ms() < k->sign_soonest)
		return;
	k->sign_soonest = clock_deadline(BUSY_RETRY);
	k->sign = signing_start(k->launcher, &why);
	if (k->sign < 0)
		log_event(LOG_ERR, &f, "%.*s", (int)why.n, why.n > 0 ? why.p : "");
}

/* It has read its keys, or has ended. Not before: all lanes of the relay would wait for that. */
static void
hand_sign_on(struct keeper *k)
{
	(void)notes_hand_on(k->socket, NOTE_SIGN, &k->sign);
	cleanup_fd(&k->sign);
	k->sign = -1;
}

/*
 * No nameserver answers. Those of resolv.conf may be other ones by now, where a network came or a
 * host moved; a relay that has much to do would not end to see that, and may not open the file.
 */
static void
look_for_servers(struct keeper *k)
{
	struct conf_servers now;
	auto_buf odd = buf_new(LIMIT_COMMAND);
	int ends[2];
	if (k->r->common.relay.nameserver.n > 0 || clock_ms() < k->servers_soonest)
		return;
	k->servers_soonest = clock_deadline(SERVERS_RETRY);
	if (nameserver_read(CONF_RESOLVER, &now, &odd) < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return;
	if (write(ends[1], &now, sizeof(now)) == (ssize_t)sizeof(now))
		(void)notes_hand_on(k->socket, NOTE_SERVERS, &ends[0]);
	close(ends[0]);
	close(ends[1]);
}

/*
 * A fetch has ended. How one that never was there did so nobody else knows; and one that its web
 * server broke ends in some way or other as well, so each way is told once.
 */
static void
end_fetch(struct keeper *k, int status)
{
	struct log_fields f = { .event = "launch" };
	auto_buf why = buf_new(LIMIT_COMMAND);
	if (!fetching_has_failed(status, &why) || status == k->fetch_told)
		return;
	k->fetch_told = status;
	log_event(LOG_ERR, &f, "fetch_path %s: %.*s", k->r->common.who.fetch_path, (int)why.n,
		why.p);
}

/* One that has ended. */
static void
reap(struct keeper *k, pid_t pid)
{
	int status;
	if (waitpid(pid, &status, WNOHANG) <= 0)
		return;
	for (int n = 0; n < FETCHES_MOST; n++)
		if (k->fetch[n] == pid) {
			k->fetch[n] = 0;
			end_fetch(k, status);
		}
}

/* Is there any that has not ended? */
static bool
reap_fetches(struct keeper *k)
{
	bool any = false;
	for (int n = 0; n < FETCHES_MOST; n++) {
		if (k->fetch[n] != 0)
			reap(k, k->fetch[n]);
		any = any || k->fetch[n] != 0;
	}
	return any;
}

/*
 * The relay at work has ended. A fetch that it had to do with ends at the same time, and nobody but
 * us will ever know how; so one that is about to is waited for.
 */
static void
await_fetches(struct keeper *k)
{
	int64_t end = clock_ms() + FETCH_END;
	while (reap_fetches(k) && clock_ms() < end)
		(void)poll(NULL, 0, FETCH_LOOK);
}

/* Some have ended, and relays of other logins that were started from here. */
static void
reap_others(struct keeper *k)
{
	siginfo_t i = { .si_pid = 0 };
	while (waitid(P_ALL, 0, &i, WEXITED | WNOHANG | WNOWAIT) == 0 && i.si_pid > 0 &&
		i.si_pid != k->pid && i.si_pid != k->alone_pid) {
		reap(k, i.si_pid);
		i.si_pid = 0;
	}
}

/* What is wrong with it the relay sees: there is nobody at the other end. */
static void
start_fetch(struct keeper *k, const int fds[static NOTE_FDS])
{
	int n = 0;
	reap_others(k);
	while (n < FETCHES_MOST && k->fetch[n] != 0)
		n++;
	if (k->r->common.relay.mta_sts == CONF_NO || n == FETCHES_MOST || fds[0] < 0 || fds[1] < 0)
		return;
	struct log_fields f = { .event = "launch" };
	pid_t pid = fetching_start(k->launcher, fds);
	if (pid > 0)
		k->fetch[n] = pid;
	else
		log_event(LOG_ERR, &f, "cannot start %s: %s", k->r->common.who.fetch_path,
			strerror((int)-pid));
}

static void
heed(struct keeper *k, const struct note *n, const int fds[static NOTE_FDS])
{
	struct log_fields f = { .event = "launch", .lane = n->lane };
	if (n->kind == NOTE_SIGN)
		start_sign(k);
	if (n->kind == NOTE_SERVERS)
		look_for_servers(k);
	if (n->kind == NOTE_FETCH)
		start_fetch(k, fds);
	if (n->kind == NOTE_ALONE)
		(void)suspects_add(&k->r->suspects, n->lane, n->id);
	if (n->kind != NOTE_LANE)
		return;
	pid_t pid = ring_lane(k->launcher, n->lane);
	if (ring_is_trouble(pid))
		log_event(LOG_ERR, &f, "lane %s: cannot start relay: %s", n->lane, strerror(-pid));
}

/* Heeds what came from one of the two. False: it has ended. */
static bool
listen_to(struct keeper *k, int fd)
{
	struct note n;
	int fds[NOTE_FDS];
	int got = notes_receive(fd, &n, fds);
	if (got > 0)
		heed(k, &n, fds);
	for (int i = 0; i < NOTE_FDS; i++)
		cleanup_fd(&fds[i]);
	return got != 0;
}

/* Until the relay at work has ended. */
static void
attend(struct keeper *k)
{
	for (;;) {
		try_next(k);
		reap_others(k);
		struct pollfd p[] = { { .fd = k->socket, .events = POLLIN },
			{ .fd = k->alone, .events = POLLIN }, { .fd = k->sign, .events = POLLIN } };
		if (poll(p, 3, -1) < 0)
			continue;
		if (p[2].revents != 0)
			hand_sign_on(k);
		if (p[1].revents != 0 && !listen_to(k, k->alone))
			end_alone(k);
		if (p[0].revents != 0 && !listen_to(k, k->socket))
			return;
	}
}

/* Starts the relay at work, and waits for its end. Its status as of wait(2), or -errno. */
static int
serve_once(struct keeper *k)
{
	int ends[2], status;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	pid_t pid = k->pid = fork();
	if (pid < 0) {
		int err = -errno;
		close(ends[0]);
		close(ends[1]);
		return err;
	}
	if (pid == 0) {
		close_own(k);
		close(ends[0]);
		k->r->keeper = ends[1];
		_exit(k->work->serve(k->r, k->dir));
	}
	close(ends[1]);
	k->socket = ends[0];
	attend(k);
	cleanup_fd(&k->socket);
	cleanup_fd(&k->sign); /* the next relay starts its own */
	k->socket = k->sign = -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status))
		await_fetches(k);
	return status;
}

/* Is anything due of what this login is for? */
static bool
is_any_due(const struct relay *r)
{
	int64_t next;
	char login[LOGIN_NAME_SIZE];
	auto_dir lanes = lanes_open(&r->spool);
	for (const char *name; lanes != NULL && (name = lanes_next(lanes)) != NULL;) {
		way_login(&r->common, name, login);
		if (strcmp(login, r->login_name) == 0 &&
			lane_looks_due(&r->spool, name, clock_wall(),
				conf_longest_retry(&r->common), &next))
			return true;
	}
	return false;
}

/*
 * Whoever rings while the bell is closed and the lock is not free relies on this look, which is
 * made when it is. Where something looks due that nothing can be done about, only the mark of such
 * a one counts. True: there is more to do, and the lock is ours again.
 */
static bool
look_once_more(struct keeper *k, bool settled)
{
	cleanup_fd(&k->lock);
	bool missed = bell_take_mark(k->dir);
	k->lock = missed || (settled && is_any_due(k->r)) ? bell_lock(k->dir) : -1;
	return k->lock >= 0;
}

int
keeper_run(struct relay *r, const struct launcher *l, const struct keeper_work *work, int dir,
	int lock)
{
	struct keeper k = { .r = r, .launcher = l, .work = work, .dir = dir, .lock = lock,
		.socket = -1, .alone = -1, .sign = -1 };
	suspects_init(&k.before);
	r->hands = new_hands(r, (int)r->common.relay.max_connections);
	if (r->hands == NULL)
		return EX_TEMPFAIL;
	for (;;) {
		int status = serve_once(&k);
		if (status < 0)
			return EX_TEMPFAIL;
		if (is_asked_to_end(status))
			return EXIT_SUCCESS;
		if (WIFSIGNALED(status)) {
			look_at_hands(&k, status);
			if (k.crashes >= CRASHES)
				return EX_SOFTWARE;
			continue;
		}
		if (!look_once_more(&k, WEXITSTATUS(status) == EXIT_SUCCESS))
			return WEXITSTATUS(status);
	}
}
