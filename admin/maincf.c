#include "admin/maincf.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum {
	DEPTH = 8,         /* of names in values */
	NAMES_MOST = 1000, /* in one value, and in the values of those */
};

static struct buf texts[TRANSLATE_SETTINGS]; /* of the values of the sheet at hand */

/* ---- values ---------------------------------------------------------------------------- */

/* What a name that is not set stands for, as far as it matters here. */
static struct span
preset_of(struct sheet *s, struct span name)
{
	static char own[256];
	struct span host = translate_value(s, "myhostname");
	if (host.n == 0 && gethostname(own, sizeof(own) - 1) == 0)
		host = span_of(own);
	if (span_eq(name, span_of("mydomain"))) {
		(void)span_cut(&host, '.');
		return host;
	}
	if (span_eq(name, span_of("myorigin")) || span_eq(name, span_of("myhostname")))
		return host;
	if (span_eq(name, span_of("mydestination")))
		return span_of("$myhostname localhost");
	if (span_eq(name, span_of("config_directory"))) {
		const char *slash = strrchr(s->path, '/');
		return slash != NULL ? span_from(s->path, slash) : span_of(".");
	}
	if (span_eq(name, span_of("queue_directory")))
		return span_of("/var/spool/postfix");
	if (span_eq(name, span_of("default_database_type")))
		return span_of("hash");
	return (struct span){ "", 0 };
}

/* A name, with or without brackets, behind a "$"; *rest moves behind it. */
static struct span
cut_name(struct span *rest)
{
	size_t n = 0;
	if (rest->n > 0 && (rest->p[0] == '{' || rest->p[0] == '(')) {
		char end = rest->p[0] == '{' ? '}' : ')';
		*rest = span_skip(*rest, 1);
		return span_cut(rest, end);
	}
	while (n < rest->n &&
		(ascii_digit(rest->p[n]) || rest->p[n] == '_' ||
			(ascii_lower(rest->p[n]) >= 'a' && ascii_lower(rest->p[n]) <= 'z')))
		n++;
	struct span name = { rest->p, n };
	*rest = span_skip(*rest, n);
	return name;
}

/* The value with the values of names in it; -E2BIG in *out if there are more than *left. */
static void
expand(struct buf *out, struct sheet *s, struct span value, int depth, int *left)
{
	while (value.n > 0 && out->err == 0) {
		struct span plain = span_cut(&value, '$');
		buf_add(out, plain);
		if (plain.p + plain.n == value.p || value.p == NULL)
			return; /* there was no "$" */
		if ((*left)-- == 0)
			out->err = -E2BIG;
		struct span name = cut_name(&value);
		auto_buf text = buf_new(TRANSLATE_LINE);
		buf_add(&text, name);
		buf_add(&text, (struct span){ "", 1 });
		const struct told *setting = text.err == 0 ? translate_find(s, text.p) : NULL;
		if (depth < DEPTH)
			expand(out, s, setting != NULL ? setting->value : preset_of(s, name),
				depth + 1, left);
	}
}

/* ---- reading --------------------------------------------------------------------------- */

/* "name = value", and lines behind it that begin with white space: one setting. */
static void
read_lines(struct sheet *s)
{
	struct span rest = buf_span(&s->text);
	for (int number = 1; rest.n > 0; number++) {
		struct span line = span_line(&rest);
		bool goes_on = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
		struct span value = span_trim(line);
		if (value.n == 0 || value.p[0] == '#')
			continue;
		if (goes_on && s->n > 0) {
			struct told *before = &s->v[s->n - 1];
			before->value = span_from(
				before->value.n > 0 ? before->value.p : value.p, value.p + value.n);
			continue;
		}
		struct span name = span_trim(span_cut(&value, '='));
		(void)translate_add(s, name, span_trim(value), number);
	}
}

/* The value on one line, without comments in the middle. False: there is no memory. */
static bool
join_lines(struct told *setting, struct buf *text)
{
	struct span rest = setting->value;
	*text = buf_new(TRANSLATE_FILE);
	int number = 0;
	for (struct span line; translate_line(&rest, &number, &line);) {
		buf_puts(text, text->n > 0 ? " " : "");
		buf_add(text, line);
	}
	setting->value = buf_span(text);
	return text->err == 0;
}

/* What names in it stand for takes their place. False: there is no memory. */
static bool
put_values(struct sheet *s, struct told *setting, struct buf *text)
{
	if (text->n == 0 || memchr(text->p, '$', text->n) == NULL)
		return true;
	struct buf whole = buf_new(TRANSLATE_FILE);
	int left = NAMES_MOST;
	expand(&whole, s, setting->value, 0, &left);
	buf_free(text);
	*text = whole;
	setting->value = buf_span(text);
	return text->err == 0;
}

static bool
make_plain(struct sheet *s)
{
	bool good = true;
	for (int i = 0; i < s->n; i++)
		good = join_lines(&s->v[i], &texts[i]) && good;
	for (int i = 0; i < s->n && good; i++)
		good = put_values(s, &s->v[i], &texts[i]);
	return good;
}

int
maincf_read(struct sheet *s, const char *path)
{
	*s = (struct sheet){ .between = " = " };
	int r = translate_read(s, path);
	if (r < 0)
		return r;
	read_lines(s);
	return make_plain(s) ? 0 : -ENOMEM;
}

void
maincf_free(struct sheet *s)
{
	for (int i = 0; i < TRANSLATE_SETTINGS; i++)
		buf_free(&texts[i]);
	buf_free(&s->text);
}
