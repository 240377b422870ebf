#include "sending/veil.h"

enum { PIECE = 8, WORD = 4 };

/* The most octets at the beginning of the text that stand somewhere in the secret. */
static size_t
longest(struct span text, struct span secret)
{
	size_t most = 0;
	for (; secret.n > most; secret = span_skip(secret, 1)) {
		size_t n = 0;
		while (n < text.n && n < secret.n && text.p[n] == secret.p[n])
			n++;
		most = n > most ? n : most;
	}
	return most;
}

void
veil_cover(struct buf *text, struct span secret)
{
	static const struct span cover = { "(hidden)", 8 };
	size_t least = secret.n < PIECE ? secret.n : PIECE;
	struct buf out = buf_new(text->max);
	struct span rest = buf_span(text);
	while (rest.n > 0 && least >= WORD) {
		size_t n = longest(rest, secret);
		bool found = n >= least;
		buf_add(&out, found ? cover : (struct span){ rest.p, 1 });
		rest = span_skip(rest, found ? n : 1);
	}
	if (least < WORD)
		return;
	if (text->n > 0)
		explicit_bzero(text->p, text->n);
	buf_free(text);
	*text = out;
}
