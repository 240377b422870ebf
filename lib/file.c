#include "lib/file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/span.h"

char *
file_read(int fd, size_t most, size_t *n)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return NULL;
	if (st.st_size < 0 || (size_t)st.st_size > most) {
		errno = EFBIG;
		return NULL;
	}
	char *text = malloc((size_t)st.st_size + 1);
	ssize_t r = text != NULL ? pread(fd, text, (size_t)st.st_size, 0) : -1;
	if (r < 0) {
		free(text);
		return NULL;
	}
	text[r] = '\0';
	*n = (size_t)r;
	return text;
}

ssize_t
file_fill(int fd, char *p, size_t size)
{
	size_t n = 0;
	for (ssize_t r = 1; r != 0 && n < size; n += r > 0 ? (size_t)r : 0) {
		r = read(fd, p + n, size - n);
		if (r < 0 && errno != EINTR)
			return -1;
	}
	return (ssize_t)n;
}

void
file_begin(FILE *file)
{
	char first[3];
	rewind(file);
	struct span text = { first, fread(first, 1, sizeof(first), file) };
	if (text.n < sizeof(first) || span_without_mark(text).n == text.n)
		rewind(file);
}
