/*
 * sieve: puts the rows of a filter of system calls into a tree, so that a call is compared with few
 * of them.
 *
 * The kernel goes through them more often than it seems: when a filter is put in force, it runs it
 * for each of its 450 calls, to find out which are allowed whatever their arguments are. With one
 * row behind the other that is the dearest call of a session (docs/BENCHMARKS.md).
 */
#ifndef POSTERN_SIEVE_H
#define POSTERN_SIEVE_H

#include <linux/filter.h>
#include <stddef.h>

enum { SIEVE_MORE = 80 }; /* instructions that a tree may have more than its rows */

/*
 * Arranges a filter in its place, where there is room for so many instructions. It has `head` of
 * them, the last of which loads the number of the call; then rows, each of which begins with "is it
 * this call, or else so many further on"; and one for what no row is about. Of several rows about
 * one call the first comes first, and may go on with the next, as before. 0; or -E2BIG, and it is
 * no filter any more.
 */
int sieve_arrange(struct sock_fprog *p, size_t head, size_t room);

#endif
