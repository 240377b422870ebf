#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/span.h"

enum {
	SILENCE = 2000,             /* ms, of who writes to a FIFO, or is to come */
	FIFO_MAX = 4 * 1024 * 1024, /* octets that come by one, as large as the largest file */
	PIECE = 4096,
};

static bool
is_fifo(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* Nobody has come yet to write: who has, and has gone, left an end (POLLHUP). */
static bool
is_forsaken(int fd)
{
	struct pollfd p = { .fd = fd };
	return is_fifo(fd) && poll(&p, 1, 0) == 0;
}

/* Who writes may have said nothing yet. False, and errno: he does not. */
static bool
is_heard(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n = poll(&p, 1, is_fifo(fd) ? SILENCE : -1);
	if (n == 0)
		errno = ENODATA;
	return n > 0 || (n < 0 && errno == EINTR);
}

/* `first`: nothing was read before. */
static ssize_t
fill(int fd, char *p, size_t size, bool first)
{
	size_t n = 0;
	for (ssize_t r = 1; r != 0 && n < size; n += r > 0 ? (size_t)r : 0) {
		r = read(fd, p + n, size - n);
		if (r == 0 && n == 0 && first && is_forsaken(fd)) {
			errno = EAGAIN;
			r = -1;
		}
		if (r < 0 && errno != EINTR && (errno != EAGAIN || !is_heard(fd)))
			return -1;
	}
	return (ssize_t)n;
}

/* What comes by a FIFO, as a file. A descriptor, or -1 and errno. */
static int
take_fifo(int fifo)
{
	char piece[PIECE];
	ssize_t n = PIECE;
	int fd = memfd_create("fifo", MFD_CLOEXEC);
	for (off_t all = 0; fd >= 0 && n == PIECE && all <= FIFO_MAX; all += n) {
		n = fill(fifo, piece, sizeof(piece), all == 0);
		if (all + n > FIFO_MAX)
			errno = EFBIG;
		if (n < 0 || all + n > FIFO_MAX || pwrite(fd, piece, (size_t)n, all) != n) {
			int why = errno;
			close(fd);
			errno = why;
			return -1;
		}
	}
	return fd;
}

int
file_open(const char *path)
{
	int fd = openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || !is_fifo(fd))
		return fd;
	auto_fd fifo = fd;
	return take_fifo(fifo);
}

bool
file_is_fifo(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
}

FILE *
file_stream(const char *path)
{
	int fd = file_open(path);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (file == NULL && fd >= 0)
		close(fd);
	return file;
}

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
	return fill(fd, p, size, true);
}

int
file_flush(FILE *file)
{
	if (fflush(file) != 0)
		return errno != 0 ? -errno : -EIO;
	return ferror(file) != 0 ? -EIO : 0; /* why, was known when it happened */
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
