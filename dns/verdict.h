/* verdict: what the result of a question means, for those who ask about one name. */
#ifndef POSTERN_VERDICT_H
#define POSTERN_VERDICT_H

#include "dns.h"
#include "dns/answer.h"

/*
 * Of a question that was asked, and of whose records `n` were taken (<0: they are garbage). FOUND:
 * at least one. NO_NAME or NO_DATA: there is none, and *why says `none`. TEMPORARY: it cannot be
 * told now, and *why says why not.
 */
enum answer verdict_of(const struct question *q, int n, const char *none, char *why, size_t size);

#endif
