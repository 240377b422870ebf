/* file: what a file holds. */
#ifndef POSTERN_FILE_H
#define POSTERN_FILE_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * All of a file that is open, n octets with a NUL behind them, whatever was read of it before; `fd`
 * stays as it is. The caller frees it. NULL: the reason is in errno; EFBIG: it has more than
 * `most`.
 */
char *file_read(int fd, size_t most, size_t *n);

/*
 * Reads to the end, or until `size` octets are there: what comes by a pipe, or by FUSE, may come in
 * pieces. How many octets, or -1 and errno.
 */
ssize_t file_fill(int fd, char *p, size_t size);

/* Goes to the beginning of a file, or behind the mark that editors put there (RFC 3629). */
void file_begin(FILE *file);

#endif
