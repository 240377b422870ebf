/*
 * fuzz: what the targets of this directory have in common.
 *
 * A target is one file with one entry; `make fuzz` lets libFuzzer call it, `make corpus` feeds it
 * the files of corpus/<target> (main.c).
 */
#ifndef POSTERN_FUZZ_H
#define POSTERN_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
			abort(); \
		} \
	} while (0)

/* A copy with exactly as much memory as it has octets, for the sanitizer to guard; to be freed. */
static inline struct span
exact_copy(const void *p, size_t n)
{
	char *copy = malloc(n);
	must(copy != NULL || n == 0);
	if (n > 0)
		memcpy(copy, p, n);
	return (struct span){ copy, n };
}

static inline void
free_copy(struct span s)
{
	free((void *)(uintptr_t)s.p);
}

/* Is `part` inside `all`? */
static inline int
inside(struct span all, struct span part)
{
	return part.n == 0 || (part.p >= all.p && part.p + part.n <= all.p + all.n);
}

#endif
