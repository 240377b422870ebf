#include "delivery/hands.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of one courier. */
struct hand {
	char lane[LANE_NAME_SIZE];
	int used;           /* of its places, so many were ever used */
	char id[][ID_SIZE]; /* "": nothing */
};

/* Of this thread, for the handler of its faults. */
static _Thread_local struct hands *signed_hands;
static _Thread_local int signed_number;

static size_t
size_of_hand(int places)
{
	size_t size = sizeof(struct hand) + (size_t)places * ID_SIZE, align = _Alignof(struct hand);
	return (size + align - 1) / align * align;
}

static size_t
size_for(int couriers, int places)
{
	return sizeof(struct hands_shared) + (size_t)couriers * size_of_hand(places);
}

static struct hand *
hand(const struct hands *h, int number)
{
	return (struct hand *)(void *)(h->shared->v + (size_t)number * size_of_hand(h->places));
}

struct hands *
hands_new(int couriers, int places)
{
	struct hands *h = malloc(sizeof(*h));
	if (h == NULL)
		return NULL;
	*h = (struct hands){ .couriers = couriers, .places = places };
	h->shared = mmap(NULL, size_for(couriers, places), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (h->shared == MAP_FAILED) {
		free(h);
		return NULL;
	}
	h->shared->died_by = -1;
	return h;
}

void
hands_free(struct hands *h)
{
	if (h != NULL)
		munmap(h->shared, size_for(h->couriers, h->places));
	free(h);
}

/*
 * The fault happens again when this returns, and then it ends the process. One that somebody sent
 * does not, and cannot be sent again from in here; nobody is at fault then.
 */
static void
note_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	signal(number, SIG_DFL);
	if (info->si_code <= 0 && info->si_pid != getpid()) {
		signal(SIGILL, SIG_DFL);
		__builtin_trap();
	}
	if (signed_hands != NULL)
		signed_hands->shared->died_by = signed_number;
}

void
hands_sign(struct hands *h, int number)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	struct sigaction note = { .sa_sigaction = note_fault, .sa_flags = SA_SIGINFO };
	sigset_t heard; /* one that is blocked would end the process at once */
	sigemptyset(&heard);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		(void)sigaction(faults[i], &note, NULL);
		sigaddset(&heard, faults[i]);
	}
	pthread_sigmask(SIG_UNBLOCK, &heard, NULL);
	signed_hands = h;
	signed_number = number;
}

void
hands_take(struct hands *h, int number, int place, const char *lane, const char *id)
{
	struct hand *mine = hand(h, number);
	memcpy(mine->lane, lane, strnlen(lane, sizeof(mine->lane) - 1) + 1);
	memcpy(mine->id[place], id, ID_SIZE);
	if (mine->used <= place)
		mine->used = place + 1;
}

void
hands_put_down(struct hands *h, int number, int place)
{
	hand(h, number)->id[place][0] = '\0';
}

/* What is in that place. False: nothing that is a message. */
static bool
look_at(const struct hand *one, int place, struct hands_suspect *s)
{
	memcpy(s->lane, one->lane, sizeof(s->lane) - 1);
	memcpy(s->id, one->id[place], sizeof(s->id) - 1);
	s->lane[sizeof(s->lane) - 1] = s->id[sizeof(s->id) - 1] = '\0';
	return id_valid(span_of(s->id)) && lane_name_valid(span_of(s->lane));
}

bool
hands_next(const struct hands *h, struct hands_suspect *s)
{
	for (; s->number < h->couriers; s->number++, s->place = 0) {
		const struct hand *one = hand(h, s->number);
		if (h->shared->died_by >= 0 && h->shared->died_by != s->number)
			continue;
		while (s->place < one->used && s->place < h->places)
			if (look_at(one, s->place++, s))
				return true;
	}
	return false;
}

void
hands_clear(struct hands *h)
{
	h->shared->died_by = -1;
	for (int i = 0; i < h->couriers; i++) {
		struct hand *one = hand(h, i);
		for (int k = 0; k < one->used && k < h->places; k++)
			hands_put_down(h, i, k);
		one->used = 0;
	}
}
