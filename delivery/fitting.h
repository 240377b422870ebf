/*
 * fitting: which other hosts of a lane can have a message that the one connected to cannot.
 *
 * A host lacks what a message needs: SMTPUTF8, REQUIRETLS, a form of the text, room for it, a time
 * by which it is delivered. Then each other host of the list may have it, of whatever preference;
 * and as long as there is one that could not be asked, the message waits for it. It is returned
 * when all lack something. What the hosts have is remembered as long as messages go from one to
 * the other, so that each is asked once, by however many messages.
 */
#ifndef POSTERN_FITTING_H
#define POSTERN_FITTING_H

#include "dns.h"
#include "sending/body.h"

enum { FITTING_ASKED = 20 }; /* hosts at most that are asked, so that it ends (G5) */

/* What is known of a host. Addresses of one name are one host: what one of them says, all do. */
struct fitting_host {
	bool asked;              /* a message did not fit it, so it is known what it can have: */
	struct body_taker can;
	bool for_now;            /* ... by a connection that may be poorer than another one */
	bool vain;               /* there is no talking to it now */
	bool wanted;             /* messages wait for it */
};

/* Begins as { 0 }. The exchangers that go with it are the same until its end. */
struct fitting {
	struct fitting_host *v;  /* owned; of each of the exchangers; NULL: nothing is known */
	int asked;               /* hosts */
	bool seeks;              /* some are wanted, */
	bool due;                /* ... and the next connection is to be to one of them */
};

/* Nothing is known any more. */
void fitting_end(struct fitting *f);

/*
 * A message did not fit this host, which can have this; `for_now`: as far as is known now. 0 or
 * -ENOMEM.
 */
int fitting_note(struct fitting *f, const struct exchangers *x, const struct exchanger *to,
	const struct body_taker *can, bool for_now);

/*
 * There was no talking to the i-th of the exchangers. Only behind fitting_note, as with all that
 * follow.
 */
void fitting_note_vain(struct fitting *f, size_t i);

/* ... nor to any of those that are wanted; from now on none is. */
void fitting_note_all_vain(struct fitting *f, const struct exchangers *x);

/*
 * May another host than `to` have the message for this recipient? NOW: yes; those that may are
 * wanted. LATER: there is one that cannot be asked now. DOUBTFUL: there is one that was asked, by a
 * connection that may be poorer than another one. NEVER: none may.
 */
enum fitting_chance { FITTING_NEVER, FITTING_DOUBTFUL, FITTING_LATER, FITTING_NOW };
enum fitting_chance fitting_chance(struct fitting *f, const struct exchangers *x,
	const struct exchanger *to, const struct message *m, struct span recipient);

/*
 * Is a host that is better than `to` known to be able to have the message for all who wait? It is
 * wanted then. Not where nothing is known.
 */
bool fitting_has_better(struct fitting *f, const struct exchangers *x, const struct exchanger *to,
	const struct message *m);

/* The hosts that are wanted, in a list whose `v` is the caller's to free. 0 or -ENOMEM. */
int fitting_wanted(const struct fitting *f, const struct exchangers *x, struct exchangers *out);

/* None is wanted any more. */
void fitting_forget_wanted(struct fitting *f, const struct exchangers *x);

#endif
