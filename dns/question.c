#include "dns/question.h"

#include <stdlib.h>
#include <string.h>

#include "dns/server.h"
#include "lib/clock.h"

enum {
	TCP_TIMEOUT = 10,  /* s for a whole exchange with one server */
	PROBE_TIMEOUT = 3, /* s for a question that any server answers from memory */
};

/* ms for a server's answer over UDP, the first time around and later; with EDNS the first time. */
static const int patience[] = { 3000, 6000, 12000 };

enum { SPARE_TURNS = 2 }; /* of those that nobody waits for: one may get lost */

/*
 * Octets of answers that are kept for the questions that are asked together: of a hundred hosts, of
 * which each has its addresses over TCP, there could be 13 MB, and very many look-ups at once.
 */
enum { KEPT_MAX = 512 * 1024 };

enum { ROUNDS = sizeof(patience) / sizeof(patience[0]) };

/* The servers are asked about these now. */
struct batch {
	struct resolver *r;
	struct question *v;
	size_t n;
	int64_t deadline;
	int error; /* the last -errno of a server that was out of reach, or 0 */
};

static void
end(struct question *q, enum said said)
{
	q->open = false;
	q->said = said;
}

/* Once: that nothing comes of it may take long. */
static void
ask_tcp(struct batch *b, int s, struct question *q)
{
	int64_t until = clock_earlier(b->deadline, clock_deadline(TCP_TIMEOUT));
	bool known = (q->mute & 1U << s) != 0;
	int err = known ? 0 : server_tcp(&b->r->server[s], q, until);
	if (err < 0) {
		b->error = err;
		q->mute |= 1U << s;
	} else if (!known) {
		b->r->reached = true;
		return;
	}
	if (!b->r->tcp)
		answer_trouble(q, "truncated over UDP, no answer over TCP");
}

/* Records that would be too many are not there, and that is no fault of a server. */
static void
forget_excess(struct batch *b, struct question *q)
{
	size_t kept = 0;
	for (size_t i = 0; i < b->n; i++)
		kept += b->v[i].packet != NULL ? (size_t)b->v[i].length : 0;
	if (kept <= KEPT_MAX)
		return;
	free(q->packet);
	q->packet = NULL;
	answer_trouble(q, "more than is kept of one domain");
}

/*
 * The answer of server s does not fit into a packet without EDNS, and there is none over TCP. If it
 * was asked like that because it is known to choke on EDNS: it may have been slow, once, about one
 * domain. So it is asked again as others are. False: it was not.
 */
static bool
return_to_edns(struct batch *b, int s, struct question *q)
{
	bool known = !b->r->tcp && q->plain && (b->r->plain & 1U << s) != 0;
	if (known) {
		b->r->plain &= ~(1U << s);
		q->plain = false;
	}
	return known;
}

/*
 * Server s was asked. True: it is to be asked again at once, with or without EDNS, or for the name
 * that an alias leads to.
 */
static bool
digest(struct batch *b, int s, struct question *q)
{
	bool cut = q->said == SAID_TRUNCATED;
	if (cut && !answer_is_moot(q))
		ask_tcp(b, s, q);
	if (q->said == SAID_NONE || answer_is_moot(q))
		return false;
	q->empty = q->empty || q->said == SAID_EMPTY;
	if (q->said != SAID_EMPTY && q->said != SAID_TROUBLE) {
		b->r->first = s;
		b->r->plain |= q->plain ? 1U << s : 0;
		q->open = q->said == SAID_ELSEWHERE;
		if (q->said == SAID_RECORDS)
			forget_excess(b, q);
		return q->open;
	}
	if (cut && return_to_edns(b, s, q))
		return true;
	/* Without EDNS it would be the same, unless there is no TCP, and it is shorter. */
	bool shorter = (q->mute & 1U << s) != 0 && !b->r->tcp;
	if (q->plain || (cut && !shorter)) {
		q->done |= 1U << s;
		return false;
	}
	q->plain = true;
	return true;
}

