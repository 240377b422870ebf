/*
 * Addresses: what is accepted lies inside the input, holds no control character, and is accepted
 * again.
 */
#include "fuzz.h"

#include "mail/address.h"
#include "mail/lane_name.h"

static void
check_path(struct span in, enum address_kind kind)
{
	struct address a, again;
	struct span rest;
	if (address_path(in, kind, &a, &rest) < 0)
		return;
	must(inside(in, a.whole) && inside(in, a.local) && inside(in, a.domain));
	must(rest.p + rest.n == in.p + in.n && rest.n < in.n && rest.p[-1] == '>');
	must(a.whole.n <= LIMIT_PATH - 2 && a.domain.n <= LIMIT_DOMAIN);
	for (size_t i = 0; i < a.whole.n; i++)
		must((unsigned char)a.whole.p[i] >= ' ' && a.whole.p[i] != 0x7f); /* D6, D26 */
	if (a.domain.n == 0) {
		must(kind == ADDRESS_REVERSE ? a.whole.n == 0 : a.whole.n == 10);
		return;
	}
	must(a.whole.n == a.local.n + 1 + a.domain.n);
	must(address_mailbox(a.whole, &again) == 0);
	must(span_eq(again.domain, a.domain) && span_eq(again.local, a.local));
	char lane[LANE_NAME_SIZE];
	int r = lane_name_of(a.domain, lane);
	must(r == 0 || !span_is_ascii(a.domain)); /* not every text makes A-labels */
	must(r < 0 || lane_name_valid(span_of(lane)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	struct address a;
	check_path(in, ADDRESS_FORWARD);
	check_path(in, ADDRESS_REVERSE);
	if (address_mailbox(in, &a) == 0)
		must(span_eq(a.whole, in));
	struct span rest;
	if (address_bare(in, ADDRESS_FORWARD, &a, &rest) == 0)
		must(a.whole.p == in.p && rest.p == in.p + a.whole.n && inside(in, a.domain));
	(void)address_is_helo(in);
	return 0;
}
