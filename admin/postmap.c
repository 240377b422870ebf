#include "admin/postmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define BETWEEN " \t,\n\r"

/* ---- rows -------------------------------------------------------------------------------- */

/* What is added next stands here. */
struct place {
	struct postmap *m;
	const char *path; /* NULL: in main.cf */
	int line;
};

static struct postmap_row *
add(const struct place *at, struct span key, struct span value, enum postmap_key kind)
{
	struct postmap *m = at->m;
	struct postmap_row *v = m->v;
	if ((m->n & (m->n - 1)) == 0) /* a power of two is full */
		v = realloc(m->v, (size_t)(m->n == 0 ? 1 : 2 * m->n) * sizeof(*v));
	if (v == NULL)
		return NULL;
	m->v = v;
	v[m->n] = (struct postmap_row){ key, value, at->path, at->line, kind };
	return &v[m->n++];
}

/* "key value" or "key: value"; a key that begins with a quotation mark ends with one. */
static void
add_pair(const struct place *at, struct span line, enum postmap_form form)
{
	struct span key, rest = line;
	if (line.p[0] == '"') {
		struct span inside = span_skip(line, 1);
		key = span_cut(&inside, '"');
		rest = span_trim(inside);
		if (form == POSTMAP_ALIASES)
			(void)span_cut(&rest, ':');
	} else if (form == POSTMAP_ALIASES) {
		key = span_trim(span_cut(&rest, ':'));
	} else {
		key = span_word(&rest, " \t");
	}
	if (key.n > 0)
		add(at, key, span_trim(rest), POSTMAP_KEY);
}

/* "/pattern/flags value", where any octet may stand in the place of the slash. */
static void
add_pattern(const struct place *at, struct span line)
{
	size_t n = line.p[0] == '!' ? 2 : 1;
	char end = line.n >= n ? line.p[n - 1] : '/';
	while (n < line.n && line.p[n] != end)
		n += line.p[n] == '\\' ? 2 : 1;
	while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
		n++;
	n = n < line.n ? n : line.n;
	add(at, (struct span){ line.p, n }, span_trim(span_skip(line, n)), POSTMAP_PATTERN);
}

/* ---- the text of a table ----------------------------------------------------------------- */

enum content { PAIRS, ALIASES, LIST, PATTERNS };

static void
add_line(const struct place *at, struct span line, enum content content)
{
	if (content == PATTERNS)
		add_pattern(at, line);
	else if (content != LIST)
		add_pair(at, line, content == ALIASES ? POSTMAP_ALIASES : POSTMAP_PAIRS);
	else
		for (struct span word; (word = span_word(&line, BETWEEN)).n > 0;)
			add(at, word, (struct span){ "", 0 }, POSTMAP_KEY);
}

/* Lines, where one that begins with white space goes on with the one before it. */
static void
add_text(struct place *at, struct buf *text, enum content content)
{
	struct span rest = buf_span(text), line = { 0 };
	int number = 0;
	while (rest.n > 0) {
		struct span next = span_line(&rest), said = span_trim(next);
		number++;
		if (said.n == 0 || said.p[0] == '#')
			continue;
		if (next.p != said.p && line.n > 0) {
			/* what is between them, ends of lines and comments, is blank from now on */
			memset(text->p + (line.p + line.n - text->p), ' ',
				(size_t)(said.p - line.p) - line.n);
			line = span_from(line.p, said.p + said.n);
			continue;
		}
		if (line.n > 0)
			add_line(at, line, content);
		at->line = number;
		line = said;
	}
	if (line.n > 0)
		add_line(at, line, content);
}

/* The database is there, and its text is not. */
static bool
is_made(const char *path)
{
	static const char *const kinds[] = { "db", "lmdb", "cdb", "pag" };
	bool made = false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		auto_buf name = buf_new(TRANSLATE_LINE);
		buf_printf(&name, "%s.%s", path, kinds[i]);
		buf_add(&name, (struct span){ "", 1 });
		made = made || (name.err == 0 && access(name.p, F_OK) == 0);
	}
	return made;
}

