#include "delivery/hands.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

/* Of this thread, for the handler of its faults. */
static _Thread_local struct hands *signed_hands;
static _Thread_local int signed_number;

static size_t
size_for(int n)
{
	return sizeof(struct hands) + (size_t)n * sizeof(struct hand);
}

struct hands *
hands_new(int n)
{
	struct hands *h = mmap(NULL, size_for(n), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (h == MAP_FAILED)
		return NULL;
	h->died_by = -1;
	h->n = n;
	return h;
}

void
hands_free(struct hands *h)
{
	if (h != NULL)
		munmap(h, size_for(h->n));
}

/* The fault happens again when this returns, and then it ends the process. */
static void
note_fault(int number)
{
	if (signed_hands != NULL)
		signed_hands->died_by = signed_number;
	signal(number, SIG_DFL);
}

void
hands_sign(struct hands *h, int number)
{
#ifndef POSTERN_INSTRUMENTED /* whose checkers have handlers of their own */
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	sigset_t open;
	sigemptyset(&open);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		signal(faults[i], note_fault);
		sigaddset(&open, faults[i]);
	}
	pthread_sigmask(SIG_UNBLOCK, &open, NULL); /* a fault that is blocked has no handler */
#else
	(void)note_fault;
#endif
	signed_hands = h;
	signed_number = number;
}

void
hands_take(struct hands *h, int number, const char *lane, const char *id)
{
	struct hand *mine = &h->v[number];
	memcpy(mine->lane, lane, strnlen(lane, sizeof(mine->lane) - 1) + 1);
	memcpy(mine->id, id, ID_SIZE);
}

void
hands_put_down(struct hands *h, int number)
{
	h->v[number].id[0] = '\0';
}

bool
hands_is_suspect(const struct hands *h, int number, struct hand *out)
{
	*out = h->v[number];
	out->id[sizeof(out->id) - 1] = out->lane[sizeof(out->lane) - 1] = '\0';
	return (h->died_by < 0 || h->died_by == number) && id_valid(span_of(out->id)) &&
		lane_name_valid(span_of(out->lane));
}

void
hands_clear(struct hands *h)
{
	h->died_by = -1;
	for (int i = 0; i < h->n; i++)
		hands_put_down(h, i);
}
