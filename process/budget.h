/*
 * budget: what one session may have its monitor start.
 *
 * A session that was taken over can ask for anything, without end. Each kind of request has a
 * number that no honest session reaches (limits.h), and only so many helpers run at once. There is
 * one relay, whoever asks for it (ring.h), so only how often counts here.
 */
#ifndef POSTERN_BUDGET_H
#define POSTERN_BUDGET_H

#include <sys/types.h>

#include "conf/conf.h"
#include "lib/limits.h"
#include "process/request.h"

struct budget {
	int64_t left[REQUEST_KINDS];
	int64_t fruitless[REQUEST_KINDS]; /* that may come to nothing */
	pid_t running[LIMIT_HELPERS]; /* 0: a free place */
};

void budget_init(struct budget *b, const struct conf *c);

/*
 * It has another client: all anew, as in a session of its own. What still runs for clients before,
 * such as a tls whose client does not hang up, is not in the way of this one.
 */
void budget_renew(struct budget *b, const struct conf *c);

/* May one more of this kind be started? False for what is no kind. */
bool budget_allows(const struct budget *b, enum request_kind kind);

/* One was started, after budget_allows; `pid` is that of a helper, 0 for a relay. */
void budget_spend(struct budget *b, enum request_kind kind, pid_t pid);

/*
 * Nothing was started, after budget_allows: it failed, or there was no need. It costs us something
 * all the same.
 */
void budget_spend_in_vain(struct budget *b, enum request_kind kind);

/* A child ended, whatever it was. */
void budget_ended(struct budget *b, pid_t pid);

#endif
