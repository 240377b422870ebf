#include "admin/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "admin/errand.h"
#include "admin/mounts.h"
#include "admin/ports.h"
#include "admin/units.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/files.h"
#include "process/user.h"

enum {
	TEXT_MAX = 4 * 1024 * 1024, /* octets of a table of the kernel */
	CHUNK = 64 * 1024,
	PATIENCE = 10,	      /* s for systemctl */
	SLACK = 24 * 60 * 60, /* s that a clock may be behind what is sure */
	SIZE_TEXT = 32,
};

/* All of a file of /proc. False: it cannot be read. */
static bool
read_all(const char *path, struct buf *out)
{
	char chunk[CHUNK];
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	for (ssize_t n; (n = read(fd, chunk, sizeof(chunk))) > 0;)
		buf_add(out, (struct span){ chunk, (size_t)n });
	return true;
}

/* ---- the spool ----------------------------------------------------------------------------- */

static void
tell_file_system(struct teller *t, const char *path)
{
	auto_buf text = buf_new(TEXT_MAX);
	struct mount m;
	struct statvfs v;
	const char *why = "";
	char room[SIZE_TEXT] = "?";
	if (!read_all("/proc/self/mountinfo", &text) ||
		!mounts_find(buf_span(&text), span_of(path), &m)) {
		finding_tell(t, "spool", FINDING_SKIPPED, "look at it with \"findmnt -T\"",
			"%s: its file system is not known", path);
		return;
	}
	if (statvfs(path, &v) == 0)
		out_size(room, sizeof(room), (uint64_t)v.f_bavail * v.f_frsize);
	enum mounts_worth worth = mounts_judge(&m, &why);
	if (worth == MOUNTS_DURABLE)
		finding_tell(t, "spool", FINDING_OK, NULL,
			"%s: on %.*s, which keeps what is synced; "
			"%s free",
			path, (int)m.type.n, m.type.p, room);
	else
		finding_tell(t, "spool", worth == MOUNTS_VOLATILE ? FINDING_FAIL : FINDING_WARN,
			"put it on a disk of this machine (ext4, XFS, btrfs), or be sure of it",
			"%s: its file system, %.*s at %.*s, is %s", path, (int)m.type.n, m.type.p,
			(int)m.point.n, m.point.p, why);
}

static void
tell_owner(struct teller *t, const struct conf *c, const struct stat *st)
{
	uid_t uid;
	gid_t gid;
	bool known = user_find(c->who.user, &uid, &gid) == 0;
	const char *path = c->who.spool;
	if (!S_ISDIR(st->st_mode))
		finding_tell(t, "owner", FINDING_FAIL, "make it a directory, or set spool",
			"%s: it is no directory", path);
	else if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		finding_tell(t, "owner", FINDING_FAIL, "\"chmod 700\" it",
			"%s: others may write there", path);
	else if (known && st->st_uid != uid)
		finding_tell(t, "owner", FINDING_FAIL, "\"chown -R\" it to the user of the service",
			"%s: it belongs to user %ld, and not to %s", path, (long)st->st_uid,
			c->who.user);
	else if (!known && geteuid() == 0)
		finding_tell(t, "owner", FINDING_FAIL, "\"systemd-sysusers\" makes it, or set user",
			"there is no user %s for the service", c->who.user);
	else
		finding_tell(t, "owner", FINDING_OK, NULL, "%s: it is the service's alone", path);
}

void
machine_spool(struct teller *t, const struct conf *c)
{
	char real[PATH_MAX];
	struct stat st;
	const char *path = c->who.spool;
	if (lstat(path, &st) < 0) {
		finding_tell(t, "spool", errno == ENOENT ? FINDING_WARN : FINDING_FAIL,
			"the first mail makes it, if the directory above lets it; "
			"\"systemd-tmpfiles --create\" does",
			"%s: %s", path, strerror(errno));
		return;
	}
	tell_file_system(t, realpath(path, real) != NULL ? real : path);
	tell_owner(t, c, &st);
}

/* ---- the clock ----------------------------------------------------------------------------- */