/* With EDNS those that are not plain, without it those that are. */
static void
ask_udp(struct batch *b, int s, bool edns, int64_t until)
{
	int err = server_udp(&b->r->server[s], edns, b->v, b->n, until);
	if (err < 0)
		b->error = err;
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].wanted && b->v[i].said != SAID_NONE)
			b->r->reached = true;
}

/* What is wanted goes out once; `until` is the end of it. How many are to be asked again. */
static size_t
ask_once(struct batch *b, int s, int64_t until)
{
	size_t again = 0;
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].wanted) {
			b->v[i].said = b->r->tcp ? SAID_TRUNCATED : SAID_NONE;
			b->v[i].asked = true;
		}
	if (!b->r->tcp) {
		ask_udp(b, s, true, until);
		ask_udp(b, s, false, until);
	}
	for (size_t i = 0; i < b->n; i++) {
		struct question *q = &b->v[i];
		q->wanted = q->wanted && digest(b, s, q);
		again += q->wanted;
	}
	return again;
}

/* All that is open is asked of server s, unless it has had its say. */
static void
take_turn(struct batch *b, int s, bool plain, int wait)
{
	for (size_t i = 0; i < b->n; i++) {
		struct question *q = &b->v[i];
		q->wanted = q->open && (q->done & 1U << s) == 0 && !answer_is_moot(q);
		q->plain = plain;
	}
	while (clock_left(b->deadline) > 0 &&
		ask_once(b, s, clock_earlier(b->deadline, clock_ms() + wait)) > 0)
		;
}

/* ... that is waited for behind so many turns? */
static bool
any_open(const struct batch *b, int turn)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].open && !answer_is_moot(&b->v[i]) &&
			(!b->v[i].spare || turn < SPARE_TURNS))
			return true;
	return false;
}

/* How long the next server may take, ms, so that all turns that are left have their share. */
static int
next_wait(const struct batch *b, int round, int turn)
{
	int turns = (ROUNDS - round) * b->r->servers - turn;
	int64_t share = (b->deadline - clock_ms()) / turns;
	return share < patience[round] ? (int)share + 1 : patience[round];
}

/* What remains open when all servers have had their turns. */
static void
give_up(const struct batch *b, struct question *q)
{
	if (q->trouble == NULL && b->r->servers == 0)
		q->trouble = "there is no nameserver";
	else if (q->trouble == NULL && !q->asked)
		q->trouble = "not asked, no time was left";
	else if (q->trouble == NULL && b->error < 0)
		q->trouble = b->r->silence;
	else if (q->trouble == NULL)
		q->trouble = "no answer in time";
	end(q, q->empty ? SAID_EMPTY : SAID_TROUBLE);
}

void
question_ask(struct resolver *r, struct question *v, size_t n, int64_t deadline)
{
	struct batch b = { .r = r, .v = v, .n = n, .deadline = deadline };
	int turns = ROUNDS * r->servers, first = r->first;
	for (size_t i = 0; i < n; i++)
		v[i].validated = v[i].secure = r->trusted;
	for (int turn = 0; turn < turns && any_open(&b, turn); turn++) {
		int round = turn / r->servers, s = (first + turn) % r->servers;
		bool plain = round > 0 || (r->plain & 1U << s) != 0;
		take_turn(&b, s, plain, next_wait(&b, round, turn % r->servers));
	}
	snprintf(r->silence, sizeof(r->silence), "no answer (%s)", strerror(-b.error));
	for (size_t i = 0; i < n; i++)
		if (v[i].open)
			give_up(&b, &v[i]);
}

void
question_set(struct question *q, dnscc_t *name, enum dns_type type)
{
	*q = (struct question){ .type = type, .open = true };
	memcpy(q->name, name, dns_dnlen(name));
}

const char *
question_probe(struct resolver *r)
{
	struct question q;
	question_set(&q, (dnscc_t *)"", DNS_T_NS);
	question_ask(r, &q, 1, clock_deadline(PROBE_TIMEOUT));
	free(q.packet);
	return q.said == SAID_TROUBLE ? q.trouble : NULL;
}
