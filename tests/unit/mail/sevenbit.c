/*
 * sevenbit: converts the message in the file on standard input (test_sevenbit.py). Status 1: it
 * cannot be, and the reason is on standard error; 2: trouble.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "mail/sevenbit.h"

static ssize_t
read_input(const void *source, uint64_t offset, char *p, size_t n)
{
	(void)source;
	ssize_t r = pread(STDIN_FILENO, p, n, (off_t)offset);
	return r < 0 ? -errno : r;
}

static int
print(void *target, struct span piece)
{
	return fwrite(piece.p, 1, piece.n, target) == piece.n ? 0 : -EIO;
}

int
main(void)
{
	const char *why = NULL;
	uint64_t length;
	int r = sevenbit_check(read_input, NULL, &length, &why);
	if (r == -EILSEQ) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	if (r == 0)
		r = sevenbit_convert(read_input, NULL, print, stdout, &why);
	return r == 0 && fflush(stdout) == 0 ? 0 : 2;
}
