#include "process/program.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/limits.h"
#include "lib/self.h"
#include "process/runtime.h"
#include "process/stdfds.h"
#include "process/user.h"

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
	if (o->check || o->counters || o->hash != NULL || o->public || o->make != NULL)
		stdfds_lose_output();
	return true;
}

/* A line of the log for each of the doubts. */
static void
tell_doubts(const struct conf *c)
{
	struct log_fields f = { .event = "configuration" };
	struct span rest = buf_span(&c->doubts);
	while (rest.n > 0) {
		struct span line = span_cut(&rest, '\n');
		log_event(LOG_WARNING, &f, "%.*s", (int)line.n, line.p);
	}
}

int
program_configure(struct conf *c, struct conf_origins *from, const struct options *o,
	const char *unfit, const char *name, struct buf *why)
{
	int r = -EINVAL;
	if (o->wrong != NULL)
		buf_puts(why, o->wrong);
	else if (unfit != NULL)
		buf_puts(why, unfit);
	else
		r = conf_load(c, &o->conf, from, why);
	log_open(r == 0 ? c->log : LOG_TO_AUTO, name);
	if (r == 0)
		log_shape(c->log_format, c->who.hostname);
	/* others were started by these */
	bool ours = !o->serve && !o->wait && o->login == NULL;
	/* and of these a person asks one thing */
	bool asked = o->check || o->counters || o->public || o->make != NULL;
	if (r == 0 && ours && !asked)
		tell_doubts(c);
	return r;
}

/*
 * What root may read the user perhaps may not, and so neither could a relay that is started later:
 * mail would be taken that nobody delivers. So the configuration is read again, as the user.
 */
static int
configure_again(struct conf *c, struct conf_origins *from, const struct options *o, struct buf *why)
{
	auto_buf user = buf_new(LIMIT_LOG_TEXT), wrong = buf_new(why->max);
	buf_puts(&user, c->who.user);
	conf_free(c);
	int r = conf_load(c, &o->conf, from, &wrong);
	if (r < 0)
		buf_printf(why, "started as root, became user %.*s: %.*s", (int)user.n, user.p,
			(int)wrong.n, wrong.n > 0 ? wrong.p : "");
	return r;
}

int
program_drop_root(struct conf *c, struct conf_origins *from, const struct options *o,
	struct buf *why)
{
	uid_t uid = 0;
	gid_t gid = 0;
	if (!self_began_as_root())
		return 0;
	if (user_find(c->who.user, &uid, &gid) == 0)
		(void)runtime_make(c->who.runtime, uid, gid); /* smtpd looks whether it is there */
	int r = user_become(c->who.user);
	if (r < 0) {
		buf_printf(why, "started as root, cannot become user %s: %s", c->who.user,
			r == -ENOENT ? "/etc/passwd has none of this name" : strerror(-r));
		return r;
	}
	return configure_again(c, from, o, why);
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
	for (enum sandbox_step step = 0; step < SANDBOX_STEPS; step++)
		if ((missing & 1 << step) != 0)
			buf_printf(&names, "%s%s", names.n > 0 ? ", " : "",
				sandbox_step_name(step));
	log_event(LOG_WARNING, f, "this kernel or container does not let me have: %.*s; going on "
		"without", (int)names.n, names.p);
}

bool
program_lock_in(enum sandbox_role role, const struct spool *spool, int monitor,
	const struct log_fields *f)
{
	int r = sandbox_enter(role, spool, monitor);
	if (r > 0 && (role == SANDBOX_SESSION || role == SANDBOX_WORKER))
		warn_of_missing(r, f);
	if (r < 0)
		log_event(LOG_ERR, f, "cannot lock myself in: %s", strerror(-r));
	return r >= 0;
}

_Noreturn void
program_end(int status)
{
#ifdef POSTERN_INSTRUMENTED
	exit(status); /* who watches has something to say */
#else
	_exit(status);
#endif
}
