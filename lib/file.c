#include "lib/file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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
