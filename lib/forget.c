#include "lib/forget.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * Twice as deep as a session was seen to go (tests/session/test_memory_left.py finds what is left
 * with half of it). Each worker has a page of memory for every 4 KiB.
 */
enum { DEEP = 32 * 1024 };

void __real_free(void *p);
void __wrap_free(void *p);
void *__wrap_realloc(void *p, size_t n);

static bool wiping;

void
forget_what_is_freed(void)
{
	wiping = true;
}

__attribute__((noinline)) void
forget_stack(void)
{
	char room[DEEP];
	explicit_bzero(room, sizeof(room));
}

void *__real_realloc(void *p, size_t n);

void
__wrap_free(void *p)
{
	if (wiping && p != NULL)
		explicit_bzero(p, malloc_usable_size(p));
	__real_free(p);
}

/* What grows may move, and then leaves a copy. */
void *
__wrap_realloc(void *p, size_t n)
{
	if (!wiping || p == NULL || n == 0)
		return __real_realloc(p, n);
	size_t have = malloc_usable_size(p);
	if (n <= have)
		return p;
	void *more = malloc(n);
	if (more != NULL) {
		memcpy(more, p, have);
		__wrap_free(p);
	}
	return more;
}
