#include "admin/asking.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/cleanup.h"
#include "process/sandbox.h"

struct resolver *
asking_begin(struct admin *a, struct buf *why)
{
	auto_buf doubt = buf_new(LIMIT_COMMAND);
	(void)conf_find_nameservers(&a->conf, &a->from, &doubt);
	const struct conf_servers *servers = &a->conf.relay.nameserver;
	struct resolver *r = resolver_open(servers->v, servers->n, a->conf.who.hostname);
	if (r == NULL) {
		buf_printf(why, "cannot open a resolver: %s", strerror(errno));
		return NULL;
	}
	if (servers->tcp)
		resolver_use_tcp(r);
	resolver_use_hosts(r, HOSTS_FILE);
	resolver_trust(r, &a->conf.relay.dnssec_trusted);
	tzset(); /* reads a file */
	int err = sandbox_enter(SANDBOX_RELAY, NULL, -1);
	if (err >= 0)
		return r;
	buf_printf(why, "cannot lock myself in: %s", strerror(-err));
	resolver_close(r);
	return NULL;
}