static void
add_file(struct postmap *m, struct translation *t, struct span path, enum content content)
{
	if (m->files == POSTMAP_FILES) {
		translate_warn(t, "%.*s is left out: more than %d tables", (int)path.n, path.p,
			POSTMAP_FILES);
		return;
	}
	struct buf *name = &m->paths[m->files], *text = &m->texts[m->files];
	*name = buf_new(TRANSLATE_LINE);
	buf_add(name, path);
	buf_add(name, (struct span){ "", 1 });
	int r = name->err != 0 ? name->err : translate_text(text, name->p);
	m->files++;
	struct place at = { m, name->p, 0 };
	if (r == 0)
		add_text(&at, text, content);
	else if (r == -ENOENT && is_made(name->p))
		translate_warn(t,
			"the text that %s was made from is gone: \"postmap -s\" shows what it "
			"holds",
			name->p);
	else
		translate_warn(t, "%.*s cannot be read: %s", (int)path.n, path.p, strerror(-r));
}

/* ---- what names tables ------------------------------------------------------------------- */

static const struct type {
	const char *name;
	enum { FILE_OF_PAIRS, FILE_OF_PATTERNS, FILE_OF_NETS, INLINE, STATIC, ASKED } how;
} types[] = {
	{ "hash", FILE_OF_PAIRS },
	{ "texthash", FILE_OF_PAIRS },
	{ "lmdb", FILE_OF_PAIRS },
	{ "btree", FILE_OF_PAIRS },
	{ "cdb", FILE_OF_PAIRS },
	{ "dbm", FILE_OF_PAIRS },
	{ "sdbm", FILE_OF_PAIRS },
	{ "regexp", FILE_OF_PATTERNS },
	{ "pcre", FILE_OF_PATTERNS },
	{ "cidr", FILE_OF_NETS },
	{ "inline", INLINE },
	{ "static", STATIC },
	{ "environ", ASKED },
	{ "fail", ASKED },
	{ "ldap", ASKED },
	{ "memcache", ASKED },
	{ "mongodb", ASKED },
	{ "mysql", ASKED },
	{ "netinfo", ASKED },
	{ "nis", ASKED },
	{ "nisplus", ASKED },
	{ "pgsql", ASKED },
	{ "pipemap", ASKED },
	{ "randmap", ASKED },
	{ "socketmap", ASKED },
	{ "sqlite", ASKED },
	{ "tcp", ASKED },
	{ "unionmap", ASKED },
	{ "unix", ASKED },
};

/* The kind of table that a word begins with; *name moves behind it. NULL: it is no table. */
static const struct type *
cut_type(struct span *name)
{
	if (span_starts(*name, span_of("proxy:")))
		*name = span_skip(*name, sizeof("proxy:") - 1);
	struct span rest = *name, type = span_cut(&rest, ':');
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && type.n < name->n; i++) {
		if (!span_eq(type, span_of(types[i].name)))
			continue;
		*name = rest;
		return &types[i];
	}
	return NULL;
}

/* The next word; what stands in braces is one. */
static struct span
cut_map(struct span *rest)
{
	size_t n = 0;
	int depth = 0;
	while (rest->n > 0 && strchr(BETWEEN, rest->p[0]) != NULL && rest->p[0] != '\0')
		*rest = span_skip(*rest, 1);
	for (; n < rest->n; n++) {
		char c = rest->p[n];
		depth += c == '{' ? 1 : c == '}' ? -1 : 0;
		if (depth <= 0 && c != '\0' && strchr(BETWEEN, c) != NULL)
			break;
	}
	struct span word = { rest->p, n };
	*rest = span_skip(*rest, n);
	return word;
}

