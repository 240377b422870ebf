#include "sending/refusal.h"

enum {
	AUTH_FIRST = 530, /* or TLS first (RFC 3207 section 4, RFC 4954 section 6) */
	NO_SUCH_NOW = 455, /* parameters that it cannot heed now (RFC 5321 section 4.1.1.11) */
	TAKES_NO_MAIL = 521, /* from anybody (RFC 7504) */
	REFUSED = 400, /* from this on */
	CODE_TEXT = 4, /* where the text of a reply begins */
};

/* The middle and last number of an enhanced code (RFC 3463); -1: the reply has none. */
struct enhanced {
	int64_t subject, detail;
};

enum { ADDRESS = 1, MAILBOX = 2, SYSTEM = 3, NETWORK = 4, PROTOCOL = 5, CONTENT = 6, SECURITY = 7 };
/* Details of NETWORK, ADDRESS and PROTOCOL. */
enum { CONGESTION = 5, SHARE_OF_DAY = 90, MANY_RECIPIENTS = 3 };
/* Those of SECURITY that are about DKIM, SPF and DMARC, */
enum { AUTHOR = 20, AUTHOR_LAST = 28, AUTHOR_LEVEL = 515 };
/* and by which Exchange online shuts addresses, and accounts, out. */
enum { BANNED = 606, BANNED_LAST = 649, TENANT = 700, TENANT_LAST = 750 };

/* ---- what a reply says ----------------------------------------------------------------------- */

/* The number that stands at the beginning of *s is taken from it. */
static bool
take_number(struct span *s, int64_t *out)
{
	struct span digits = span_digits(*s);
	*out = span_number(digits);
	*s = span_skip(*s, digits.n);
	return digits.n > 0;
}

static bool
take_dot(struct span *s)
{
	bool dot = s->n > 0 && s->p[0] == '.';
	*s = span_skip(*s, dot);
	return dot;
}

static struct enhanced
enhanced_of(const struct link *l)
{
	const struct enhanced none = { -1, -1 };
	struct enhanced e = none;
	struct span s = buf_span(&l->text);
	int64_t class = 0;
	if (l->code == 0 || s.n <= CODE_TEXT)
		return none;
	s = span_skip(s, CODE_TEXT);
	bool ok = take_number(&s, &class) && class == l->code / 100 && take_dot(&s) &&
		take_number(&s, &e.subject) && take_dot(&s) && take_number(&s, &e.detail);
	return ok ? e : none;
}

static bool
is_one_of(int64_t n, const int *list, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (n == list[i])
			return true;
	return false;
}

#define IS_ONE_OF(n, list) is_one_of(n, list, sizeof(list) / sizeof((list)[0]))

/* Does it ask for TLS (RFC 5248: 523, 538; X.7.10, X.7.11; X.7.29 is Gmail's)? */
static bool
asks_for_tls(int code, struct enhanced e)
{
	static const int codes[] = { AUTH_FIRST, 523, 538 }, details[] = { 10, 11, 29 };
	return IS_ONE_OF(code, codes) || (e.subject == SECURITY && IS_ONE_OF(e.detail, details));
}

static bool
has_word(const struct link *l, const char *word)
{
	struct span s = buf_span(&l->text);
	for (; s.n > 0; s = span_skip(s, 1))
		if (span_istarts(s, span_of(word)))
			return true;
	return false;
}

static bool
has_any(const struct link *l, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (has_word(l, words[i]))
			return true;
	return false;
}

#define HAS_ANY(l, words) has_any(l, words, sizeof(words) / sizeof((words)[0]))

/*
 * Is it about an address or a mailbox? Hosts of before EHLO have no enhanced codes, and say so by
 * words: "No such user here" is that of RFC 5321 (appendix D), the others are those of old MTAs.
 */
static bool
names_mailbox(const struct link *l, struct enhanced e)
{
	static const int codes[] = { 550, 551, 553 };
	static const char *const words[] = { "no such ", "no mailbox", "user unknown",
		"unknown user", "recipient unknown", "unknown recipient", "not exist" };
	if (e.subject < 0 && IS_ONE_OF(l->code, codes))
		return HAS_ANY(l, words);
	return e.subject == ADDRESS || e.subject == MAILBOX;
}