/* This program was made before now, so a clock that says otherwise is wrong. */
static bool
is_behind(void)
{
	struct stat st;
	return stat("/proc/self/exe", &st) == 0 && clock_wall() < st.st_mtime - SLACK;
}

void
machine_clock(struct teller *t)
{
	struct timex tx = { .modes = 0 };
	char now[CLOCK_STAMP_SIZE];
	clock_stamp(clock_wall(), now);
	int r = adjtimex(&tx);
	if (is_behind())
		finding_tell(t, "clock", FINDING_FAIL,
			"set it: mail has dates of it, and certificates "
			"are judged by it",
			"%s is before this program was installed", now);
	else if (r < 0)
		finding_tell(t, "clock", FINDING_SKIPPED, NULL,
			"%s; who keeps it cannot be seen "
			"here: %s",
			now, strerror(errno));
	else if (r == TIME_ERROR || (tx.status & STA_UNSYNC) != 0)
		finding_tell(t, "clock", FINDING_WARN,
			"run chrony, ntpd or systemd-timesyncd, unless the host of this machine "
			"keeps it",
			"%s, and nobody keeps it in time", now);
	else
		finding_tell(t, "clock", FINDING_OK, NULL, "%s, kept in time", now);
}

/* ---- the port ------------------------------------------------------------------------------ */

