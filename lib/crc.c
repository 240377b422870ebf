#include "lib/crc.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { NIBBLE = 4, NIBBLE_MASK = 15, BYTE = 8 };

static const uint32_t nibble[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362,
	0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab,
	0xe330a81a, 0xf36e6f75,
};

static uint32_t
crc_portable(uint32_t c, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		c = (c >> NIBBLE) ^ nibble[c & NIBBLE_MASK];
		c = (c >> NIBBLE) ^ nibble[c & NIBBLE_MASK];
	}
	return c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc_sse42(uint32_t c, const unsigned char *p, size_t n)
{
	uint64_t wide = c;
	for (; n >= BYTE; p += BYTE, n -= BYTE) {
		uint64_t word;
		memcpy(&word, p, sizeof(word));
		wide = __builtin_ia32_crc32di(wide, word);
	}
	c = (uint32_t)wide;
	for (; n > 0; p++, n--)
		c = __builtin_ia32_crc32qi(c, *p);
	return c;
}
#endif

#if defined(__x86_64__)
/*
 * Has the processor an instruction for it? To ask is dear on a virtual machine, where the host
 * answers, and what gcc has for it asks a dozen questions at each start. So it is asked once, and
 * not before there was as much as the answer is worth.
 */
static bool
has_sse42(size_t n)
{
	enum { WORTH = 4096, UNKNOWN = 1, NO, YES }; /* no zeros: they lie with what is in use */
	static _Atomic size_t octets = 1;
	static _Atomic int known = UNKNOWN;
	if (known == UNKNOWN && atomic_fetch_add(&octets, n) + n >= WORTH) {
		unsigned a, b, c = 0, d;
		known = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_2) != 0 ? YES : NO;
	}
	return known == YES;
}
#endif

uint32_t
crc32c(uint32_t sum, const void *p, size_t n)
{
#if defined(__x86_64__)
	if (has_sse42(n))
		return ~crc_sse42(~sum, p, n);
#endif
	return ~crc_portable(~sum, p, n);
}
