/*
 * question: questions to nameservers, out at the same time, until each has its result.
 *
 * A server has its turn, then the next one. What is of no use (any error, an answer that is no "no"
 * and has no records) is asked once more without EDNS, for there are servers and boxes before them
 * that choke on it, and then of the next server; so is what gets no answer. A server that answered
 * is asked first from then on.
 */
#ifndef POSTERN_QUESTION_H
#define POSTERN_QUESTION_H

#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "dns/answer.h"
#include "lib/net.h"

struct resolver {
	struct sockaddr_storage server[DNS_MAXSERV];
	int servers;
	bool tcp;              /* they are asked over TCP only */
	const struct netlist *vouchers; /* trusted to validate, beside loopback; NULL: none */
	bool trusted;          /* all of the servers are */
	uint16_t dane;         /* TLSA records are asked for, of this port; 0: they are not */
	int first;             /* the one that answered last */
	unsigned plain;        /* a bit for each that answers only without EDNS */
	char silence[80];      /* why a server could not be asked, for q->trouble */
	bool reached;          /* some server has said something since this was last cleared */
	bool lost;             /* in the last look-up none did */
	dnsc_t own[DNS_MAXDN]; /* our name; the root if it cannot be one of the DNS */
	struct {               /* what is asked for beside MX records, by one look-up (txt.h) */
		dnsc_t name[DNS_MAXDN];
		enum dns_type type;
		/* Takes the answer, with its packet; NULL: nothing is asked for. */
		void (*take)(struct question *q, void *out);
		void *out;
	} also;
	FILE *hosts;           /* a file of hosts (hosts_file.h), or NULL */
	bool is_copy;          /* the file is that of the resolver which this is a copy of */
};

void question_set(struct question *q, dnscc_t *name, enum dns_type type);

/*
 * Asks all n, until each has a result or the deadline (clock.h) has come: q->said is SAID_RECORDS,
 * _NOTHING, _NO_NAME, _EMPTY or _TROUBLE, and of the last two q->trouble says why. Where only those
 * are open that are `spare`, two turns of servers is what they get, 9 s at most.
 */
void question_ask(struct resolver *r, struct question *v, size_t n, int64_t deadline);

/*
 * Asks what all servers know something about, for one may be silent about a domain, or have trouble
 * with it, because it hears nothing of that domain's own servers. Sets r->reached if any of them
 * says anything. NULL: one has more to say than that it is in trouble; or else what trouble.
 */
const char *question_probe(struct resolver *r);

#endif
