/* file: what a file holds. */
#ifndef POSTERN_FILE_H
#define POSTERN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * Opens a file to read it. What it is does not matter, but nobody is waited for in vain: of a FIFO
 * that nobody writes to, or whose writer says nothing for some seconds, ENODATA; of another all
 * that comes was read, and stands where it can be read again. A descriptor, or -1 and errno.
 */
int file_open(const char *path);

/* The same for stdio. NULL: the reason is in errno. */
FILE *file_stream(const char *path);

/* For a library that opens files itself, and would wait. */
bool file_is_fifo(const char *path);

/*
 * All of a file that is open, n octets with a NUL behind them, whatever was read of it before; `fd`
 * stays as it is. The caller frees it. NULL: the reason is in errno; EFBIG: it has more than
 * `most`.
 */
char *file_read(int fd, size_t most, size_t *n);

/*
 * Reads to the end, or until `size` octets are there: what comes by a pipe, or by FUSE, may come in
 * pieces. One that was opened with O_NONBLOCK is waited for as by file_open. How many octets, or -1
 * and errno.
 */
ssize_t file_fill(int fd, char *p, size_t size);

/* Was all written that was printed there, now and before? 0 or -errno. */
int file_flush(FILE *file);

/* Goes to the beginning of a file, or behind the mark that editors put there (RFC 3629). */
void file_begin(FILE *file);

#endif
