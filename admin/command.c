#include "admin/command.h"

#include <string.h>

/* In the order in which --help shows them. */
static const struct command *const all[] = {
	&command_status,
	&command_list,
	&command_show,
	&command_retry,
	&command_hold,
	&command_release,
	&command_remove,
	&command_bounce,
	&command_explain,
	&command_doctor,
	&command_trace,
	&command_check,
	&command_dkim,
	&command_test,
	&command_top,
	&command_import,
};

enum { ALL = sizeof(all) / sizeof(all[0]) };

const struct command_option command_common[] = {
	{ "json", NULL, "one JSON object a line instead of text" },
	{ "help", NULL, "this text" },
	{ "version", NULL, "the version" },
	{ NULL, NULL, NULL },
};

const struct command *
command_find(const char *name)
{
	for (size_t i = 0; i < ALL; i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return NULL;
}

static void
print_options(const struct command_option *o, FILE *to)
{
	for (; o != NULL && o->name != NULL; o++) {
		int n = fprintf(to, "  --%s%s%s", o->name, o->value != NULL ? " " : "",
			o->value != NULL ? o->value : "");
		fprintf(to, "%*s%s\n", n < 22 ? 22 - n : 1, "", o->what);
	}
}

static void
print_common(FILE *to)
{
	fputs("\nin front of the command or behind it:\n"
	      "  -c FILE             the configuration (" CONF_FILE ")\n"
	      "  -o KEY=VALUE        a setting in its place\n", to);
	print_options(command_common, to);
	fputs("\nexit status: 0 done; 1 nothing was found, or something is not well; 64 usage;\n"
	      "75 it cannot be done now, or not by this user; 78 the configuration is wrong\n", to);
}

void
command_usage(FILE *to)
{
	fputs("usage: postern [-c FILE] [-o KEY=VALUE]... [--json] COMMAND [OPERAND]...\n\n", to);
	for (size_t i = 0; i < ALL; i++)
		fprintf(to, "  %-8s  %s\n", all[i]->name, all[i]->what);
	fputs("\n\"postern COMMAND --help\" has the options of each.\n", to);
	print_common(to);
}

void
command_help(const struct command *c, FILE *to)
{
	fprintf(to, "usage: postern %s [OPTION]...%s%s\n\n%s\n", c->name,
		c->operands[0] != '\0' ? " " : "", c->operands, c->what);
	if (c->options != NULL)
		fputc('\n', to);
	print_options(c->options, to);
	print_common(to);
}
