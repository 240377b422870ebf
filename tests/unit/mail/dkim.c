/*
 * dkim: the canonical form of each message on standard input (test_canonical.py): a line with its length
 * before each; out come the length of what is signed of the header, that, the length of the body,
 * and that.
 */
#include <stdio.h>
#include <stdlib.h>

#include "mail/dkim.h"

enum { MOST = 1 << 20 };

static void
collect(void *target, struct span piece)
{
	buf_add(target, piece);
}

static void
print(const struct buf *b)
{
	printf("%zu\n", b->n);
	fwrite(b->p, 1, b->n, stdout);
}

int
main(void)
{
	static char text[MOST];
	struct dkim d;
	struct buf body = buf_new(MOST), header = buf_new(MOST);
	for (size_t n; scanf("%zu", &n) == 1 && getchar() == '\n' && n <= MOST;) {
		if (fread(text, 1, n, stdin) != n)
			return 1;
		buf_reset(&body);
		buf_reset(&header);
		dkim_begin(&d, collect, &body);
		for (size_t at = 0, piece = 1; at < n; at += piece, piece = 1 + (at * 7) % 100)
			dkim_feed(&d, (struct span){ text + at, piece < n - at ? piece : n - at });
		dkim_end(&d);
		dkim_signed(&d, span_of("X:"), collect, &header);
		print(&header);
		print(&body);
		dkim_free(&d);
	}
	buf_free(&body);
	buf_free(&header);
	return fflush(stdout) == 0 ? 0 : 1;
}
