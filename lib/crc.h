/* crc: CRC-32C (Castagnoli), the sum that proves a spool file whole. */
#ifndef POSTERN_CRC_H
#define POSTERN_CRC_H

#include <stddef.h>
#include <stdint.h>

/* The sum of what went before (0 at the start) continued over n bytes. */
uint32_t crc32c(uint32_t sum, const void *p, size_t n);

#endif
