#include "dns/hosts_file.h"

#include <stdlib.h>

#include "dns/name.h"
#include "lib/file.h"
#include "lib/span.h"

static bool
is_one_of(struct span names, struct span name)
{
	for (struct span word; (word = span_word(&names, " \t\r")).n > 0;)
		if (span_ieq(word, name))
			return true;
	return false;
}

/* "address name ...  # comment"; an address of a scope leads to no exchanger. */
static bool
take_line(struct span line, const char *host, enum family family, struct netaddr *a)
{
	line = span_cut(&line, '#');
	struct span address = span_word(&line, " \t\r");
	if (netaddr_parse(address, a) < 0 || !is_one_of(line, span_of(host)))
		return false;
	return family != (netaddr_is_v4(a) ? FAMILY_IPV6 : FAMILY_IPV4);
}

enum answer
hosts_file_find(FILE *f, const char *host, enum family family, struct exchangers *out)
{
	dnsc_t dn[DNS_MAXDN];
	char name[LIMIT_DOMAIN + 1];
	struct netaddr a;
	char *line = NULL;
	size_t size = 0;
	if (dns_ptodn(host, 0, dn, sizeof(dn), NULL) <= 0)
		return ANSWER_NO_NAME;
	name_write(dn, name);
	flockfile(f); /* one reads it at a time, for it is at one place */
	file_begin(f);
	for (ssize_t n; (n = getline(&line, &size, f)) >= 0;) {
		struct span s = { line, (size_t)n };
		if (s.n > 0 && s.p[s.n - 1] == '\n')
			s.n--;
		if (take_line(s, host, family, &a) && exchangers_make_room(out, 1))
			exchangers_add(out, 0, name, &a);
	}
	funlockfile(f);
	free(line);
	return out->n > 0 ? ANSWER_FOUND : ANSWER_NO_NAME;
}
