#include "admin/translate.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/file.h"

enum { WRITTEN = 1024 * 1024, SHOWN = 300 };

#define OUR_DIRECTORY POSTERN_SYSCONF "/postern"

void
translate_begin(struct translation *t, bool with_passwords, const char *files)
{
	*t = (struct translation){ .common = buf_new(WRITTEN),
		.routes = buf_new(WRITTEN),
		.needless = buf_new(WRITTEN),
		.with_passwords = with_passwords,
		.files = files,
		.source.shown = true };
	t->to = &t->common;
}

void
translate_end(struct translation *t)
{
	conf_free(&t->tried);
	buf_free(&t->common);
	buf_free(&t->routes);
	buf_free(&t->needless);
	for (int i = 0; i < t->logins.n; i++)
		buf_free(&t->logins.v[i]);
}

/* ---- the other program's settings --------------------------------------------------------- */

int
translate_text(struct buf *text, const char *path)
{
	*text = buf_new(TRANSLATE_FILE);
	auto_fd fd = file_open(path);
	if (fd < 0)
		return -errno;
	char part[4096];
	ssize_t n;
	while ((n = read(fd, part, sizeof(part))) > 0)
		buf_add(text, (struct span){ part, (size_t)n });
	return n < 0 ? -errno : text->err;
}

int
translate_read(struct sheet *s, const char *path)
{
	s->path = path;
	return translate_text(&s->text, path);
}

bool
translate_line(struct span *text, int *number, struct span *line)
{
	while (text->n > 0) {
		++*number;
		*line = span_trim(span_line(text));
		if (line->n > 0 && line->p[0] != '#')
			return true;
	}
	return false;
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
	t->source.path = s->path;
	t->source.between = s->between;
	t->source.shown = setting == NULL;
	if (setting != NULL)
		t->source.setting = *setting;
}

void
translate_from_line(struct translation *t, const char *path, struct span name, struct span value,
	int line)
{
	t->source.path = path;
	t->source.between = NULL;
	t->source.shown = false;
	t->source.setting = (struct told){ .name = name, .value = value, .line = line };
}

void
translate_from_nothing(struct translation *t)
{
	t->source.shown = true;
}

/* The setting that leads to what is written next, once. */
static void
show_source(struct translation *t)
{
	const struct told *from = &t->source.setting;
	if (t->source.shown)
		return;
	t->source.shown = true;
	const char *between = t->source.between;
	buf_printf(t->to, "\n# %s:%d: ", t->source.path, from->line);
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
	if (line.n == 0 || line.n > TRANSLATE_LINE || has_comment(line)) {
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
	if (!is_taken(t, buf_span(&line), &why)) {
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
	translate_from_nothing(t);
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

/* ---- files that it names ---------------------------------------------------------------- */

static int
write_all(int fd, struct span text)
{
	while (text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);
		if (n < 0 && errno != EINTR)
			return -errno;
		text = span_skip(text, n < 0 ? 0 : (size_t)n);
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* Root makes it for the user of Postern; if he is not there yet, it stays root's. */
static int
write_new(const struct translation *t, const char *path, struct span text, mode_t mode)
{
	const char *user = t->tried.who.user != NULL ? t->tried.who.user : "postern";
	auto_fd fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	const struct passwd *owner = geteuid() == 0 ? getpwnam(user) : NULL;
	int r = owner != NULL ? fchown(fd, owner->pw_uid, owner->pw_gid) : 0;
	r = r < 0 || fchmod(fd, mode) < 0 ? -errno : write_all(fd, text); /* whatever the umask */
	if (r < 0)
		(void)unlink(path);
	return r;
}

/* Does it say that already? */
static bool
is_there(const char *path, struct span text)
{
	auto_buf there = buf_new(TRANSLATE_FILE);
	return translate_text(&there, path) == 0 && span_eq(buf_span(&there), text);
}

bool
translate_file(struct translation *t, const char *key, const char *name, struct span text,
	mode_t mode)
{
	auto_buf path = buf_new(TRANSLATE_LINE);
	buf_printf(&path, "%s/%s", t->files != NULL ? t->files : OUR_DIRECTORY, name);
	translate_set(t, key, buf_span(&path));
	buf_add(&path, (struct span){ "", 1 });
	if (t->files == NULL || path.err != 0)
		return false;
	int r = write_new(t, path.p, text, mode);
	if (r == -EEXIST && is_there(path.p, text))
		r = 0;
	if (r == -EEXIST)
		translate_warn(
			t, "%s was there, says something else, and was left as it is", path.p);
	else if (r < 0)
		translate_warn(t, "%s cannot be made: %s", path.p, strerror(-r));
	return r == 0;
}

/* The file of this login, counted from 0: one that was named, or another one. */
static int
number_of(struct translation *t, struct span user, struct span password)
{
	auto_buf both = buf_new(TRANSLATE_LINE);
	int i = 0;
	buf_add(&both, user);
	buf_add(&both, (struct span){ "", 1 });
	buf_add(&both, password);
	while (i < t->logins.n && !span_eq(buf_span(&t->logins.v[i]), buf_span(&both)))
		i++;
	if (i < t->logins.n || i == TRANSLATE_LOGINS)
		return i;
	t->logins.v[t->logins.n++] = both;
	both = buf_new(0);
	return i;
}

void
translate_login(struct translation *t, struct span user, struct span password)
{
	int number = number_of(t, user, password), before = t->warnings;
	auto_buf name = buf_new(64), line = buf_new(TRANSLATE_LINE);
	buf_printf(&name, number > 0 ? "password-%d" : "password", number + 1);
	buf_add(&name, (struct span){ "", 1 });
	buf_add(&line, password);
	buf_puts(&line, "\n");
	translate_set(t, "delivery_user", user);
	if (password.n == 0 || t->files == NULL) {
		translate_setf(t, "delivery_password_file", OUR_DIRECTORY "/%s", name.p);
		translate_say(t,
			"the password goes into that file, for the user of Postern alone: "
			"install -m 400 -o postern -g postern /dev/stdin " OUR_DIRECTORY "/%s",
			name.p);
	} else if (translate_file(t, "delivery_password_file", name.p, buf_span(&line), 0600)) {
		translate_say(t, "the password is there");
	}
	if (password.n == 0 && t->warnings == before)
		translate_warn(t, "the password was not found");
	else if (password.n > 0 && t->with_passwords)
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