/*
 * Is it about who we are, whether we proved it, or what this account may send, if anything? X.7.25
 * is about the name of our address. Exchange says X.7.57 and X.7.60, its online service the others
 * from there on, Gmail X.4.5 and Exchange online X.1.90 when an account has had its share of the
 * day.
 */
static bool
asks_who_we_are(int code, struct enhanced e)
{
	static const int codes[] = { CODE_OUT_OF_ORDER, TAKES_NO_MAIL, 525, 534, 535 };
	static const int details[] = { 8, 9, 12, 13, 14, 25, 57, 60, 64, 68, 232, 233, 236, 501,
		502, 503, 508, 511 };
	bool banned = (e.detail >= BANNED && e.detail <= BANNED_LAST) ||
		(e.detail >= TENANT && e.detail <= TENANT_LAST);
	return IS_ONE_OF(code, codes) ||
		(e.subject == SECURITY && (banned || IS_ONE_OF(e.detail, details))) ||
		(e.subject == NETWORK && e.detail == CONGESTION) ||
		(e.subject == ADDRESS && e.detail == SHARE_OF_DAY);
}

/*
 * Our own smarthost takes us for a stranger, or not for somebody who may send so. Mostly no code
 * says it, but these words are everybody's: "Relay access denied", "Unable to relay", "SMTP AUTH is
 * required", "not logged in", "Client host rejected", "Helo command rejected", qmail's list of
 * rcpthosts, and what those say who let an account send by its own addresses alone, or so much in
 * an hour. (Postfix, Exim, Exchange, Amazon, SendGrid, Postmark, Fastmail, iCloud, GMX, Mail.ru,
 * NetEase, Tencent, cPanel.)
 */
static bool
takes_us_for_another(const struct link *l)
{
	static const char *const words[] = { "relay", "rcpthosts", "client host", "auth required",
		"auth is required", "logged in", "not owned by", "not one of your addresses",
		"address is not verified", "verified sender", "helo ", "ehlo ", "your ip",
		"blocked using", "your account", "smtp account", "pop before",
		"permissions to send", "authorized user", "authorization user",
		"authorized to send from", "authorised to send from", "authorized to perform",
		"sender signature", "sender address is not allowed", "local sender",
		"emails per hour", "outgoing mail" };
	return l->code != 0 && HAS_ANY(l, words);
}

/*
 * Is the proof of who the author is meant, which a message carries or his domain gives? X.7.20 to
 * X.7.28 (RFC 7372, RFC 8616) are about that, and X.7.515 is Exchange online's.
 */
static bool
is_about_author(const struct link *l, struct enhanced e)
{
	static const char *const words[] = { "dkim", "spf", "dmarc", "authentication check",
		"authentication information" };
	bool code = (e.detail >= AUTHOR && e.detail <= AUTHOR_LAST) || e.detail == AUTHOR_LEVEL;
	return (e.subject == SECURITY && code) || HAS_ANY(l, words);
}

/*
 * Does it want a login, however it calls that ("SMTP Authentication", "Unauthenticated senders"),
 * or know no such command from a client without one? To no command that we use is that a word about
 * the mail.
 */
static bool
wants_login(const struct link *l, struct enhanced e)
{
	bool no_command = l->code == CODE_UNKNOWN || l->code == CODE_NOT_IMPLEMENTED;
	bool named = l->code != 0 && has_word(l, "authenticat");
	return no_command || (named && !is_about_author(l, e));
}

/* Does it take no mail, or is it set up wrongly? */
static bool
is_out_of_service(struct enhanced e)
{
	static const int details[] = { 2, 5 };
	return e.subject == SYSTEM && IS_ONE_OF(e.detail, details);
}

/* Is our account shut, though the code is that of an address or a mailbox? (Exchange, Zoho.) */
static bool
names_account(const struct link *l)
{
	static const char *const words[] = { "sendasdenied", "outbound sender",
		"outgoing blocked" };
	return l->code != 0 && HAS_ANY(l, words);
}

bool
refusal_counts_recipients(const struct link *l)
{
	static const char *const words[] = { "too many recipients", "too many rcpt",
		"number of recipients" };
	struct enhanced e = enhanced_of(l);
	return l->code >= REFUSED &&
		((e.subject == PROTOCOL && e.detail == MANY_RECIPIENTS) || HAS_ANY(l, words));
}

