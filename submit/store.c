#include "submit/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 64 * 1024 };

struct store
store_new(void)
{
	return (struct store){ .head = buf_new(STORE_MEMORY), .fd = -1 };
}

/*
 * Without a name there is no place for another user's link. Where none of the directories can be
 * written to, as with ProtectSystem=strict, it is memory.
 */
static int
open_unnamed(void)
{
	const char *places[] = { secure_getenv("TMPDIR"), "/var/tmp", "/tmp" };
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int fd = places[i] == NULL ? -1
			: open(places[i], O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL,
				S_IRUSR | S_IWUSR);
		if (fd >= 0)
			return fd;
	}
	int fd = memfd_create("message", MFD_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

static void
write_all(struct store *s, struct span piece)
{
	while (piece.n > 0 && s->err == 0) {
		ssize_t n = write(s->fd, piece.p, piece.n);
		if (n < 0 && errno != EINTR)
			s->err = -errno;
		piece = span_skip(piece, n > 0 ? (size_t)n : 0);
	}
}

void
store_add(struct store *s, struct span piece)
{
	if (s->err != 0)
		return;
	s->size += (int64_t)piece.n;
	if (s->fd < 0 && s->head.n + piece.n <= STORE_MEMORY) {
		buf_add(&s->head, piece);
		s->err = s->head.err;
		return;
	}
	if (s->fd < 0)
		s->fd = open_unnamed();
	if (s->fd < 0)
		s->err = s->fd;
	write_all(s, piece);
}

int
store_read(const struct store *s, store_sink *sink, void *ctx)
{
	static char block[BLOCK];
	if (s->head.n > 0)
		sink(ctx, buf_span(&s->head));
	for (off_t at = 0; s->fd >= 0;) {
		ssize_t n = pread(s->fd, block, sizeof(block), at);
		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			sink(ctx, (struct span){ block, (size_t)n });
		at += n > 0 ? n : 0;
	}
	return 0;
}

void
store_free(struct store *s)
{
	buf_free(&s->head);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}
