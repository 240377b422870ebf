#include "report/diagnosis.h"

enum { CODE_DIGITS = 3, STATUS_MAX = sizeof("5.999.999") - 1 };

/* "host[address]:port: " in front. */
static void
split_host(struct span text, struct diagnosis *out)
{
	const char *close = text.n > 0 ? memmem(text.p, text.n, "]:", 2) : NULL;
	out->words = text;
	if (close == NULL)
		return;
	struct span before = span_from(text.p, close);
	struct span after = span_from(close + 2, text.p + text.n);
	const char *open = memrchr(before.p, '[', before.n);
	size_t port = span_digits(after).n;
	if (open == NULL || open == text.p || memchr(before.p, ' ', before.n) != NULL ||
		port == 0 || after.n < port + 2 || memcmp(after.p + port, ": ", 2) != 0)
		return;
	out->host = span_from(text.p, open);
	out->words = span_skip(after, port + 2);
}

/* The code at the start of s, "x.y.z" with up to three digits in each; empty: none. */
static struct span
status_at(struct span s, char class)
{
	size_t n = 1;
	if (s.n == 0 || s.p[0] != class)
		return (struct span){ 0 };
	for (int i = 0; i < 2; i++) {
		if (n == s.n || s.p[n] != '.')
			return (struct span){ 0 };
		size_t more = span_digits(span_skip(s, n + 1)).n;
		if (more == 0)
			return (struct span){ 0 };
		n += 1 + more;
	}
	bool goes_on = n < s.n && s.p[n] == '.';
	return n > STATUS_MAX || goes_on ? (struct span){ 0 } : (struct span){ s.p, n };
}

void
diagnosis_parse(struct span text, char class, struct diagnosis *out)
{
	*out = (struct diagnosis){ 0 };
	split_host(text, out);
	struct span w = out->words;
	out->reply = out->host.n > 0 && span_digits(w).n == CODE_DIGITS;
	for (size_t i = 1; i < w.n && out->status.n == 0; i++)
		if (w.p[i - 1] == ' ' || w.p[i - 1] == '-')
			out->status = status_at(span_skip(w, i), class);
}

/* By the whole code, or by its beginning where it ends in a dot; the first one that fits. */
static const struct {
	const char *status, *advice;
} table[] = {
	{ "5.1.1", "There is no such mailbox. Look for a mistake in the address." },
	{ "5.1.2", "The part of the address behind the @ does not exist, or takes no mail. Look for a\r\n"
		   "    mistake in it." },
	{ "5.1.10", "The domain takes no mail at all. Ask the recipient for another address." },
	{ "5.2.1", "The mailbox is closed. Ask the recipient for another address." },
	{ "5.2.2", "The mailbox is full. Tell the recipient in another way, and send the message again\r\n"
		   "    later." },
	{ "5.3.4", "The message is too large. Make it smaller, or share large files in another way." },
	{ "5.4.6", "The mail would run in a circle. The recipient's postmaster has to mend that." },
	{ "5.4.7", "It was tried for as long as it may be. If it is still of use, send it again; if that\r\n"
		   "    fails too, tell the recipient in another way." },
	{ "5.6.7", "The server cannot take addresses or headers of this kind. Ask the recipient for an\r\n"
		   "    address in plain letters." },
	{ "5.6.", "The server cannot take a text of this kind. Send it in another form." },
	{ "5.7.10", "It may be sent encrypted only, and that could not be had. The recipient's\r\n"
		    "    postmaster has to mend that, unless you can do without." },
	{ "5.7.30", "You asked for encryption all the way (REQUIRETLS), and no server there promises\r\n"
		    "    it. Send the message without that wish, or in another way." },
	{ "5.7.", "The server does not accept this message, for reasons of its own. What it said may\r\n"
		  "    tell why; if not, the recipient's postmaster can." },
	{ "", "What you can do depends on the answer below; the recipient's postmaster may help." },
};

const char *
diagnosis_advice(struct span status)
{
	for (size_t i = 0;; i++) { /* the last row fits always */
		struct span row = span_of(table[i].status);
		bool group = row.n == 0 || row.p[row.n - 1] == '.';
		if (group ? span_istarts(status, row) : span_eq(status, row))
			return table[i].advice;
	}
}
