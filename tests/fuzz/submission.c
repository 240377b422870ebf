/*
 * A message that a program gives to sendmail -t: whatever it is, what comes out is lines with CRLF,
 * fields that are none that were to be hidden, and addresses that can stand in a command. Split at
 * any place it is the same. The first octet says whether a dot ends it, the second where to split.
 */
#include "fuzz.h"

#include <sysexits.h>

#include "mail/address.h"
#include "submit/fields.h"
#include "submit/recipients.h"
#include "submit/text.h"

static void
collect(void *to, struct span piece)
{
	buf_add(to, piece);
}

static int
add(void *to, const char *name, struct span value)
{
	(void)name;
	return recipients_add(to, value);
}

static struct text
read_text(struct span in, size_t split, bool dots, struct buf *body)
{
	struct text t = text_new(dots);
	split = split < in.n ? split : in.n;
	text_feed(&t, (struct span){ in.p, split });
	text_feed(&t, span_skip(in, split));
	text_end(&t);
	*body = buf_new(1 << 22);
	must(store_read(&t.body, collect, body) == 0 && body->err == 0);
	return t;
}

/* Lines that end in CRLF, and hold neither CR nor LF nor NUL besides. */
static void
check_lines(struct span s)
{
	must(s.n == 0 || (s.n >= 2 && s.p[s.n - 1] == '\n'));
	for (size_t i = 0; i < s.n; i++) {
		must(s.p[i] != '\0');
		must(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
		must(s.p[i] != '\r' || (i + 1 < s.n && s.p[i + 1] == '\n'));
	}
}

static void
check_recipients(struct span header)
{
	static const char aliases[] = "root: \\root, a@b.example\nall: root, x, y\n";
	struct recipients r = recipients_new(span_of(aliases));
	int status = fields_recipients(header, add, &r);
	must(status == EX_OK || r.why.n > 0);
	for (size_t i = 0; i < r.n; i++) {
		char whole[LIMIT_PATH + 20];
		struct address a;
		snprintf(whole, sizeof(whole), "%s%s", r.v[i].address, r.v[i].bare ? "@x" : "");
		must(address_mailbox(span_of(whole), &a) == 0);
		must(strpbrk(whole, "\r\n") == NULL);
	}
	for (size_t i = 0; i < r.why.n; i++)
		must(r.why.p[i] >= ' ' && r.why.p[i] <= '~');
	recipients_free(&r);
}

static void
check_header(struct span header)
{
	const struct fields_origin o = { "d.example", "a@d.example", "A, \"B\"\r\nBcc: x" };
	struct buf out = buf_new(1 << 22);
	fields_write(header, "d.example", &out);
	fields_add_missing(header, &o, &out);
	struct span all = buf_span(&out);
	check_lines(all);
	must(!fields_has(all, "Bcc") && !fields_has(all, "Resent-Bcc"));
	must(fields_has(all, "From") && fields_has(all, "Date") && fields_has(all, "Message-ID"));
	must(all.p[0] != ' ' && all.p[0] != '\t');
	must(memmem(all.p, all.n, "\r\n\r\n", 4) == NULL);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct span in = exact_copy(data + 2, size - 2);
	struct buf body, again;
	struct text t = read_text(in, data[1], data[0] & 1, &body);
	struct text u = read_text(in, in.n, data[0] & 1, &again);
	must(span_eq(buf_span(&t.header), buf_span(&u.header)));
	must(span_eq(buf_span(&body), buf_span(&again)));
	check_lines(buf_span(&t.header));
	check_lines(buf_span(&body));
	check_recipients(buf_span(&t.header));
	check_header(buf_span(&t.header));
	buf_free(&body);
	buf_free(&again);
	text_free(&t);
	text_free(&u);
	free_copy(in);
	return 0;
}
