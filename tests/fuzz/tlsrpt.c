/*
 * Reports on TLS: what a domain says of whom it wants them sent to, and what was noted of sessions.
 * Whatever they hold, a place is one that mail, or a request, can go to, and a line is a line.
 */
#include "fuzz.h"

#include "mail/address.h"
#include "report/tlsrpt.h"
#include "tlsreport/rua.h"

static void
check_place(const struct rua_place *p)
{
	struct address a;
	struct span text = span_of(p->text);
	must(text.n > 0 && text.n <= RUA_URL && span_is_ascii(text));
	for (size_t i = 0; i < text.n; i++)
		must(text.p[i] > ' ' || (p->kind == RUA_MAIL && text.p[i] == ' ')); /* in quotes */
	if (p->kind == RUA_MAIL)
		must(address_mailbox(text, &a) == 0 && a.domain.n > 0);
	else
		must(span_istarts(text, span_of("https://")) && text.n > 8);
}

static void
check_record(struct span s)
{
	struct rua r;
	const char *why = NULL;
	must(rua_parse(s, &r, &why) == (r.n > 0) && why != NULL);
	must(r.n >= 0 && r.n <= RUA_PLACES);
	for (int i = 0; i < r.n; i++)
		check_place(&r.v[i]);
}

static void
check_lines(struct span s)
{
	struct span rest = s, policy = tlsrpt_policy_of(s);
	struct tlsrpt_line line;
	must(inside(s, policy));
	while (tlsrpt_next(&rest, &line)) {
		must(inside(s, line.value) && line.value.n > 0 && line.field < TLSRPT_FIELDS);
		must(memchr(line.value.p, '\n', line.value.n) == NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span s = exact_copy(data, size);
	check_record(s);
	check_lines(s);
	free_copy(s);
	return 0;
}
