#include "session/arguments.h"

#include <time.h>

#include "lib/cleanup.h"
#include "mail/xtext.h"

enum {
	SIZE_DIGITS = 20,  /* RFC 1870 section 4 */
	TIME_DIGITS = 9,   /* RFC 2852 section 4, RFC 4865 section 4 */
	ENVID_MAX = 100,   /* RFC 3461 section 4.4 */
	ORCPT_MAX = 500,   /* RFC 3461 section 4.2 */
	AUTH_MAX = 500,    /* RFC 4954 section 5 */
	PRIORITY_MAX = 9,  /* RFC 6710 section 3 */
};

/* The path behind "FROM:" or "TO:"; the parameters are in *rest. */
static int
path_argument(struct span arg, const char *prefix, enum address_kind kind, unsigned offered,
	struct address *out, struct span *rest)
{
	struct span want = span_of(prefix);
	if (!span_istarts(arg, want))
		return -1;
	struct span path = span_trim(span_skip(arg, want.n));
	bool bare = (offered & OFFER_BARE) != 0 && path.n > 0 && path.p[0] != '<';
	if ((bare ? address_bare : address_path)(path, kind, out, rest) < 0)
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

/* Up to `max` digits and nothing else; what does not fit becomes INT64_MAX. */
static bool
digits(struct span s, size_t max, int64_t *out)
{
	int64_t v = s.n <= max ? span_number(s) : -1;
	if (v >= 0)
		*out = v;
	return v >= 0;
}

/* ---- parameters of MAIL ------------------------------------------------------------------- */

/* What the parsers below fill, and what they need for it. */
struct mail_parse {
	struct mail_args *args;
	int64_t now, max_hold;
};

static bool
parse_size(struct span v, struct mail_parse *p)
{
	return digits(v, SIZE_DIGITS, &p->args->size);
}

static bool
parse_body(struct span v, struct mail_parse *p)
{
	return envelope_parse_body(v, &p->args->env.body);
}

static bool
parse_utf8(struct span v, struct mail_parse *p)
{
	return p->args->env.utf8 = v.p == NULL;
}

static bool
parse_require_tls(struct span v, struct mail_parse *p)
{
	return p->args->env.require_tls = v.p == NULL;
}

static bool
parse_ret(struct span v, struct mail_parse *p)
{
	return envelope_parse_ret(v, &p->args->env.ret);
}

static bool
parse_envid(struct span v, struct mail_parse *p)
{
	p->args->env.envid = v;
	return xtext_valid(v, ENVID_MAX);
}

/* Whoever that is, it is an address, or nobody who is known. */
static bool
parse_auth(struct span v, struct mail_parse *p)
{
	auto_buf b = buf_new(AUTH_MAX);
	struct address a;
	p->args->env.auth = v;
	if (!xtext_valid(v, AUTH_MAX))
		return false;
	xtext_decode(&b, v);
	return b.err == 0 && (span_eq(buf_span(&b), span_of("<>")) ||
		address_mailbox(buf_span(&b), &a) == 0);
}

/* BY=seconds;R or ;N, and T for a trace (RFC 2852 section 4). */
static bool
parse_by(struct span v, struct mail_parse *p)
{
	struct envelope *e = &p->args->env;
	const char *semi = v.n > 0 ? memchr(v.p, ';', v.n) : NULL;
	if (semi == NULL)
		return false;
	struct span number = span_from(v.p, semi), mode = span_from(semi + 1, v.p + v.n);
	bool minus = number.n > 0 && number.p[0] == '-';
	bool sign = minus || (number.n > 0 && number.p[0] == '+');
	int64_t seconds = 0;
	if (!digits(span_skip(number, sign), TIME_DIGITS, &seconds))
		return false;
	if (mode.n < 1 || mode.n > 2 || (mode.n == 2 && ascii_lower(mode.p[1]) != 't'))
		return false;
	e->by_mode = ascii_lower(mode.p[0]) == 'r' ? 'R' : 'N';
	e->by_trace = mode.n == 2;
	e->by = p->now + (minus ? -seconds : seconds);
	if (e->by_mode == 'R' && (minus || seconds == 0))
		return false;
	return ascii_lower(mode.p[0]) == 'r' || ascii_lower(mode.p[0]) == 'n';
}

/* A time that has passed means at once: the client's clock is wrong, or it was slow. */
static bool
set_hold(struct mail_parse *p, int64_t until)
{
	p->args->env.hold = until > p->now ? until : 0;
	return until <= p->now + p->max_hold;
}

/* A number of seconds that is not 0, nor has zeros in front. */
static bool
parse_holdfor(struct span v, struct mail_parse *p)
{
	int64_t seconds;
	return v.n > 0 && v.p[0] != '0' && digits(v, TIME_DIGITS, &seconds) &&
		set_hold(p, p->now + seconds);
}

/* Two digits at a place, with what must stand behind them, in lower case. */
static bool
two(struct span v, size_t at, char behind, int *out)
{
	if (at + 2 > v.n ||
		(behind != '\0' && (at + 2 >= v.n || ascii_lower(v.p[at + 2]) != behind)))
		return false;
	int64_t n;
	if (!digits((struct span){ v.p + at, 2 }, 2, &n))
		return false;
	*out = (int)n;
	return true;
}

/* Some days after such a one, as the calendar has it. The month counts from 1. */
static int
day_of_month(const struct tm *tm, int later)
{
	struct tm day = { .tm_year = tm->tm_year, .tm_mon = tm->tm_mon - 1,
		.tm_mday = tm->tm_mday + later };
	(void)timegm(&day); /* makes another day of one that is not in the calendar */
	return day.tm_mday;
}

/* A leap second is the last one of a month (RFC 3339 section 5.7). */
static bool
may_leap(const struct tm *tm)
{
	return tm->tm_hour == 23 && tm->tm_min == 59 && day_of_month(tm, 1) == 1;
}

/* Is there such a time on such a day? */
static bool
is_time(const struct tm *tm)
{
	return tm->tm_mon >= 1 && tm->tm_mon <= 12 && tm->tm_mday >= 1 &&
		day_of_month(tm, 0) == tm->tm_mday && tm->tm_hour <= 23 && tm->tm_min <= 59 &&
		tm->tm_sec <= 59 + may_leap(tm);
}

/* The date-time of RFC 3339 section 5.6 in UTC: 2026-11-24T09:30:00Z. Fractions are dropped. */
static bool
parse_holduntil(struct span v, struct mail_parse *p)
{
	enum { SECONDS_END = 19 };
	struct tm tm = { 0 };
	int century, year;
	if (!two(v, 0, '\0', &century) || !two(v, 2, '-', &year) || !two(v, 5, '-', &tm.tm_mon) ||
		!two(v, 8, 't', &tm.tm_mday) || !two(v, 11, ':', &tm.tm_hour) ||
		!two(v, 14, ':', &tm.tm_min) || !two(v, 17, '\0', &tm.tm_sec))
		return false;
	struct span zone = span_skip(v, SECONDS_END);
	if (zone.n > 1 && zone.p[0] == '.') {
		struct span fraction = span_digits(span_skip(zone, 1));
		if (fraction.n == 0)
			return false;
		zone = span_skip(zone, 1 + fraction.n);
	}
	tm.tm_year = century * 100 + year - 1900;
	if (!span_ieq(zone, span_of("Z")) || !is_time(&tm))
		return false;
	tm.tm_mon--;
	return set_hold(p, (int64_t)timegm(&tm));
}

static bool
parse_priority(struct span v, struct mail_parse *p)
{
	bool minus = v.n > 0 && v.p[0] == '-';
	int64_t n;
	if (!digits(span_skip(v, minus), 1, &n) || n > PRIORITY_MAX || (minus && n == 0))
		return false;
	p->args->env.priority = (int)(minus ? -n : n);
	return true;
}

static const struct parameter {
	const char *keyword;
	bool (*parse)(struct span value, struct mail_parse *p); /* value.p is NULL without "=" */
	unsigned offer; /* 0: to everybody */
	unsigned group; /* one of a group at the most */
} parameters[] = {
	{ "SIZE", parse_size, 0, 1 },                            /* RFC 1870 */
	{ "BODY", parse_body, 0, 2 },                            /* RFC 6152, RFC 3030 */
	{ "SMTPUTF8", parse_utf8, 0, 4 },                        /* RFC 6531 */
	{ "RET", parse_ret, 0, 8 },                              /* RFC 3461 */
	{ "ENVID", parse_envid, 0, 16 },
	{ "BY", parse_by, 0, 32 },                               /* RFC 2852 */
	{ "AUTH", parse_auth, OFFER_AUTH, 64 },                  /* RFC 4954 */
	{ "HOLDFOR", parse_holdfor, OFFER_HOLD, 128 },           /* RFC 4865 */
	{ "HOLDUNTIL", parse_holduntil, OFFER_HOLD, 128 },
	{ "MT-PRIORITY", parse_priority, OFFER_PRIORITY, 256 },  /* RFC 6710 */
	{ "REQUIRETLS", parse_require_tls, OFFER_REQUIRETLS, 512 }, /* RFC 8689 */
};

/* Cuts "keyword" or "keyword=value" in two; false if there is no keyword. */
static bool
split_parameter(struct span word, struct span *key, struct span *value)
{
	const char *eq = memchr(word.p, '=', word.n);
	*key = eq != NULL ? span_from(word.p, eq) : word;
	*value = eq != NULL ? span_from(eq + 1, word.p + word.n) : (struct span){ 0 };
	return is_keyword(*key);
}

static enum reply
mail_parameter(struct span word, unsigned offered, struct mail_parse *p, unsigned *seen)
{
	struct span key, value;
	if (!split_parameter(word, &key, &value))
		return R_MAIL_SYNTAX;
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
		const struct parameter *x = &parameters[i];
		if (!span_ieq(key, span_of(x->keyword)) || (x->offer & ~offered) != 0)
			continue;
		if ((*seen & x->group) != 0 || !x->parse(value, p))
			return R_BAD_PARAMETER;
		*seen |= x->group;
		return R_SENDER_OK;
	}
	return R_UNKNOWN_PARAMETER;
}

