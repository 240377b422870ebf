#include "process/files.h"

#include <stdbool.h>
#include <sys/resource.h>

static struct rlimit first, now;
static bool raised;

void
files_reserve(int more)
{
	struct rlimit l;
	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur == RLIM_INFINITY)
		return;
	if (!raised)
		first = l;
	rlim_t need = l.rlim_cur + (rlim_t)more;
	l.rlim_cur = l.rlim_max < need ? l.rlim_max : need;
	raised = setrlimit(RLIMIT_NOFILE, &l) == 0 || raised;
	now = l;
}

void
files_restore(void)
{
	if (raised)
		(void)setrlimit(RLIMIT_NOFILE, &first);
}

void
files_again(void)
{
	if (raised)
		(void)setrlimit(RLIMIT_NOFILE, &now);
}

/* A lane, its lock, a socket, a log, ...; and messages on their way. */
int64_t
files_of_connection(const struct conf_relay *c)
{
	const int64_t always = 8;
	return always + c->window_messages / always;
}
