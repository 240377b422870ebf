/*
 * question: questions to nameservers, out at the same time, and their answers as packets.
 *
 * udns sends the questions, waits, and repeats them; what comes back is read here, from the raw
 * packet, in one place for UDP and TCP, with udns' own packet parser. Whatever is odd is trouble,
 * never a "no".
 */
#ifndef POSTERN_QUESTION_H
#define POSTERN_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <udns.h>

enum {
	RECORDS_MAX = 2000, /* looked at in one answer (G5) */
	LINKS_MAX = 8,      /* of a CNAME chain (G2, G17) */
};

struct resolver {
	struct sockaddr_storage server[DNS_MAXSERV];
	int servers;
	dnsc_t own[DNS_MAXDN]; /* our name; the root if it cannot be one of the DNS */
};

/* What became of a question. */
enum found { FOUND_RECORDS, FOUND_NOTHING, FOUND_NO_NAME, FOUND_TROUBLE };

struct question {
	dnsc_t name[DNS_MAXDN]; /* asked for now; changes along a CNAME chain */
	enum dns_type type;
	int links;              /* CNAMEs followed */
	bool open;              /* no result yet */
	bool truncated;
	struct sockaddr_storage truncator; /* who said so, as udns knows it */
	int rcode;              /* last one seen by the debug hook, -1: none */
	dnsc_t *packet;         /* owned; the answer, when found == FOUND_RECORDS */
	int length;
	enum found found;
	const char *trouble;
};

void question_set(struct question *q, dnscc_t *name, enum dns_type type);

/* Asks all n, until each has a result or the deadline (clock.h) has come, which is trouble too. */
void question_ask(struct resolver *r, struct question *v, size_t n, int64_t deadline);

/* What stands behind the name of the question, or NULL. (udns' dns_skipdn fails on good names.) */
dnscc_t *question_behind_name(dnscc_t *pkt, dnscc_t *end);

/* Calls `take` for each record of name `dn` and this type. <0: the packet is garbage. */
typedef int take_fn(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr);

/*
 * From `cur`, the end of the question's name. How many there were; <0: garbage, or what `take`
 * said.
 */
int question_each(dnscc_t *pkt, dnscc_t *end, dnscc_t *cur, dnscc_t *dn, enum dns_type type,
	take_fn *take, void *ctx);

#endif
