#include "command.h"

enum { SIZE_DIGITS = 20 }; /* RFC 1870 section 4 */

/* Cuts the next blank-separated word off *s. */
static struct span
next_word(struct span *s)
{
	*s = span_trim(*s);
	size_t n = 0;
	while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
		n++;
	struct span word = { s->p, n };
	*s = span_skip(*s, n);
	return word;
}

/* The path behind "FROM:" or "TO:"; the parameters are in *rest. */
static int
path_argument(struct span arg, const char *prefix, enum address_kind kind, struct address *out,
	struct span *rest)
{
	struct span want = span_of(prefix);
	if (!span_istarts(arg, want))
		return -1;
	if (address_path(span_trim(span_skip(arg, want.n)), kind, out, rest) < 0)
		return -1;
	return rest->n == 0 || rest->p[0] == ' ' || rest->p[0] == '\t' ? 0 : -1;
}

/* esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static bool
is_keyword(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);
		bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!alnum && (c != '-' || i == 0))
			return false;
	}
	return s.n > 0;
}

static bool
parse_size(struct span s, int64_t *out)
{
	int64_t v = 0;
	if (s.n == 0 || s.n > SIZE_DIGITS)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		int digit = s.p[i] - '0';
		v = v > (INT64_MAX - digit) / 10 ? INT64_MAX : v * 10 + digit;
	}
	*out = v;
	return true;
}

static enum reply
mail_parameter(struct span word, struct mail_args *a, bool *have_body)
{
	const char *eq = memchr(word.p, '=', word.n);
	struct span key = eq != NULL ? span_from(word.p, eq) : word;
	struct span value = eq != NULL ? span_from(eq + 1, word.p + word.n) : (struct span){ 0 };
	if (!is_keyword(key))
		return R_MAIL_SYNTAX;
	if (span_ieq(key, span_of("SIZE")))
		return a->size < 0 && parse_size(value, &a->size) ? R_SENDER_OK : R_BAD_PARAMETER;
	if (span_ieq(key, span_of("BODY"))) {
		a->eightbit = span_ieq(value, span_of("8BITMIME"));
		if (*have_body || (!a->eightbit && !span_ieq(value, span_of("7BIT"))))
			return R_BAD_PARAMETER;
		*have_body = true;
		return R_SENDER_OK;
	}
	return R_UNKNOWN_PARAMETER;
}

enum reply
command_mail(struct span arg, struct mail_args *out)
{
	struct mail_args a = { .size = -1 };
	struct span rest;
	bool have_body = false;
	if (path_argument(arg, "FROM:", ADDRESS_REVERSE, &a.sender, &rest) < 0)
		return R_MAIL_SYNTAX;
	for (struct span word; (word = next_word(&rest)).n > 0;) {
		enum reply r = mail_parameter(word, &a, &have_body);
		if (r != R_SENDER_OK)
			return r;
	}
	*out = a;
	return R_SENDER_OK;
}

enum reply
command_rcpt(struct span arg, struct address *out)
{
	struct address a;
	struct span rest;
	if (path_argument(arg, "TO:", ADDRESS_FORWARD, &a, &rest) < 0)
		return R_RCPT_SYNTAX;
	struct span word = next_word(&rest);
	if (word.n > 0) {
		const char *eq = memchr(word.p, '=', word.n);
		struct span key = eq != NULL ? span_from(word.p, eq) : word;
		return is_keyword(key) ? R_UNKNOWN_PARAMETER : R_RCPT_SYNTAX;
	}
	*out = a;
	return R_RCPT_OK;
}

bool
command_vrfy(struct span arg)
{
	struct address a;
	struct span rest;
	if (arg.n == 0 || arg.n > LIMIT_PATH)
		return false;
	if (arg.p[0] == '<')
		return address_path(arg, ADDRESS_FORWARD, &a, &rest) == 0 && rest.n == 0;
	for (size_t i = 0; i < arg.n; i++)
		if (arg.p[i] < 0x20 || arg.p[i] > 0x7e) /* 8-bit is negative */
			return false;
	return true;
}
