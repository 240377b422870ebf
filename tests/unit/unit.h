/* unit: what the tests of this directory have in common. */
#ifndef POSTERN_UNIT_H
#define POSTERN_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/span.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

enum { GUARDED_PAGES = 32 };

/* A copy whose last byte is the last one that may be read. Valid until the next call. */
static inline struct span
guarded(struct span s)
{
	static char *pages;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = GUARDED_PAGES * page;
	if (pages == NULL) {
		pages = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_true(pages != MAP_FAILED);
		assert_int_equal(mprotect(pages + size, page, PROT_NONE), 0);
	}
	assert_true(s.n <= size);
	if (s.n > 0)
		memcpy(pages + size - s.n, s.p, s.n);
	return (struct span){ pages + size - s.n, s.n };
}

#endif