enum reply
arguments_mail(struct span arg, unsigned offered, int64_t now, int64_t max_hold,
	struct mail_args *out)
{
	struct mail_args a = { .size = -1 };
	struct mail_parse p = { &a, now, max_hold };
	struct span rest;
	unsigned seen = 0;
	if (path_argument(arg, "FROM:", ADDRESS_REVERSE, offered, &a.sender, &rest) < 0)
		return R_MAIL_SYNTAX;
	for (struct span word; (word = span_word(&rest, " \t")).n > 0;) {
		enum reply r = mail_parameter(word, offered, &p, &seen);
		if (r != R_SENDER_OK)
			return r;
	}
	if (!a.env.utf8 && !span_is_ascii(a.sender.whole))
		return R_NEED_UTF8;
	a.env.sender = a.sender.whole;
	*out = a;
	return R_SENDER_OK;
}

/* ---- other arguments ---------------------------------------------------------------------- */

/* Is it short enough in the form in which it is kept and passed on? */
static bool
fits_encoded(struct span v)
{
	auto_buf b = buf_new(ORCPT_MAX);
	xtext_encode_unitext(&b, v);
	return b.err == 0;
}

static bool
is_atom(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_keyword((struct span){ &s.p[i], 1 }) &&
			(s.p[i] == '\0' || strchr("!#$%&'*+-/=?^_`{|}~", s.p[i]) == NULL))
			return false;
	return s.n > 0;
}

