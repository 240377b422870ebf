#include "admin/admin.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "process/program.h"
#include "process/user.h"

enum { TROUBLE = 4096 }; /* octets of a line about what went wrong */

char *
admin_plain(char *text)
{
	size_t n = text != NULL ? strlen(text) : 0;
	if (n > 2 && text[0] == '<' && text[n - 1] == '>') {
		text[n - 1] = '\0';
		text++;
		n -= 2;
	}
	if (n > 1 && text[n - 1] == '.')
		text[n - 1] = '\0';
	return text;
}

char *
admin_option(const struct admin *a, const char *name)
{
	const struct command_option *o = a->command->options;
	for (int i = 0; o != NULL && o[i].name != NULL; i++)
		if (strcmp(o[i].name, name) == 0)
			return a->given[i];
	return NULL;
}

static void __attribute__((format(printf, 3, 0)))
complain(const struct admin *a, const char *then, const char *fmt, va_list ap)
{
	auto_buf said = buf_new(TROUBLE), safe = buf_new(TROUBLE);
	buf_vprintf(&said, fmt, ap);
	out_safe(&safe, buf_span(&said), a->out.utf8);
	fprintf(stderr, "postern: %.*s%s\n", (int)safe.n, safe.n > 0 ? safe.p : "", then);
}

void
admin_trouble(const struct admin *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	complain(a, "", fmt, ap);
	va_end(ap);
}

int
admin_misused(const struct admin *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	complain(a, "; see --help", fmt, ap);
	va_end(ap);
	return ADMIN_USAGE;
}

static int
configure(struct admin *a)
{
	auto_buf why = buf_new(TROUBLE);
	int r = conf_load(&a->conf, &a->options.conf, &a->from, &why);
	if (r == 0 && a->command->needs >= NEEDS_QUEUE)
		r = program_drop_root(&a->conf, &a->from, &a->options, &why);
	if (r < 0)
		admin_trouble(a, "%.*s", (int)why.n, why.n > 0 ? why.p : "");
	return r < 0 ? ADMIN_CONFIG : ADMIN_DONE;
}

/* Whose queue it is, as root has become by now: sudo would bring nothing more. */
static bool
is_user(const struct admin *a)
{
	uid_t uid;
	gid_t gid;
	return user_find(a->conf.who.user, &uid, &gid) == 0 && uid == geteuid();
}

/* What is in the way of somebody who is neither root nor the user of the spool, and what helps. */
static int
refuse(const struct admin *a, int err)
{
	auto_buf why = buf_new(TROUBLE);
	if ((err == -EACCES || err == -EPERM) && !is_user(a))
		buf_printf(&why, "spool %s: %s: the queue can be %s by %s and root alone; "
			"try \"sudo postern %s\"", a->conf.who.spool, strerror(-err),
			a->command->needs == NEEDS_OWNER ? "changed" : "read", a->conf.who.user,
			a->command->name);
	else
		spool_explain(a->conf.who.spool, err, &why);
	admin_trouble(a, "%.*s", (int)why.n, why.n > 0 ? why.p : "");
	return ADMIN_LATER;
}

int
admin_prepare(struct admin *a)
{
	enum command_needs needs = a->command->needs;
	int status = needs >= NEEDS_CONF ? configure(a) : ADMIN_DONE;
	if (status != ADMIN_DONE || needs < NEEDS_QUEUE)
		return status;
	int err = needs == NEEDS_QUEUE ? spool_look(&a->spool, a->conf.who.spool)
		: spool_open(&a->spool, a->conf.who.spool);
	return err < 0 ? refuse(a, err) : ADMIN_DONE;
}

void
admin_close(struct admin *a)
{
	spool_close(&a->spool);
	conf_free(&a->conf);
}
