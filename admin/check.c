/*
 * check: is the configuration right? Each line says where the key stands that it is about.
 *
 * What is wrong with the text of the file conf_load says; what is wrong with what it names, the
 * programs that open it (smtpd --check).
 */
#include "admin/command.h"

#include <string.h>

#include "admin/checked.h"
#include "conf/keys.h"
#include "conf/way.h"
#include "lib/cleanup.h"

enum { WHY_SIZE = 4096 };

/* ---- where a key stands -------------------------------------------------------------------- */

struct place {
	const char *file; /* NULL: it is not known */
	int line;         /* 0: the same, or it is no file */
	const char *key;  /* NULL: the line is about none */
};

/* "[route NAME] key ...": the route; *text moves behind it. NULL: it is none of these. */
static const struct route *
take_route(const struct conf *c, struct span *text)
{
	static const struct span begin = { "[route ", 7 };
	if (!span_starts(*text, begin))
		return NULL;
	struct span rest = span_skip(*text, begin.n), name = span_cut(&rest, ']');
	*text = span_trim(rest);
	return way_route(c, name);
}

/* What is wrong with a value that only one route has may say no more than the key. */
static const struct route *
only_route(const struct admin *a, int key)
{
	const struct route *r = a->conf.routes;
	if (strcmp(a->from.of[key].where, "default") != 0)
		return NULL;
	while (r != NULL && r->line[key] == 0)
		r = r->next;
	return r;
}

/* Of the key that a finding begins with. */
static struct place
place_of(const struct admin *a, struct span text)
{
	struct place p = { .file = NULL };
	const struct route *r = take_route(&a->conf, &text);
	int key = conf_find(span_word(&text, " :,;"));
	if (key < 0)
		return p;
	p.key = conf_name(key);
	r = r != NULL ? r : only_route(a, key);
	if (r != NULL && r->line[key] != 0) {
		p.file = a->from.file;
		p.line = r->line[key];
	} else {
		p.file = a->from.of[key].where;
		p.line = a->from.of[key].line;
	}
	return p;
}

/* ---- what is said -------------------------------------------------------------------------- */

static const char *const kinds[] = { [CHECKED_WARNING] = "warning", [CHECKED_ERROR] = "error",
	[CHECKED_ODD] = "warning" };

static void
tell(struct admin *a, const struct place *p, enum checked_kind kind, struct span text)
{
	struct out *o = &a->out;
	if (o->json) {
		out_json(o, json_pack("{s:s, s:o, s:o, s:o, s:o}", "kind", kinds[kind], "file",
			p->file != NULL ? out_string(span_of(p->file)) : json_null(), "line",
			p->line > 0 ? json_integer(p->line) : json_null(), "key",
			p->key != NULL ? json_string(p->key) : json_null(), "text",
			out_string(text)));
		return;
	}
	if (p->file != NULL) {
		out_text(o, span_of(p->file));
		if (p->line > 0)
			out_say(o, ":%d", p->line);
		out_say(o, ": ");
	}
	out_colour(o, kind == CHECKED_ERROR ? OUT_BAD : OUT_WARNING);
	out_say(o, "%s", kinds[kind]);
	out_colour(o, OUT_PLAIN);
	out_say(o, ": ");
	out_text(o, text);
	out_say(o, "\n");
}

/* "postern.conf:12: max_size: not a size": where it stands is in front of it. */
static void
tell_of_text(struct admin *a, struct span why)
{
	const char *file = a->options.conf.file != NULL ? a->options.conf.file : CONF_FILE;
	struct place p = { .file = NULL };
	struct span rest = why;
	if (span_starts(why, span_of(file)) && why.n > strlen(file) && why.p[strlen(file)] == ':') {
		rest = span_skip(why, strlen(file) + 1);
		struct span number = span_digits(rest);
		p.file = file;
		if (number.n > 0 && number.n < rest.n && rest.p[number.n] == ':') {
			p.line = (int)span_number(number);
			rest = span_skip(rest, number.n + 1);
		}
		rest = span_trim(rest);
		struct span text = rest;
		int key = conf_find(span_word(&text, " :"));
		p.key = key >= 0 ? conf_name(key) : NULL;
	}
	tell(a, &p, CHECKED_ERROR, rest);
}

/* The worst there was. */
static enum checked_kind
tell_of_named(struct admin *a, const struct buf *said)
{
	enum checked_kind worst = CHECKED_FINE;
	struct span rest = buf_span(said);
	for (struct checked_line l; checked_next(&rest, &l);) {
		struct place p = place_of(a, l.text);
		if (l.kind == CHECKED_FINE)
			continue;
		tell(a, &p, l.kind, l.text);
		worst = worst == CHECKED_ERROR ? worst : l.kind;
	}
	return worst;
}

static int
check(struct admin *a)
{
	auto_buf path = buf_new(WHY_SIZE), said = buf_new(CHECKED_MAX);
	checked_path(&a->conf, "smtpd", &path);
	int r = checked_run(a, path.p, ERRAND_ERRORS, &said);
	if (r < 0) {
		admin_trouble(a, "%s: %s; is all of Postern installed?", path.p, strerror(-r));
		return ADMIN_LATER;
	}
	enum checked_kind worst = tell_of_named(a, &said);
	if (worst == CHECKED_FINE && r == 0 && !a->out.json && admin_option(a, "print") == NULL)
		out_say(&a->out, "nothing is wrong\n");
	return worst == CHECKED_ERROR || r != 0 ? ADMIN_CONFIG : ADMIN_DONE;
}

static int
run(struct admin *a, int argc, char **argv)
{
	auto_buf why = buf_new(WHY_SIZE);
	(void)argc;
	(void)argv;
	if (conf_load(&a->conf, &a->options.conf, &a->from, &why) < 0) {
		tell_of_text(a, buf_span(&why));
		return ADMIN_CONFIG;
	}
	int status = check(a);
	if (admin_option(a, "print") != NULL && !a->out.json)
		conf_print(&a->conf, &a->from, a->out.to);
	return status;
}

static const struct command_option options[] = {
	{ "print", NULL, "also what is in force, and where each key was set" },
	{ NULL, NULL, NULL },
};

const struct command command_check = {
	.name = "check",
	.operands = "",
	.what = "is the configuration right? what is wrong with it, and where",
	.needs = NEEDS_NOTHING,
	.least = 0,
	.most = 0,
	.options = options,
	.run = run,
};
