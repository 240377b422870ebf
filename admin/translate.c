#include "admin/translate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/net.h"

enum { WRITTEN = 1024 * 1024, SHOWN = 300 };

#define PASSWORD_FILE "/etc/postern/password"

void
translate_begin(struct translation *t, bool with_passwords)
{
	*t = (struct translation){ .common = buf_new(WRITTEN),
		.routes = buf_new(WRITTEN),
		.needless = buf_new(WRITTEN),
		.with_passwords = with_passwords };
	t->to = &t->common;
}

void
translate_end(struct translation *t)
{
	conf_free(&t->tried);
	buf_free(&t->common);
	buf_free(&t->routes);
	buf_free(&t->needless);
}

/* ---- the other program's settings --------------------------------------------------------- */

int
translate_read(struct sheet *s, const char *path)
{
	s->path = path;
	s->text = buf_new(TRANSLATE_FILE);
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	char part[4096];
	ssize_t n;
	while ((n = read(fd, part, sizeof(part))) > 0)
		buf_add(&s->text, (struct span){ part, (size_t)n });
	return n < 0 ? -errno : s->text.err;
}

bool
translate_add(struct sheet *s, struct span name, struct span value, int line)
{
	if (s->n == TRANSLATE_SETTINGS)
		return false;
	s->v[s->n++] = (struct told){ .name = name, .value = value, .line = line };
	return true;
}

struct told *
translate_find(struct sheet *s, const char *name)
{
	for (int i = s->n - 1; i >= 0; i--)
		if (span_ieq(s->v[i].name, span_of(name)))
			return &s->v[i];
	return NULL;
}

struct span
translate_value(struct sheet *s, const char *name)
{
	const struct told *setting = translate_find(s, name);
	return setting != NULL ? setting->value : (struct span){ "", 0 };
}

bool
translate_yes(struct span value)
{
	return span_ieq(value, span_of("yes")) || span_ieq(value, span_of("on")) ||
	       span_ieq(value, span_of("true"));
}

/* ---- ours --------------------------------------------------------------------------------- */

/* On one line, and safe to be shown. */
static void
add_shown(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n && i < SHOWN; i++)
		buf_printf(b, "%c", (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ? ' ' : s.p[i]);
	if (s.n > SHOWN)
		buf_puts(b, "...");
}

void
translate_from(struct translation *t, const struct sheet *s, const struct told *setting)
{
	t->source.sheet = s;
	t->source.setting = setting;
	t->source.shown = false;
}

/* The setting that leads to what is written next, once. */
static void
show_source(struct translation *t)
{
	const struct told *from = t->source.setting;
	if (from == NULL || t->source.shown)
		return;
	t->source.shown = true;
	const char *between = t->source.sheet->between;
	buf_printf(t->to, "\n# %s:%d: ", t->source.sheet->path, from->line);
	add_shown(t->to, from->name);
	if (from->secret)
		buf_puts(t->to, " (not shown)");
	else if (from->value.n > 0)
		buf_puts(t->to, between != NULL ? between : " ");
	if (!from->secret)
		add_shown(t->to, from->value);
	buf_puts(t->to, "\n");
}

static void __attribute__((format(printf, 3, 0)))
comment(struct translation *t, const char *mark, const char *fmt, va_list ap)
{
	auto_buf text = buf_new(TRANSLATE_LINE);
	show_source(t);
	buf_vprintf(&text, fmt, ap);
	buf_printf(t->to, "# %s", mark);
	add_shown(t->to, buf_span(&text));
	buf_puts(t->to, "\n");
}

void
translate_say(struct translation *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	comment(t, "", fmt, ap);
	va_end(ap);
}

void
translate_warn(struct translation *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	comment(t, "WARNING: ", fmt, ap);
	va_end(ap);
	t->warnings++;
}

/* A "#" there would begin a comment. */
static bool
has_comment(struct span line)
{
	for (size_t i = 1; i < line.n; i++)
		if (line.p[i] == '#' && (line.p[i - 1] == ' ' || line.p[i - 1] == '\t'))
			return true;
	return false;
}

/* Would it be read? */
static bool
is_taken(struct translation *t, struct span line, struct buf *why)
{
	struct setting s = { &t->tried, &t->origins, why };
	struct conf_origin at = { "not taken", 1 };
	if (line.n > TRANSLATE_LINE || has_comment(line)) {
		buf_puts(why, "not taken: too long, or with a \" #\" in it");
		return false;
	}
	return (t->to == &t->common ? conf_set_pair(&s, line, at)
				    : conf_set_route(&s, t->tried.routes, line, at)) == 0;
}