bool
refusal_names_connection(const struct link *l)
{
	static const char *const places[] = { "session", "connection" };
	static const char *const counts[] = { "too many messages", "too many mails",
		"too many emails", "too many transactions" };
	/* How much a time may bring is the same for each connection. */
	static const char *const times[] = { "per hour", "per minute", "per day", "hourly",
		"daily" };
	if (l->code < REFUSED || l->code == CODE_GOODBYE)
		return false;
	if (HAS_ANY(l, places) && !names_mailbox(l, enhanced_of(l)))
		return true;
	return HAS_ANY(l, counts) && !HAS_ANY(l, times);
}

/* Is it about how an address is written? */
static bool
is_about_syntax(struct enhanced e)
{
	static const int details[] = { 3, 7 };
	return e.subject == ADDRESS && IS_ONE_OF(e.detail, details);
}

/*
 * Does it leave open that a parameter was what the host did not take? Who does not expect one may
 * take it for a part of the address, and say so by the codes that addresses have.
 */
static bool
is_about_words(int code, struct enhanced e)
{
	static const int codes[] = { NO_SUCH_NOW, 500, 501, 502, 504, 555 }, details[] = { 2, 4 };
	static const int of_address[] = { 550, 553 };
	bool usual = IS_ONE_OF(code, codes);
	if (e.subject == ADDRESS || e.subject == MAILBOX)
		return (usual || IS_ONE_OF(code, of_address)) && is_about_syntax(e);
	return usual || (e.subject == PROTOCOL && IS_ONE_OF(e.detail, details));
}

/* Is it about the kind of text, which BODY announces? */
static bool
is_about_body(struct enhanced e)
{
	static const int details[] = { 1, 3 };
	return e.subject == CONTENT && IS_ONE_OF(e.detail, details);
}

/* ---- what follows from it -------------------------------------------------------------------- */

/*
 * Is this connection poorer than the host offered, or the policy wants, by a choice of ours? That
 * it goes without BDAT is a reason of ours alone not to send, and none of the host's to refuse.
 */
static bool
is_fallback(const struct link *l)
{
	bool ours = l->code == 0 && (l->terms.avoided & CAN_BDAT) != 0;
	return ours || l->terms.clear || l->terms.nameless || l->host.helo ||
		(l->flow.dropped | l->terms.fewer) != 0;
}

bool
refusal_misses_tls(const struct link *l)
{
	bool could_be = l->terms.clear || l->terms.policy == DELIVERY_TLS_MAY;
	return l->proof.tls == NULL && could_be && l->code >= REFUSED &&
		asks_for_tls(l->code, enhanced_of(l));
}

unsigned
refusal_about(const struct link *l)
{
	struct enhanced e = enhanced_of(l);
	bool address = names_mailbox(l, e);
	unsigned about = REFUSAL_MAIL;
	if ((is_fallback(l) && !address) || refusal_misses_tls(l))
		about |= REFUSAL_FALLBACK;
	if (l->terms.own && (asks_for_tls(l->code, e) || asks_who_we_are(l->code, e) ||
			is_out_of_service(e) || names_account(l) ||
			(!address && (takes_us_for_another(l) || wants_login(l, e)))))
		about |= REFUSAL_US;
	return about;
}

/* Those of the words without which the host gets the same text, and the sender nothing worse. */
static unsigned
spare(const struct text *t, unsigned words)
{
	unsigned all = CAN_SIZE | CAN_DSN | CAN_PRIORITY;
	if (t->m->env.by_mode != 'R')
		all |= CAN_DELIVERBY;
	if (!t->m->eightbit && !t->binary)
		all |= CAN_8BITMIME;
	return words & all;
}

bool
refusal_drops_words(struct link *l, const struct text *t, unsigned words)
{
	struct enhanced e = enhanced_of(l);
	bool refused = l->code >= REFUSED && l->code != CODE_GOODBYE;
	bool any = is_about_words(l->code, e);
	if (!refused || (!any && !is_about_body(e)))
		return false;
	unsigned drop = any ? spare(t, words) : 0;
	if (drop == 0) /* then the form of the text that has to be announced */
		drop = words & (CAN_8BITMIME | CAN_BINARYMIME);
	if (drop == 0) { /* refused without them too: it was not about the words */
		l->host.can |= l->flow.dropped;
		l->flow.dropped = l->terms.fewer = 0;
		return false;
	}
	l->host.can &= ~drop;
	l->flow.dropped |= drop;
	return true;
}
