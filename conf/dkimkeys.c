#include "conf/dkimkeys.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/crc.h"
#include "lib/file.h"
#include "mail/alabel.h"
#include "mail/dkim.h"

enum { QUOTED = 100, ALGORITHMS = 3 };

static const char blanks[] = " \t";

/* ---- reading ----------------------------------------------------------------------------- */

static int
complain(struct buf *why, const char *path, unsigned line, const char *wrong, struct span v)
{
	buf_printf(why, "%s:%u: %s", path, line, wrong);
	if (v.n > 0) {
		buf_puts(why, ": \"");
		buf_escape(why, v, QUOTED);
		buf_puts(why, "\"");
	}
	return -EINVAL;
}

static char *
copy_domain(struct span word)
{
	char name[ALABEL_DOMAIN];
	if (span_eq(word, span_of("*")))
		return strdup("*");
	if (alabel_domain(word, name) < 0)
		return NULL;
	for (char *c = name; *c != '\0'; c++)
		*c = ascii_lower(*c);
	return strdup(name);
}

/* Labels of a name (RFC 6376 section 3.1), perhaps several. */
static bool
is_selector(struct span word)
{
	for (size_t i = 0; i < word.n; i++) {
		char c = word.p[i];
		bool inside = i > 0 && i + 1 < word.n;
		bool plain = ascii_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
		if (!plain && !(inside && (c == '-' || c == '.' || c == '_')))
			return false;
	}
	return word.n > 0 && word.n <= DKIM_SELECTOR;
}

/* "2027-01-01", midnight UTC. False: it is no such day. */
static bool
parse_day(struct span word, int64_t *at)
{
	struct span rest = word;
	struct span year = span_cut(&rest, '-'), month = span_cut(&rest, '-');
	if (year.n != 4 || month.n != 2 || rest.n != 2 || span_number(year) < 1970 ||
		span_number(month) < 1 || span_number(rest) < 1)
		return false;
	struct tm day = { .tm_year = (int)span_number(year) - 1900,
		.tm_mon = (int)span_number(month) - 1, .tm_mday = (int)span_number(rest) };
	struct tm same = day;
	time_t t = timegm(&same);
	if (same.tm_mon != day.tm_mon || same.tm_mday != day.tm_mday)
		return false; /* the 31st of a month that has none */
	*at = (int64_t)t;
	return true;
}

static int
parse_line(struct dkimkeys *k, const char *path, unsigned number, struct span line,
	struct buf *why)
{
	struct span domain = span_word(&line, blanks), selector = span_word(&line, blanks);
	struct span file = span_word(&line, blanks), since = span_word(&line, blanks);
	struct dkimkeys_row row = { .since = INT64_MIN, .line = number };
	if (file.n == 0 || span_word(&line, blanks).n > 0)
		return complain(why, path, number, "not DOMAIN SELECTOR FILE [SINCE]",
			span_of(""));
	if (!is_selector(selector))
		return complain(why, path, number, "not a selector", selector);
	if (since.n > 0 && !parse_day(since, &row.since))
		return complain(why, path, number, "not a day like 2027-01-31", since);
	if (file.p[0] != '/' && !span_starts(file, span_of("credential:")))
		return complain(why, path, number, "not an absolute path", file);
	if (k->n == SIGN_KEYS)
		return complain(why, path, number, "too many keys", span_of(""));
	row.domain = copy_domain(domain);
	if (row.domain == NULL)
		return complain(why, path, number, "not a domain", domain);
	row.selector = strndup(selector.p, selector.n);
	row.file = strndup(file.p, file.n);
	k->v[k->n++] = row;
	return row.selector != NULL && row.file != NULL
		? 0 : complain(why, path, number, "out of memory", span_of(""));
}

int
dkimkeys_parse(struct dkimkeys *k, const char *path, struct span text, struct buf *why)
{
	int err = 0;
	unsigned number = 0;
	*k = (struct dkimkeys){ .v = calloc(SIGN_KEYS, sizeof(*k->v)),
		.sum = crc32c(0, text.p, text.n) };
	if (k->v == NULL)
		return complain(why, path, 0, "out of memory", span_of(""));
	for (text = span_without_mark(text); text.n > 0 && err == 0;) {
		struct span line = span_line(&text);
		number++;
		if (span_has_stray_cr(line))
			err = complain(why, path, number, "a CR that ends no line", span_of(""));
		line = span_trim(span_cut(&line, '#'));
		if (line.n > 0 && err == 0)
			err = parse_line(k, path, number, line, why);
	}
	if (err < 0)
		dkimkeys_free(k);
	return err;
}

int
dkimkeys_read(struct dkimkeys *k, const char *path, struct buf *why)
{
	auto_memory char *text = malloc(DKIMKEYS_SIZE);
	auto_file file = file_stream(path);
	size_t n = file != NULL && text != NULL ? fread(text, 1, DKIMKEYS_SIZE, file) : 0;
	*k = (struct dkimkeys){ 0 };
	if (text == NULL || file == NULL || ferror(file)) {
		buf_printf(why, "%s: %s", path, strerror(errno));
		return -EINVAL;
	}
	if (n == DKIMKEYS_SIZE) {
		buf_printf(why, "%s: more than %d octets", path, DKIMKEYS_SIZE - 1);
		return -EINVAL;
	}
	return dkimkeys_parse(k, path, (struct span){ text, n }, why);
}

void
dkimkeys_free(struct dkimkeys *k)
{
	for (size_t i = 0; i < k->n; i++) {
		free(k->v[i].domain);
		free(k->v[i].selector);
		free(k->v[i].file);
	}
	free(k->v);
	*k = (struct dkimkeys){ 0 };
}

/* ---- choosing ---------------------------------------------------------------------------- */

bool
dkimkeys_has(const struct dkimkeys *k, const char *domain, int64_t now)
{
	for (size_t i = 0; i < k->n; i++)
		if (strcasecmp(k->v[i].domain, domain) == 0 && k->v[i].since <= now)
			return true;
	return false;
}

/*
 * The domain that the table has for this one: itself, the nearest above it, or "*". A line counts
 * from its day on: who writes it before does not want the mail unsigned until then.
 */
static const char *
nearest(const struct dkimkeys *k, const char *domain, int64_t now)
{
	for (const char *d = domain; d != NULL; d = strchr(d, '.')) {
		d += *d == '.';
		if (dkimkeys_has(k, d, now))
			return d;
	}
	return "*";
}

struct dkimkeys_choice
dkimkeys_choose(const struct dkimkeys *k, const uint8_t *algorithm, const char *domain,
	int64_t now)
{
	struct dkimkeys_choice c = { .n = 0 };
	const struct dkimkeys_row *best[ALGORITHMS] = { NULL };
	const char *of = nearest(k, domain, now);
	for (size_t i = 0; i < k->n; i++) {
		const struct dkimkeys_row *row = &k->v[i];
		const struct dkimkeys_row **at = &best[algorithm[i] % ALGORITHMS];
		if (strcasecmp(row->domain, of) == 0 && row->since <= now &&
			(*at == NULL || row->since >= (*at)->since))
			*at = row;
	}
	for (int a = 1; a < ALGORITHMS; a++)
		if (best[a] != NULL)
			c.key[c.n++] = (size_t)(best[a] - k->v);
	/* One that cannot be used is missed, unless all that are used came after it. */
	bool missed = best[0] != NULL && c.n == 0;
	for (int i = 0; i < c.n && best[0] != NULL; i++)
		missed = missed || k->v[c.key[i]].since <= best[0]->since;
	c.broken = missed ? best[0] : NULL;
	return c;
}