void
translate_set(struct translation *t, const char *key, struct span value)
{
	auto_buf line = buf_new(TRANSLATE_LINE + 1), why = buf_new(TRANSLATE_LINE);
	buf_printf(&line, "%s = %.*s", key, (int)value.n, value.n > 0 ? value.p : "");
	show_source(t);
	if (line.err != 0 || !is_taken(t, buf_span(&line), &why)) {
		translate_warn(t, "%.*s", (int)why.n, why.n > 0 ? why.p : "");
		return;
	}
	buf_add(t->to, buf_span(&line));
	buf_puts(t->to, "\n");
}

void
translate_setf(struct translation *t, const char *key, const char *fmt, ...)
{
	auto_buf value = buf_new(TRANSLATE_LINE);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&value, fmt, ap);
	va_end(ap);
	translate_set(t, key, buf_span(&value));
}

void
translate_route(struct translation *t, const char *name, const char *key, struct span value)
{
	struct route *r = calloc(1, sizeof(*r));
	t->to = &t->routes;
	t->source.setting = NULL;
	buf_printf(t->to, "\n[route %s]\n", name);
	if (r == NULL) {
		buf_puts(t->to, "# out of memory\n");
		t->warnings++;
		return;
	}
	r->next = t->tried.routes;
	t->tried.routes = r;
	translate_set(t, key, value);
}

void
translate_host(struct buf *hosts, struct span host, struct span port)
{
	struct span bare = span_unbracket(host);
	bool six = bare.n > 0 && memchr(bare.p, ':', bare.n) != NULL;
	buf_printf(hosts, "%s%s%.*s%s:%.*s", hosts->n > 0 ? " " : "", six ? "[" : "", (int)bare.n,
		bare.n > 0 ? bare.p : "", six ? "]" : "", (int)port.n, port.p);
}

void
translate_login(struct translation *t, struct span user, struct span password)
{
	auto_buf file = buf_new(sizeof(PASSWORD_FILE) + 8);
	t->passwords++;
	buf_puts(&file, PASSWORD_FILE);
	if (t->passwords > 1)
		buf_printf(&file, "-%d", t->passwords);
	translate_set(t, "delivery_user", user);
	translate_set(t, "delivery_password_file", buf_span(&file));
	translate_say(t,
		"the password goes into that file, for the user of Postern alone: "
		"install -m 400 -o postern -g postern /dev/stdin %.*s",
		(int)file.n, file.p);
	if (password.n == 0)
		translate_warn(t, "the password was not found");
	else if (t->with_passwords)
		translate_say(t, "the password: %.*s", (int)password.n, password.p);
}

/* ---- rules -------------------------------------------------------------------------------- */

static const struct rule *
rule_of(const struct rule *rules, int n, struct span name)
{
	for (int i = 0; i < n; i++)
		if (span_ieq(span_of(rules[i].name), name))
			return &rules[i];
	return NULL;
}

static void
apply(struct translation *t, struct sheet *s, const struct told *setting, const struct rule *r)
{
	translate_from(t, s, setting);
	if (r == NULL) {
		translate_warn(t, "it is not known here; look whether it matters");
		return;
	}
	switch (r->kind) {
	case RULE_SAME:
		if (setting->value.n > 0)
			translate_set(t, r->what, setting->value);
		break;
	case RULE_BY:
		r->by(t, s, setting, r->what);
		break;
	case RULE_NEEDLESS:
		if (r->what != NULL)
			translate_say(t, "%s", r->what);
		else
			buf_printf(&t->needless, "%s%s", t->needless.n > 0 ? ", " : "", r->name);
		break;
	case RULE_CANNOT:
		if (setting->value.n > 0)
			translate_warn(t, "%s", r->what);
		break;
	case RULE_ROUTE:
		break;
	}
}

void
translate_by_rules(struct translation *t, struct sheet *s, const struct rule *rules, int n)
{
	for (int i = 0; i < s->n; i++) {
		auto_buf name = buf_new(TRANSLATE_LINE);
		buf_printf(&name, "%.*s", (int)s->v[i].name.n, s->v[i].name.p);
		buf_add(&name, (struct span){ "", 1 });
		if (name.err == 0 && translate_find(s, name.p) == &s->v[i])
			apply(t, s, &s->v[i], rule_of(rules, n, s->v[i].name));
	}
}
