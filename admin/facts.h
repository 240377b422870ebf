/*
 * facts: what is known of the way that mail to an address takes, as JSON, from which `explain`
 * makes its text, too. Nothing here connects to a host, and nothing is written.
 */
#ifndef POSTERN_FACTS_H
#define POSTERN_FACTS_H

#include <jansson.h>

#include "conf/conf.h"
#include "delivery/hosts.h"
#include "delivery/stscache.h"
#include "dns.h"
#include "mail/lane_name.h"
#include "queue/spool.h"

/* Whose mail to whom, and what was opened to find out. */
struct facts {
	const struct conf *conf;
	const struct conf_origins *from;
	const struct spool *spool;     /* lanes -1: it may not be read, */
	bool empty;                    /* ... or there is none yet */
	const struct hosts *hosts;     /* its dir -1: the same */
	const struct stscache *policies; /* the same */
	struct resolver *resolver;
	struct span sender, domain;    /* of the sender an address, or nothing */
	char lane[LANE_NAME_SIZE];
	struct conf_delivery delivery; /* by which mail of this lane goes */
};

/*
 * Finds the lane of mail from `sender` to `domain`, and what is in force for it. 0, or -EINVAL: it
 * is no domain.
 */
int facts_begin(struct facts *f, struct span sender, struct span domain);

/*
 * Each of these sets fields of *o:
 *	route     "lane", "route": null or name, file, line, domains, senders
 *	queue     "waiting", "backoff": null or attempts, next, reason; "schedule", "expire"
 *	dns       "nameservers", "dns": what was asked and found
 *	hosts     "outcome", "why", "hosts" in the order to try, "left_out", "mta_sts": null or
 *	          record, why, mode, id, fetched, max_age, mx, in_force, tried, given_up; the hosts
 *	          are in *x, which is to be freed
 *	policy    "tls", "login"
 */
void facts_route(const struct facts *f, json_t *o);
void facts_queue(const struct facts *f, json_t *o);
void facts_dns(const struct facts *f, json_t *o);
void facts_hosts(const struct facts *f, json_t *o, struct exchangers *x);
void facts_policy(const struct facts *f, json_t *o);

#endif
