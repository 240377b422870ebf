/*
 * MTA-STS: a TXT record, or all of them, and the text of a policy. What is taken is what the
 * grammar says, and the same text read again is the same policy.
 */
#include "fuzz.h"

#include "mail/address.h"
#include "mail/sts.h"

static void
check_record(struct span in)
{
	char id[STS_ID + 1];
	if (!sts_record(in, id))
		return;
	size_t n = strlen(id);
	must(n > 0 && n <= STS_ID);
	for (size_t i = 0; i < n; i++)
		must(ascii_digit(id[i]) || (ascii_lower(id[i]) >= 'a' && ascii_lower(id[i]) <= 'z'));
	must(memmem(in.p, in.n, "v=STSv1", 7) != NULL && memmem(in.p, in.n, id, n) != NULL);
}

/* A wildcard matches one label more than it has, whatever stands there. */
static void
check_pattern(const struct sts_policy *p, struct span mx)
{
	char host[LIMIT_DOMAIN + 8];
	bool any = mx.p[0] == '*';
	struct span name = any ? span_skip(mx, 1) : mx;
	must(address_is_domain(any ? span_skip(mx, 2) : mx));
	must(name.n < sizeof(host) - 4);
	memcpy(host, "mx1", 3);
	memcpy(host + 3, name.p, name.n);
	must(sts_allows(p, any ? (struct span){ host, name.n + 3 } : name));
}

static void
check_policy(struct span in)
{
	struct sts_policy p;
	if (sts_policy(in, &p) != NULL)
		return;
	must(p.max_age >= 0 && p.max_age <= STS_MAX_AGE && in.n <= STS_TEXT);
	size_t n = 0;
	struct span rest = p.text;
	for (struct span mx; (mx = sts_next_mx(&rest)).n > 0; n++) {
		must(inside(in, mx));
		if (n < 100) /* or it would take squares of time */
			check_pattern(&p, mx);
	}
	must(n > 0 || p.mode == STS_NONE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = exact_copy(data, size);
	check_record(in);
	check_policy(in);
	(void)sts_is_plain(in);
	free_copy(in);
	return 0;
}