static struct span
without_braces(struct span s)
{
	bool both = s.n >= 2 && s.p[0] == '{' && s.p[s.n - 1] == '}';
	return span_trim(both ? (struct span){ s.p + 1, s.n - 2 } : s);
}

/* "{ key=value, { key = a value with blanks } }" */
static void
add_inline(struct postmap *m, struct span text)
{
	struct place at = { m, NULL, 0 };
	text = without_braces(text);
	for (struct span word; (word = cut_map(&text)).n > 0;) {
		struct span value = without_braces(word);
		struct span key = span_trim(span_cut(&value, '='));
		add(&at, key, span_trim(value), POSTMAP_KEY);
	}
}

static void
add_table(struct postmap *m, struct translation *t, const struct type *type, struct span name,
	enum postmap_form form)
{
	struct place here = { m, NULL, 0 };
	enum content pairs = form == POSTMAP_ALIASES ? ALIASES : PAIRS;
	switch (type->how) {
	case FILE_OF_PAIRS:
		add_file(m, t, name, pairs);
		break;
	case FILE_OF_NETS:
		add_file(m, t, name, PAIRS);
		break;
	case FILE_OF_PATTERNS:
		add_file(m, t, name, PATTERNS);
		break;
	case INLINE:
		add_inline(m, name);
		break;
	case STATIC:
		add(&here, span_of("*"), without_braces(name), POSTMAP_ANY);
		break;
	case ASKED:
		translate_warn(t, "%s:%.*s is asked for each key, and nobody can list it",
			type->name, (int)name.n, name.p);
		break;
	}
}

void
postmap_read(struct postmap *m, struct translation *t, struct span maps, enum postmap_form form)
{
	struct place here = { m, NULL, 0 };
	*m = (struct postmap){ .n = 0 };
	for (struct span word; (word = cut_map(&maps)).n > 0;) {
		struct span name = word;
		const struct type *type = cut_type(&name);
		if (type != NULL)
			add_table(m, t, type, name, form);
		else if (form == POSTMAP_LIST && word.p[0] != '/')
			add(&here, word, (struct span){ "", 0 }, POSTMAP_KEY);
		else if (form == POSTMAP_LIST)
			add_file(m, t, word, LIST);
		else if (word.p[0] == '/')
			add_file(m, t, word, form == POSTMAP_ALIASES ? ALIASES : PAIRS);
		else
			/* what is behind the colon may be a password */
			translate_warn(t, "%.*s is no kind of table that is known here",
				(int)span_cut(&word, ':').n, name.p);
	}
}

/* ---- what is in them --------------------------------------------------------------------- */

const struct postmap_row *
postmap_find(const struct postmap *m, struct span key)
{
	for (int i = 0; i < m->n; i++)
		if (m->v[i].kind == POSTMAP_ANY ||
			(m->v[i].kind == POSTMAP_KEY && span_ieq(m->v[i].key, key)))
			return &m->v[i];
	return NULL;
}

bool
postmap_is_any(const struct postmap_row *row)
{
	static const char *const any[] = { "/./", "/.*/", "/.+/", "/^/", "/^.*$/", "/^.+$/",
		"/^.*/", "/^.+/", "/.*$/", "/.+$/" };
	bool found = row->kind == POSTMAP_ANY;
	for (size_t i = 0; i < sizeof(any) / sizeof(any[0]) && row->kind == POSTMAP_PATTERN; i++)
		found = found || span_eq(row->key, span_of(any[i]));
	return found;
}

void
postmap_from(struct translation *t, const struct postmap_row *row)
{
	if (row->path != NULL)
		translate_from_line(t, row->path, row->key, row->value, row->line);
}

void
postmap_free(struct postmap *m)
{
	free(m->v);
	for (int i = 0; i < m->files; i++) {
		buf_free(&m->texts[i]);
		buf_free(&m->paths[i]);
	}
	*m = (struct postmap){ .n = 0 };
}
