#include "mail/hops.h"

static const char name[] = "received:";

void
hops_feed(struct hops *h, struct span piece)
{
	for (size_t i = 0; i < piece.n && !h->body; i++) {
		char c = piece.p[i];
		if (c == '\n') {
			h->matched = 0;
		} else if (c == '\r') {
			h->body = h->matched == 0;
		} else if (h->matched >= 0) {
			h->matched = ascii_lower(c) == name[h->matched] ? h->matched + 1 : -1;
			if (h->matched == (int)sizeof(name) - 1) {
				h->received++;
				h->matched = -1;
			}
		}
	}
}
