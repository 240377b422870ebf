#include "admin/wake.h"

#include <errno.h>
#include <string.h>

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
	pid_t pid = ring_lane(&l, lane);
	if (ring_is_trouble(pid))
		admin_trouble(a, "%s: cannot start a relay for it: %s: %s; the timer will", lane,
			a->conf.who.relay_path, strerror(-pid));
}
