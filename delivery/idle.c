#include "delivery/idle.h"

#include <errno.h>
#include <poll.h>

#include "lib/clock.h"
#include "lib/wait.h"

void
idle_begin(struct turns *t, struct courier *c)
{
	c->turn.idle = true;
	c->turn.at->idle++;
	TAILQ_INSERT_TAIL(&t->idle, c, turn.list);
}

void
idle_end(struct turns *t, struct courier *c)
{
	if (!c->turn.idle)
		return;
	TAILQ_REMOVE(&t->idle, c, turn.list);
	c->turn.idle = false;
	c->turn.at->idle--;
}

void
idle_wait(const struct courier *c)
{
	struct pollfd p[] = { { .fd = c->link.fd, .events = POLLIN },
		{ .fd = c->turn.told, .events = POLLIN } };
	while (poll(p, 2, clock_left(c->turn.patience)) < 0 && errno == EINTR)
		;
}

void
idle_tell(struct turns *t, struct courier *c, enum turn_word word)
{
	idle_end(t, c);
	c->turn.word = word;
	wait_tell(c->turn.told);
}

struct courier *
idle_find(const struct turns *t, const struct schedule_lane *l, const struct schedule_host *h)
{
	struct courier *c;
	TAILQ_FOREACH(c, &t->idle, turn.list)
		if (l != NULL ? c->turn.lane == l : c->turn.at == h)
			return c;
	return NULL;
}
