#include "process/program.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "process/stdfds.h"

enum { WHY_SIZE = 1024 };

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
program_check(struct conf *c, struct conf_origins *from, const char *name)
{
	auto_buf odd = buf_new(WHY_SIZE);
	int r = conf_find_nameservers(c, from, &odd);
	conf_print(c, from, stdout);
	if (odd.n > 0)
		fprintf(stderr, "%s: %s: %.*s\n", name,
			r < 0 ? "no nameserver can be used" : "left out", (int)odd.n, odd.p);
	return r < 0 ? EXIT_CONFIG : 0;
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

bool
program_lock_in(enum sandbox_role role, int spool, const struct log_fields *f)
{
	int r = sandbox_enter(role, spool);
	if (r == -ENOSYS && role == SANDBOX_SESSION) /* said by one process of a connection */
		log_event(LOG_WARNING, f, "this kernel has no Landlock; going on without");
	if (r < 0 && r != -ENOSYS)
		log_event(LOG_ERR, f, "cannot lock myself in: %s", strerror(-r));
	return r == 0 || r == -ENOSYS;
}
