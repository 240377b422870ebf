#include "mail/chunk.h"

void
chunk_feed(struct chunk *c, struct span piece)
{
	if (piece.n == 0)
		return;
	if (memchr(piece.p, '\0', piece.n) != NULL)
		c->nul = true;
	for (size_t at = 0; at < piece.n && !c->bare;) {
		const char *lf = memchr(piece.p + at, '\n', piece.n - at);
		size_t line = lf != NULL ? (size_t)(lf - piece.p) : piece.n; /* its end */
		bool before = line > at ? piece.p[line - 1] == '\r' : c->cr;
		const char *cr = line > at ? memchr(piece.p + at, '\r', line - at) : NULL;
		bool first = c->cr && line > at;  /* a CR before this piece, and no LF behind it */
		bool inner = cr != NULL && (size_t)(cr - piece.p) + 1 < line;
		c->bare = first || inner || (lf != NULL && !before);
		c->cr = lf == NULL && before;
		at = line + 1;
	}
}
