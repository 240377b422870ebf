/*
 * answer: what a packet of a nameserver says about a question.
 *
 * Only two answers are a "no": NXDOMAIN, and an empty answer with a SOA of a zone that the name is
 * in (RFC 2308). Whatever else is no list of records is trouble: mail is returned for a "no", and
 * servers that are lame, overloaded or behind a broken box say a great deal.
 *
 * Packets are read with udns' parser, in one place for UDP and TCP.
 */
#ifndef POSTERN_ANSWER_H
#define POSTERN_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <udns.h>

enum {
	RECORDS_MAX = 2000, /* looked at in one answer (G5) */
	LINKS_MAX = 8,      /* of a CNAME chain (G2, G17) */
};

enum said {
	SAID_NONE,      /* no answer yet */
	SAID_RECORDS,   /* they are in the packet, which the question keeps */
	SAID_NOTHING,   /* the name exists, without records of this type: a SOA says so */
	SAID_NO_NAME,   /* NXDOMAIN */
	SAID_ELSEWHERE, /* an alias of a name that the packet says nothing about: ask about that */
	SAID_TRUNCATED, /* the answer is longer than the packet */
	SAID_EMPTY,     /* neither records nor a SOA: a "no" that nobody can rely on */
	SAID_TROUBLE,   /* anything else; the question says what */
};

struct question {
	dnsc_t name[DNS_MAXDN]; /* asked for now; changes along a CNAME chain */
	enum dns_type type;
	int links;           /* CNAMEs followed */
	enum said said;      /* by the server that was asked last; in the end, the result */
	const char *trouble; /* the last one, or NULL */
	dnsc_t *packet;      /* owned; the answer, when said == SAID_RECORDS */
	int length;
	/*
	 * Of servers that are trusted with that: all that led here was validated (AD, RFC 4035
	 * section 3.2.3). It begins as true where they are asked for it.
	 */
	bool secure;
	bool denied;         /* what SAID_EMPTY said was */
	/*
	 * It counts only if one of these has records, and they are secure. NULL: in any case.
	 */
	const struct question *of[2];

	/* for those who ask (question.c) */
	bool spare;    /* its result is worth no wait of its own */
	bool open;     /* no result yet */
	bool asked;    /* of some server: there was time for it */
	bool wanted;   /* by the server whose turn it is */
	bool plain;    /* ... without EDNS */
	bool validated; /* ... who is asked to say whether the answer was */
	uint16_t id;   /* ... by a packet of this number */
	bool empty;    /* a server said SAID_EMPTY */
	unsigned mute; /* a bit for each server that said nothing over TCP */
	unsigned done; /* a bit for each server that has had its say, which was of no use */
};

/*
 * Reads a packet as an answer to q. q->said, and what goes with it, is what it says; q->name has
 * moved along the aliases that are in the packet, unless there was trouble.
 */
void answer_read(struct question *q, dnscc_t *pkt, int length);

/*
 * Is it a packet for this question? Its number and the question in it are the same; an error may
 * come without the question.
 */
bool answer_belongs(const struct question *q, dnscc_t *pkt, int length);

/* Is there no use in waiting for it, since it would not count? */
bool answer_is_moot(const struct question *q);

/* For who finds trouble of another kind. */
void answer_trouble(struct question *q, const char *what);

/* Calls `take` for a record. <0: it is garbage. */
typedef int take_fn(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr);

/*
 * Calls `take` for each record of q's packet that is an answer to it. How many there were; <0:
 * garbage, or what `take` said.
 */
int answer_each(const struct question *q, take_fn *take, void *ctx);

#endif
