#include "mail/header.h"

bool
header_is_name(char c)
{
	return c > ' ' && c <= '~' && c != ':';
}

bool
header_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The place of the octet behind `c`. Sets h->over where `c` cannot stand in a header. */
static enum header_place
step(struct header *h, char c)
{
	bool line = h->place == HEADER_LINE, blank = h->place == HEADER_BLANK;
	if (h->place == HEADER_VALUE) {
		h->eightbit = h->eightbit || (unsigned char)c >= 0x80;
		return c == '\n' ? HEADER_LINE : HEADER_VALUE;
	}
	if (line && h->begun && header_is_blank(c))
		return HEADER_VALUE;
	if (!line && c == ':') {
		h->begun = true;
		return HEADER_VALUE;
	}
	if (!line && header_is_blank(c)) /* before the colon (section 4.5.2) */
		return HEADER_BLANK;
	h->over = blank || !header_is_name(c);
	return HEADER_NAME;
}

void
header_feed(struct header *h, struct span piece)
{
	for (size_t i = 0; i < piece.n && !h->over; i++)
		h->place = step(h, piece.p[i]);
}
