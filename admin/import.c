/* import: what the configuration of another program is in ours. */
#include "admin/command.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "admin/formats.h"

static const struct format {
	const char *name;
	const char *file; /* where it is, if nothing is said */
	int (*translate)(struct translation *t, const char *path);
} formats[] = {
	{ "postfix", "/etc/postfix/main.cf", postfix_translate },
	{ "msmtp", "/etc/msmtprc", msmtp_translate },
	{ "ssmtp", "/etc/ssmtp/ssmtp.conf", ssmtp_translate },
	{ "nullmailer", "/etc/nullmailer", nullmailer_translate },
	{ "dma", "/etc/dma/dma.conf", dma_translate },
};

static const struct format *
find_format(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}

static void
print_json(struct admin *a, const struct translation *t, struct span text)
{
	out_json(&a->out, json_pack("{s:o, s:i}", "configuration", out_string(text), "warnings",
				  t->warnings));
}

/* Line by line, for what others have written is made safe, and an end of line is not. */
static void
print_text(struct admin *a, struct span text)
{
	while (text.n > 0) {
		out_text(&a->out, span_cut(&text, '\n'));
		out_say(&a->out, "\n");
	}
}

static void
print(struct admin *a, struct translation *t, const struct format *f, const char *path)
{
	struct buf all = buf_new(t->common.n + t->routes.n + t->needless.n + TRANSLATE_LINE);
	buf_printf(&all,
		"# Made by \"postern import %s\" of %s.\n"
		"# Look through it, above all at what begins with WARNING; then it is "
		"/etc/postern/postern.conf,\n# and \"postern check\" says whether it works here.\n",
		f->name, path);
	buf_add(&all, buf_span(&t->common));
	buf_add(&all, buf_span(&t->routes));
	if (t->needless.n > 0)
		buf_printf(&all, "\n# There is nothing to do for %.*s.\n", (int)t->needless.n,
			t->needless.p);
	if (a->out.json)
		print_json(a, t, buf_span(&all));
	else
		print_text(a, buf_span(&all));
	buf_free(&all);
}

static int
run(struct admin *a, int argc, char **argv)
{
	static struct translation t; /* large */
	const struct format *f = find_format(argv[0]);
	if (f == NULL)
		return admin_misused(
			a, "%s: not one of postfix, msmtp, ssmtp, nullmailer, dma", argv[0]);
	const char *path = argc > 1 ? argv[1] : f->file, *files = admin_option(a, "files");
	char directory[PATH_MAX];
	if (files != NULL && realpath(files, directory) == NULL) {
		admin_trouble(a, "%s: %s", files, strerror(errno));
		return ADMIN_NOTHING;
	}
	translate_begin(&t, admin_option(a, "with-passwords") != NULL,
		files != NULL ? directory : NULL);
	int r = f->translate(&t, path);
	int status = r == 0 && t.warnings == 0 ? ADMIN_DONE : ADMIN_NOTHING;
	if (r < 0) {
		admin_trouble(a, "%s: %s", path, strerror(-r));
		status = r == -EACCES || r == -EPERM ? ADMIN_LATER : ADMIN_NOTHING;
	} else {
		print(a, &t, f, path);
	}
	if (r == 0 && t.warnings > 0)
		admin_trouble(a, "%d of it needs somebody to look at it: see WARNING", t.warnings);
	translate_end(&t);
	return status;
}

static const struct command_option options[] = {
	{ "files", "DIRECTORY", "make the files of passwords (mode 0600) and recipients there" },
	{ "with-passwords", NULL, "in comments, to be moved into the files that are named" },
	{ NULL, NULL, NULL },
};

const struct command command_import = {
	.name = "import",
	.operands = "postfix|msmtp|ssmtp|nullmailer|dma [FILE]",
	.what = "translate the configuration of another program to standard output",
	.needs = NEEDS_NOTHING,
	.least = 1,
	.most = 2,
	.options = options,
	.run = run,
};
