#include "process/budget.h"

void
budget_init(struct budget *b, const struct conf *c)
{
	int64_t checks = (1 + c->receive.max_recipients) * LIMIT_CHECKED_MESSAGES;
	*b = (struct budget){ .left = {
		[REQUEST_RELAY] = LIMIT_RELAYS_STARTED,
		[REQUEST_TLS] = 1,                  /* RFC 3207 section 4.2: not again inside TLS */
		[REQUEST_AUTH] = 1 + c->receive.max_errors, /* each one that fails is an error */
		[REQUEST_CHECK_SENDER] = checks,
		[REQUEST_CHECK_RECIPIENT] = checks,
		[REQUEST_LOG] = LIMIT_LOG_LOST,
	}, .fruitless = {
		[REQUEST_RELAY] = LIMIT_RELAYS_RUNG,
		[REQUEST_TLS] = LIMIT_HELPERS_FAILED,
		[REQUEST_AUTH] = LIMIT_HELPERS_FAILED,
		[REQUEST_CHECK_SENDER] = checks,
		[REQUEST_CHECK_RECIPIENT] = checks,
		[REQUEST_LOG] = LIMIT_LOG_LOST + c->receive.timeout_session, /* once a second */
	} };
}

void
budget_renew(struct budget *b, const struct conf *c)
{
	budget_init(b, c);
}

/* Where it stands, 0: a free place; or -1. */
static int
place_of(const struct budget *b, pid_t pid)
{
	for (int i = 0; i < LIMIT_HELPERS; i++)
		if (b->running[i] == pid)
			return i;
	return -1;
}

bool
budget_allows(const struct budget *b, enum request_kind kind)
{
	if ((unsigned)kind >= REQUEST_KINDS || b->left[kind] == 0 || b->fruitless[kind] == 0)
		return false;
	return kind == REQUEST_RELAY || place_of(b, 0) >= 0;
}

void
budget_spend(struct budget *b, enum request_kind kind, pid_t pid)
{
	b->left[kind]--;
	if (pid > 0)
		b->running[place_of(b, 0)] = pid;
}

void
budget_spend_in_vain(struct budget *b, enum request_kind kind)
{
	b->fruitless[kind]--;
}

void
budget_ended(struct budget *b, pid_t pid)
{
	int place = place_of(b, pid);
	if (place >= 0)
		b->running[place] = 0;
}
