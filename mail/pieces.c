#include "mail/pieces.h"

static const struct span crlf = { "\r\n", 2 };

static int
fill(struct pieces *s, uint64_t at)
{
	s->at = at;
	s->n = 0;
	s->last = false;
	while (s->n < sizeof(s->chunk) && !s->last) {
		ssize_t r = s->read(s->source, at + s->n, s->chunk + s->n, sizeof(s->chunk) - s->n);
		if (r < 0)
			return (int)r;
		s->n += (size_t)r;
		s->last = r == 0;
	}
	return 0;
}

static bool
holds_piece(const struct pieces *s, uint64_t at)
{
	uint64_t end = s->at + s->n;
	return at >= s->at && (s->last ? at <= end : at + PIECES_MAX <= end);
}

int
pieces_at(struct pieces *s, uint64_t at, struct span *piece)
{
	int r = holds_piece(s, at) ? 0 : fill(s, at);
	if (r < 0)
		return r;
	struct span rest = span_skip((struct span){ s->chunk, s->n }, (size_t)(at - s->at));
	if (rest.n > PIECES_MAX)
		rest.n = PIECES_MAX;
	const char *lf = memchr(rest.p, '\n', rest.n);
	if (lf != NULL)
		rest.n = (size_t)(lf + 1 - rest.p);
	else if (rest.n == PIECES_MAX && rest.p[PIECES_MAX - 1] == '\r')
		rest.n--;
	*piece = rest;
	return 0;
}

bool
piece_ends_line(struct span piece)
{
	return piece.n >= crlf.n && memcmp(piece.p + piece.n - crlf.n, crlf.p, crlf.n) == 0;
}

struct span
piece_text(struct span piece)
{
	return (struct span){ piece.p, piece_ends_line(piece) ? piece.n - crlf.n : piece.n };
}

bool
piece_is_binary(struct span piece)
{
	struct span text = piece_text(piece);
	return memchr(text.p, '\0', text.n) != NULL || memchr(text.p, '\r', text.n) != NULL ||
		memchr(text.p, '\n', text.n) != NULL;
}

bool
piece_is_torn(struct span piece)
{
	return piece.n >= PIECES_MAX - 1 && !piece_ends_line(piece);
}
