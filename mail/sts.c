#include "mail/sts.h"

#include <stddef.h>

#include "mail/address.h"

enum {
	NAME = 32,       /* octets of a field's name */
	AGE_DIGITS = 10, /* of max_age */
};

static const struct span version = { "STSv1", 5 };

static bool
is_alphanumeric(char c)
{
	char l = ascii_lower(c);
	return ascii_digit(c) || (l >= 'a' && l <= 'z');
}

static bool
are_alphanumeric(struct span s)
{
	size_t n = 0;
	while (n < s.n && is_alphanumeric(s.p[n]))
		n++;
	return n == s.n && n > 0;
}

/* sts-ext-name, sts-policy-ext-name: as which names that we know are written, too. */
static bool
is_name(struct span s)
{
	if (s.n == 0 || s.n > NAME || !is_alphanumeric(s.p[0]))
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!is_alphanumeric(s.p[i]) && s.p[i] != '_' && s.p[i] != '-' && s.p[i] != '.')
			return false;
	return true;
}

/* ---- the record ---------------------------------------------------------------------------- */

/* The first word of a record, with all that may stand before the ";" behind it. */
static bool
is_record(struct span text)
{
	static const struct span begin = { "v=STSv1", 7 };
	if (!span_starts(text, begin))
		return false;
	struct span rest = span_trim(span_skip(text, begin.n));
	return rest.n > 0 && rest.p[0] == ';';
}

/* sts-ext-value: no CTL, blank, "=" or ";", of which the last stands in no field. */
static bool
is_record_value(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '=')
			return false;
	return s.n > 0;
}

/* False: a field is wrong, or there is no id. Of several the first counts. */
static bool
read_record(struct span text, struct span *id)
{
	*id = (struct span){ NULL, 0 };
	(void)span_cut(&text, ';');
	while (text.n > 0 && span_trim(text).n > 0) { /* the last ";" need not be there */
		struct span field = span_trim(span_cut(&text, ';'));
		struct span name = span_cut(&field, '=');
		if (!is_name(name) || !is_record_value(field))
			return false;
		if (id->n == 0 && span_eq(name, span_of("id")))
			*id = field;
	}
	return are_alphanumeric(*id) && id->n <= STS_ID;
}

bool
sts_record(struct span texts, char id[static STS_ID + 1])
{
	struct span record = { NULL, 0 }, found;
	size_t n = 0;
	while (texts.n > 0) {
		struct span text = span_cut(&texts, '\0');
		if (!is_record(text))
			continue;
		record = text;
		n++;
	}
	if (n != 1 || !read_record(record, &found))
		return false;
	memcpy(id, found.p, found.n);
	id[found.n] = '\0';
	return true;
}

/* ---- the policy ---------------------------------------------------------------------------- */

static const char *const mode_words[] = { [STS_NONE] = "none", [STS_TESTING] = "testing",
	[STS_ENFORCE] = "enforce" };

const char *
sts_mode_word(enum sts_mode mode)
{
	return mode_words[mode];
}

/* sts-policy-ext-value: no CTL, and UTF-8. */
static bool
is_policy_value(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return s.n > 0 && address_is_utf8(s);
}

/* "name: value". False: it is no such line. */
static bool
read_line(struct span line, struct span *name, struct span *value)
{
	*name = span_cut(&line, ':');
	*value = span_trim(line);
	return is_name(*name) && is_policy_value(*value);
}

static bool
is_pattern(struct span s)
{
	static const struct span any = { "*.", 2 };
	return address_is_domain(span_starts(s, any) ? span_skip(s, any.n) : s);
}

/* What a policy has said by now. */
struct said {
	bool version, mode, max_age, mx;
};

static const char *
take_mode(struct span value, struct sts_policy *out)
{
	for (int i = STS_NONE; i <= STS_ENFORCE; i++)
		if (span_eq(value, span_of(mode_words[i]))) {
			out->mode = (enum sts_mode)i;
			return NULL;
		}
	return "its mode is unknown";
}

static const char *
take_max_age(struct span value, struct sts_policy *out)
{
	out->max_age = value.n <= AGE_DIGITS ? span_number(value) : -1;
	return out->max_age < 0 ? "its max_age is no number"
		: out->max_age > STS_MAX_AGE ? "its max_age is longer than a year" : NULL;
}

/* Of what may stand once the first counts; what is not known is passed by. */
static const char *
take(struct span name, struct span value, struct said *said, struct sts_policy *out)
{
	if (span_eq(name, span_of("mx"))) {
		said->mx = true;
		return is_pattern(value) ? NULL : "an mx is no name of a host";
	}
	bool *once = span_eq(name, span_of("version")) ? &said->version
		: span_eq(name, span_of("mode"))       ? &said->mode
		: span_eq(name, span_of("max_age"))    ? &said->max_age : NULL;
	if (once == NULL || *once)
		return NULL;
	*once = true;
	if (once == &said->version)
		return span_eq(value, version) ? NULL : "its version is unknown";
	return once == &said->mode ? take_mode(value, out) : take_max_age(value, out);
}

const char *
sts_policy(struct span text, struct sts_policy *out)
{
	struct sts_policy p = { .text = text };
	struct said said = { false, false, false, false };
	struct span rest = text, name, value;
	if (text.n > STS_TEXT)
		return "it is too long";
	while (rest.n > 0) {
		struct span line = span_line(&rest);
		if (span_trim(line).n == 0)
			continue;
		if (!read_line(line, &name, &value))
			return "a line is no \"name: value\"";
		const char *wrong = take(name, value, &said, &p);
		if (wrong != NULL)
			return wrong;
	}
	if (!said.version || !said.mode || !said.max_age)
		return "version, mode or max_age is missing";
	if (!said.mx && p.mode != STS_NONE)
		return "it names no mx";
	*out = p;
	return NULL;
}

struct span
sts_next_mx(struct span *rest)
{
	struct span name, value;
	while (rest->n > 0) {
		struct span line = span_line(rest);
		if (read_line(line, &name, &value) && span_eq(name, span_of("mx")))
			return value;
	}
	return (struct span){ NULL, 0 };
}

/* The wildcard stands for one label, and that one is not empty. */
static bool
matches(struct span pattern, struct span host)
{
	if (pattern.p[0] != '*')
		return span_ieq(pattern, host);
	struct span label = span_cut(&host, '.');
	return label.n > 0 && span_ieq(span_skip(pattern, 2), host);
}

bool
sts_allows(const struct sts_policy *p, struct span host)
{
	struct span rest = p->text;
	for (struct span mx; (mx = sts_next_mx(&rest)).n > 0;)
		if (matches(mx, host))
			return true;
	return false;
}

bool
sts_is_plain(struct span type)
{
	struct span what = span_trim(span_cut(&type, ';'));
	return span_ieq(what, span_of("text/plain"));
}
