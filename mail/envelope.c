#include "mail/envelope.h"

#include <string.h>

#include "mail/xtext.h"

static const char *const body_words[] = { [BODY_UNSAID] = "", [BODY_7BIT] = "7BIT",
	[BODY_8BITMIME] = "8BITMIME", [BODY_BINARYMIME] = "BINARYMIME" };
static const char *const ret_words[] = { [RET_UNSAID] = "", [RET_FULL] = "FULL",
	[RET_HDRS] = "HDRS" };
static const struct {
	unsigned bit;
	const char *word;
} notify_table[] = { { NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" },
	{ NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" } };

enum { NOTIFIES = sizeof(notify_table) / sizeof(notify_table[0]) };

/* ---- words ------------------------------------------------------------------------------- */

const char *
envelope_body_word(enum body b)
{
	return body_words[b];
}

const char *
envelope_ret_word(enum ret r)
{
	return ret_words[r];
}

void
envelope_notify_words(unsigned notify, struct buf *b)
{
	const char *comma = "";
	for (int i = 0; i < NOTIFIES; i++) {
		if ((notify & notify_table[i].bit) == 0)
			continue;
		buf_puts(b, comma);
		buf_puts(b, notify_table[i].word);
		comma = ",";
	}
}

bool
envelope_parse_body(struct span s, enum body *out)
{
	for (int i = BODY_7BIT; i <= BODY_BINARYMIME; i++) {
		if (span_ieq(s, span_of(body_words[i]))) {
			*out = (enum body)i;
			return true;
		}
	}
	return false;
}

bool
envelope_parse_ret(struct span s, enum ret *out)
{
	for (int i = RET_FULL; i <= RET_HDRS; i++) {
		if (span_ieq(s, span_of(ret_words[i]))) {
			*out = (enum ret)i;
			return true;
		}
	}
	return false;
}

/* RFC 3461 section 4.1: NEVER stands alone, the others in any order, each once. */
bool
envelope_parse_notify(struct span s, unsigned *out)
{
	unsigned all = 0;
	for (bool more = true; more;) {
		const char *comma = s.n > 0 ? memchr(s.p, ',', s.n) : NULL;
		struct span word = comma != NULL ? span_from(s.p, comma) : s;
		unsigned bit = 0;
		for (int i = 0; i < NOTIFIES; i++)
			if (span_ieq(word, span_of(notify_table[i].word)))
				bit = notify_table[i].bit;
		if (bit == 0 || (all & bit) != 0)
			return false;
		all |= bit;
		more = comma != NULL;
		s = span_skip(s, word.n + more);
	}
	if ((all & NOTIFY_NEVER) != 0 && all != NOTIFY_NEVER)
		return false;
	*out = all;
	return true;
}

/* ---- lines ------------------------------------------------------------------------------- */

static void
write_text(struct buf *b, const char *name, struct span value)
{
	if (value.n == 0)
		return;
	buf_printf(b, "%s: ", name);
	buf_add(b, value);
	buf_puts(b, "\n");
}

void
envelope_write(struct buf *b, const struct envelope *e)
{
	write_text(b, "Body", span_of(body_words[e->body]));
	if (e->utf8)
		buf_puts(b, "Smtputf8: yes\n");
	if (e->require_tls)
		buf_puts(b, "Require-Tls: yes\n");
	write_text(b, "Ret", span_of(ret_words[e->ret]));
	if (e->whole)
		buf_puts(b, "Whole: yes\n");
	if (e->ours)
		buf_puts(b, "Ours: yes\n");
	if (e->bound)
		buf_puts(b, "Bound: yes\n");
	write_text(b, "Envid", e->envid);
	write_text(b, "Auth", e->auth);
	if (e->by != 0)
		buf_printf(b, "By: %lld %c%s\n", (long long)e->by, e->by_mode,
			e->by_trace ? "T" : "");
	if (e->hold != 0)
		buf_printf(b, "Hold: %lld\n", (long long)e->hold);
	if (e->priority != 0)
		buf_printf(b, "Priority: %d\n", e->priority);
}

void
envelope_write_terms(struct buf *b, const struct terms *t)
{
	if (t->notify != 0) {
		buf_puts(b, "Notify: ");
		envelope_notify_words(t->notify, b);
		buf_puts(b, "\n");
	}
	if (t->orcpt.n == 0)
		return;
	buf_puts(b, "Orcpt: ");
	xtext_encode_unitext(b, t->orcpt);
	buf_puts(b, "\n");
}

static bool
field(struct span line, const char *name, struct span *value)
{
	struct span want = span_of(name);
	if (line.n < want.n + 2 || memcmp(line.p, want.p, want.n) != 0 ||
		memcmp(line.p + want.n, ": ", 2) != 0)
		return false;
	*value = span_skip(line, want.n + 2);
	return true;
}

/* Digits, perhaps with a sign; what follows them is in *rest. */
static bool
integer(struct span s, int64_t *out, struct span *rest)
{
	bool minus = s.n > 0 && s.p[0] == '-';
	struct span digits = span_digits(span_skip(s, minus));
	int64_t v = span_number(digits);
	*rest = span_skip(s, minus + digits.n);
	*out = minus ? -v : v;
	return v >= 0;
}

static bool
read_by(struct span v, struct envelope *e)
{
	struct span rest;
	if (!integer(v, &e->by, &rest) || rest.n < 2 || rest.n > 3 || rest.p[0] != ' ')
		return false;
	e->by_mode = rest.p[1];
	e->by_trace = rest.n == 3 && rest.p[2] == 'T';
	return (e->by_mode == 'R' || e->by_mode == 'N') && (rest.n == 2 || e->by_trace);
}

static bool
read_priority(struct span v, struct envelope *e)
{
	int64_t n;
	struct span rest;
	if (!integer(v, &n, &rest) || rest.n > 0 || n < -9 || n > 9)
		return false;
	e->priority = (int)n;
	return true;
}

bool
envelope_read(struct span line, struct envelope *e)
{
	struct span v, rest;
	if (field(line, "Body", &v))
		return envelope_parse_body(v, &e->body);
	if (field(line, "Smtputf8", &v))
		return e->utf8 = span_eq(v, span_of("yes"));
	if (field(line, "Require-Tls", &v))
		return e->require_tls = span_eq(v, span_of("yes"));
	if (field(line, "Ret", &v))
		return envelope_parse_ret(v, &e->ret);
	if (field(line, "Whole", &v))
		return e->whole = span_eq(v, span_of("yes"));
	if (field(line, "Ours", &v))
		return e->ours = span_eq(v, span_of("yes"));
	if (field(line, "Bound", &v))
		return e->bound = span_eq(v, span_of("yes"));
	if (field(line, "Envid", &e->envid) || field(line, "Auth", &e->auth))
		return true;
	if (field(line, "By", &v))
		return read_by(v, e);
	if (field(line, "Hold", &v))
		return integer(v, &e->hold, &rest) && rest.n == 0;
	return field(line, "Priority", &v) && read_priority(v, e);
}

bool
envelope_read_terms(struct span line, struct terms *t)
{
	struct span v;
	if (field(line, "Notify", &v))
		return envelope_parse_notify(v, &t->notify);
	return field(line, "Orcpt", &t->orcpt);
}

void
envelope_decode(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		int high = s.p[i] == '+' && i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1;
		int low = high >= 0 ? ascii_hex(s.p[i + 2]) : -1;
		char c = low >= 0 ? (char)(high * 16 + low) : s.p[i];
		/* Printable like all that arguments.c lets in; the rest is a crafted file's. */
		if (c == '\\')
			buf_puts(b, "\\");
		else
			buf_escape(b, (struct span){ &c, 1 }, 1);
		i += low >= 0 ? 2 : 0;
	}
}
