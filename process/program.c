#include "process/program.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/limits.h"
#include "process/stdfds.h"

bool
program_begin(struct options *o, int argc, char **argv)
{
	stdfds_fill();
	if (argc < 1)
		return false;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	umask(S_IRWXG | S_IRWXO);
	options_parse(o, argc, argv);
	return true;
}

int
program_configure(struct conf *c, struct conf_origins *from, const struct options *o,
	const char *unfit, const char *name, log_journal_fn *journal, struct buf *why)
{
	int r = -EINVAL;
	if (o->wrong != NULL)
		buf_puts(why, o->wrong);
	else if (unfit != NULL)
		buf_puts(why, unfit);
	else
		r = conf_load(c, &o->conf, from, why);
	log_open(r == 0 ? c->log : LOG_TO_AUTO, name, journal);
	return r;
}

int
program_drop_root(const struct conf *c, struct buf *why)
{
	int r = sandbox_drop_root(c->who.user);
	if (r < 0)
		buf_printf(why, "started as root, cannot become user %s: %s", c->who.user,
			strerror(-r));
	return r;
}

int
program_refuse(const struct buf *why)
{
	struct log_fields f = { .event = "failed" };
	log_event(LOG_ERR, &f, "%.*s", (int)why->n, why->n > 0 ? why->p : "");
	return EXIT_CONFIG;
}

static void
warn_of_missing(int missing, const struct log_fields *f)
{
	auto_buf names = buf_new(LIMIT_LOG_TEXT);
	for (int i = 0; i < SANDBOX_STEPS; i++)
		if ((missing & 1 << i) != 0)
			buf_printf(&names, "%s%s", names.n > 0 ? ", " : "", sandbox_step_name(i));
	log_event(LOG_WARNING, f, "this kernel or container does not let me have: %.*s; going on "
		"without", (int)names.n, names.p);
}

bool
program_lock_in(enum sandbox_role role, int spool, int monitor, const struct log_fields *f)
{
	int r = sandbox_enter(role, spool, monitor);
	if (r > 0 && role == SANDBOX_SESSION)
		warn_of_missing(r, f);
	if (r < 0)
		log_event(LOG_ERR, f, "cannot lock myself in: %s", strerror(-r));
	return r >= 0;
}