/* Who hands connections to smtpd, and smtpd itself, whose name OpenSMTPD's has, too. */
static bool
is_ours(const char *name)
{
	static const char *const names[] = { "systemd", "smtpd", "xinetd", "inetd", "tcpserver",
		"socat", "s6-tcpserver", "stunnel", "stunnel4", "haproxy", "nginx" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

void
machine_port(struct teller *t, uint16_t port)
{
	struct ports p = { .n = 0 };
	struct ports_owner who;
	auto_buf text = buf_new(TEXT_MAX);
	bool v4 = read_all("/proc/net/tcp", &text), v6 = read_all("/proc/net/tcp6", &text);
	if (!v4 && !v6) {
		finding_tell(t, "listener", FINDING_SKIPPED, NULL, "/proc/net/tcp cannot be read");
		return;
	}
	ports_read(buf_span(&text), port, &p);
	if (p.n == 0)
		finding_tell(t, "listener", FINDING_WARN,
			"\"systemctl enable --now postern.socket\", unless mail comes otherwise",
			"nobody listens at port %d", port);
	else if (!ports_owner(&p, &who))
		finding_tell(t, "listener", FINDING_SKIPPED, "run it as root",
			"somebody listens at port %d, and this user may not see who", port);
	else if (is_ours(who.name))
		finding_tell(t, "listener", FINDING_OK, NULL, "%s (process %ld) listens at port %d",
			who.name, (long)who.pid, port);
	else
		finding_tell(t, "listener", FINDING_FAIL,
			"another MTA has the port: stop and disable it, or listen elsewhere",
			"%s (process %ld) listens at port %d", who.name, (long)who.pid, port);
}

/* ---- systemd ------------------------------------------------------------------------------- */

/* A unit that has to be there, and run. */
static bool
tell_unit(struct teller *t, struct span block, const char *why)
{
	struct span id = units_value(block, "Id");
	char advice[256];
	if (units_is_failed(block)) {
		snprintf(advice, sizeof(advice),
			"\"systemctl status %.*s\" says why; then "
			"\"systemctl restart\" it",
			(int)id.n, id.p);
		finding_tell(t, "units", FINDING_FAIL, advice, "%.*s has failed: %s", (int)id.n,
			id.p, why);
		return false;
	}
	snprintf(advice, sizeof(advice), "\"systemctl enable --now %.*s\"", (int)id.n, id.p);
	if (units_is_active(block) && !units_is_enabled(block))
		finding_tell(t, "units", FINDING_WARN, advice,
			"%.*s runs, but not after the next "
			"boot",
			(int)id.n, id.p);
	return units_is_active(block);
}

static void
tell_socket_limits(struct teller *t, struct span block)
{
	struct span id = units_value(block, "Id"),
		    trigger = units_value(block, "TriggerLimitIntervalUSec");
	bool accepts = span_eq(units_value(block, "Accept"), span_of("yes"));
	if (accepts && trigger.n > 0 && !span_eq(trigger, span_of("0")))
		finding_tell(t, "units", FINDING_WARN, "set TriggerLimitIntervalSec=0",
			"%.*s: many connections at once put it into \"failed\" (TriggerLimitBurst)",
			(int)id.n, id.p);
}

/* What a relay may have that is started by a service of this kind. */
static void
tell_service(struct teller *t, const struct conf *c, struct span block)
{
	struct span id = units_value(block, "Id"), kill = units_value(block, "KillMode");
	int64_t files = units_number(block, "LimitNOFILE");
	int64_t each = files_of_connection(&c->relay);
	int64_t needed = FILES_OF_RELAY + c->relay.max_connections * each;
	if (!units_is_loaded(block))
		return;
	if (!span_eq(kill, span_of("process")))
		finding_tell(t, "units", FINDING_FAIL, "set KillMode=process",
			"%.*s: KillMode=%.*s kills the relay when smtpd ends", (int)id.n, id.p,
			(int)kill.n, kill.p);
	else if (files < needed)
		finding_tell(t, "limits", FINDING_WARN,
			"raise LimitNOFILE, or lower max_connections",
			"%.*s: %lld open files are too few for %lld connections", (int)id.n, id.p,
			(long long)files, (long long)c->relay.max_connections);
	else
		finding_tell(t, "limits", FINDING_OK, NULL,
			"%.*s: %lld open files, enough for %lld "
			"connections",
			(int)id.n, id.p, (long long)files, (long long)c->relay.max_connections);
}

static void
judge_units(struct teller *t, const struct conf *c, struct span text)
{
	bool listens = false, timer = false;
	struct span block;
	while (units_next(&text, &block)) {
		struct span id = units_value(block, "Id");
		if (span_eq(id, span_of("postern-due.timer"))) {
			timer = tell_unit(t, block, "what could not go at once is not tried again");
		} else if (span_starts(id, span_of("postern@"))) {
			tell_service(t, c, block);
		} else if (units_is_loaded(block)) {
			bool up = tell_unit(t, block, "it does not listen");
			if (up)
				tell_socket_limits(t, block);
			listens = listens || up;
		}
	}
	finding_tell(t, "units", timer ? FINDING_OK : FINDING_FAIL,
		timer ? NULL : "\"systemctl enable --now postern-due.timer\"",
		timer ? "postern-due.timer looks for mail that is due"
		      : "postern-due.timer does not run: what could not go at once is not tried "
			"again");
	finding_tell(t, "units", listens ? FINDING_OK : FINDING_WARN,
		listens ? NULL : "\"systemctl enable --now postern.socket\"",
		listens ? "systemd listens for mail" : "no socket unit of Postern listens");
}

void
machine_units(struct teller *t, const struct conf *c)
{
	static const char *const command[] = { "systemctl", "show", "--property",
		"Id,LoadState,ActiveState,UnitFileState,Accept,TriggerLimitIntervalUSec,"
		"MaxConnections,KillMode,LimitNOFILE",
		"postern.socket", "postern-local.socket", "postern-busy.socket",
		"postern-submission.socket", "postern-submissions.socket", "postern-lan.socket",
		"postern-busy-submission.socket", "postern-busy-submissions.socket",
		"postern-busy-lan.socket",
		"postern-due.timer",
		"postern@doctor.service", NULL };
	auto_buf said = buf_new(TEXT_MAX);
	if (access("/run/systemd/system", F_OK) < 0) {
		finding_tell(t, "units", FINDING_SKIPPED,
			"see to it that cron has \"relay --due\" run each minute",
			"systemd does not run here");
		return;
	}
	int r = errand_run(command, ERRAND_OUTPUT, PATIENCE, &said);
	if (r == 0)
		judge_units(t, c, buf_span(&said));
	else
		finding_tell(t, "units", FINDING_SKIPPED, NULL, "systemctl: %s",
			r < 0 ? strerror(-r) : "it does not answer");
}
