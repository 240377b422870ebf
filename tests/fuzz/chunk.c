/*
 * Chunks: what is found in them does not depend on how they are cut, and is what a plain look
 * finds.
 */
#include "fuzz.h"

#include "mail/chunk.h"

static bool
has_bare(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			return true;
		if (s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n'))
			return true;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	bool bare = has_bare(in), nul = size > 0 && memchr(data, '\0', size) != NULL;
	size_t pieces[] = { 1, 2, 3, 7, size > 0 ? size : 1 };
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct chunk c = { 0 };
		for (size_t at = 0; at < size; at += pieces[i]) {
			size_t n = size - at < pieces[i] ? size - at : pieces[i];
			chunk_feed(&c, (struct span){ in.p + at, n });
		}
		chunk_end(&c);
		must(c.bare == bare);
		must(c.nul == nul);
	}
	return 0;
}
