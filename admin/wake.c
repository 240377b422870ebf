#include "admin/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "conf/credential.h"
#include "conf/way.h"
#include "lib/cleanup.h"
#include "process/ring.h"
#include "queue/bell.h"

static bool
is_hidden(const char *value)
{
	return value != NULL && credential_hidden(span_of(value));
}

/* For a relay that cannot be started from here. */
static void
ring_only(const struct admin *a, const char *lane)
{
	static bool told;
	char login[LOGIN_NAME_SIZE];
	way_login(&a->conf, lane, login);
	auto_fd dir = bell_open_dir(&a->spool, a->conf.who.hostname, login);
	if (dir < 0 || bell_ring(dir, lane) == 0 || told)
		return;
	told = true;
	admin_trouble(a, "%s: its password is a credential of the unit, so the timer will start "
		"its relay; \"systemctl start postern-due.service\" does at once", lane);
}

/*
 * A relay outlives us, and would keep the terminal, or the other end of an ssh, in its hands; where
 * standard error is not its log it gets none. An fd to put back, or -1.
 */
static int
hide_terminal(const struct admin *a)
{
	bool logs = a->conf.log == LOG_TO_STDERR;
	int kept = logs ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	auto_fd null = kept >= 0 ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
	if (null >= 0)
		(void)dup2(null, STDERR_FILENO);
	return kept;
}

static void
show_terminal(int kept)
{
	if (kept < 0)
		return;
	(void)dup2(kept, STDERR_FILENO);
	close(kept);
}

void
wake_lane(const struct admin *a, const char *lane)
{
	struct launcher l = { .spool = &a->spool, .conf = &a->conf, .args = &a->options.conf };
	struct conf_delivery d;
	way_of(&a->conf, lane, &d);
	if (is_hidden(d.password_file)) {
		ring_only(a, lane);
		return;
	}
	int kept = hide_terminal(a);
	pid_t pid = ring_lane(&l, lane);
	show_terminal(kept);
	if (ring_is_trouble(pid))
		admin_trouble(a, "%s: cannot start a relay for it: %s: %s; the timer will", lane,
			a->conf.who.relay_path, strerror(-pid));
}