/* "type;text"; the type is an atom (RFC 3461 section 4.2). */
static bool
is_orcpt(struct span v)
{
	const char *semi = v.n > 0 ? memchr(v.p, ';', v.n) : NULL;
	if (semi == NULL)
		return false;
	struct span type = span_from(v.p, semi), text = span_from(semi + 1, v.p + v.n);
	if (span_ieq(type, span_of("utf-8")))
		return xtext_unitext_valid(text) && fits_encoded(v);
	return is_atom(type) && v.n <= ORCPT_MAX && xtext_valid(text, ORCPT_MAX);
}

static enum reply
rcpt_parameter(struct span word, struct terms *t)
{
	struct span key, value;
	if (!split_parameter(word, &key, &value))
		return R_RCPT_SYNTAX;
	if (span_ieq(key, span_of("NOTIFY")))
		return t->notify == 0 && envelope_parse_notify(value, &t->notify) ? R_RCPT_OK
									  : R_BAD_PARAMETER;
	if (span_ieq(key, span_of("ORCPT"))) {
		if (t->orcpt.n > 0 || !is_orcpt(value))
			return R_BAD_PARAMETER;
		t->orcpt = value;
		return R_RCPT_OK;
	}
	return R_UNKNOWN_PARAMETER;
}

enum reply
arguments_rcpt(struct span arg, unsigned offered, bool utf8, struct rcpt_args *out)
{
	struct rcpt_args a = { 0 };
	struct span rest;
	if (path_argument(arg, "TO:", ADDRESS_FORWARD, offered, &a.to, &rest) < 0)
		return R_RCPT_SYNTAX;
	for (struct span word; (word = span_word(&rest, " \t")).n > 0;) {
		enum reply r = rcpt_parameter(word, &a.terms);
		if (r != R_RCPT_OK)
			return r;
	}
	if (!utf8 && !(span_is_ascii(a.to.whole) && span_is_ascii(a.terms.orcpt)))
		return R_NEED_UTF8;
	*out = a;
	return R_RCPT_OK;
}

/* Phones and printers have names like "host.example.", "[2001:db8::1]" and "host:8443". */
static bool
is_word(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	return s.n > 0 && s.n <= LIMIT_DOMAIN;
}

bool
arguments_hello(struct span arg, unsigned offered)
{
	return (offered & OFFER_ANY_NAME) != 0 ? is_word(arg) : address_is_helo(arg);
}

bool
arguments_bdat(struct span arg, int64_t *octets, bool *last)
{
	struct span word = span_word(&arg, " \t");
	if (!digits(word, SIZE_DIGITS, octets) || *octets == INT64_MAX)
		return false;
	word = span_word(&arg, " \t");
	*last = span_ieq(word, span_of("LAST"));
	return (word.n == 0 || *last) && span_trim(arg).n == 0;
}

bool
arguments_vrfy(struct span arg)
{
	static const struct span parameter = { " SMTPUTF8", 9 };
	struct address a;
	struct span rest;
	/* RFC 6531 section 3.7.4.2: the reply holds no address anyway */
	bool utf8 = arg.n > parameter.n &&
		span_ieq(span_skip(arg, arg.n - parameter.n), parameter);
	struct span text = { arg.p, arg.n - (utf8 ? parameter.n : 0) };
	if (text.n == 0 || text.n > LIMIT_PATH)
		return false;
	if (text.p[0] == '<')
		return address_path(text, ADDRESS_FORWARD, &a, &rest) == 0 && rest.n == 0;
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			return false;
	return utf8 ? address_is_utf8(text) : span_is_ascii(text);
}
