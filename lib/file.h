/* file: what a file holds. */
#ifndef POSTERN_FILE_H
#define POSTERN_FILE_H

#include <stddef.h>

/*
 * All of a file that is open, n octets with a NUL behind them, whatever was read of it before; `fd`
 * stays as it is. The caller frees it. NULL: the reason is in errno; EFBIG: it has more than
 * `most`.
 */
char *file_read(int fd, size_t most, size_t *n);

#endif
