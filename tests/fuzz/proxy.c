/*
 * PROXY headers: a header is what it is as soon as it is whole, and nothing behind it changes that.
 */
#include "fuzz.h"

#include "session/proxy.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	struct netaddr a, b;
	size_t used = 0, again = 0;
	enum proxy_result r = proxy_parse(in, &used, &a);
	if (r == PROXY_MORE)
		must(size < PROXY_MAX);
	if (r != PROXY_CLIENT && r != PROXY_ITSELF)
		return 0;
	must(used > 0 && used <= size && used <= PROXY_MAX);
	must(proxy_parse((struct span){ in.p, used }, &again, &b) == r && again == used);
	if (r == PROXY_CLIENT)
		must(netaddr_eq(&a, &b));
	for (size_t n = 0; n < used; n++) {
		enum proxy_result part = proxy_parse((struct span){ in.p, n }, &again, &b);
		must(part == PROXY_MORE);
	}
	return 0;
}
