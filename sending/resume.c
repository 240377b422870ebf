#include "sending/resume.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/crc.h"
#include "lib/limits.h"

enum { NAME_SIZE = NETADDR_TEXT + 16, HEAD_SIZE = LIMIT_DOMAIN + 8 };

static void
file_name(const struct resume *r, char out[static NAME_SIZE])
{
	char text[NETADDR_TEXT];
	netaddr_text(&r->addr, text);
	snprintf(out, NAME_SIZE, "%s-%d.tls", text, r->port);
}

/* The line in front. */
static size_t
head(const struct resume *r, char out[static HEAD_SIZE])
{
	return (size_t)snprintf(out, HEAD_SIZE, "%s %.*s\n", r->weak ? "weak" : "tls", LIMIT_DOMAIN,
		r->host);
}

void
resume_load(const struct resume *r, struct buf *out)
{
	char name[NAME_SIZE], line[HEAD_SIZE], all[HEAD_SIZE + sizeof(uint32_t) + RESUME_MAX + 1];
	struct stat st;
	uint32_t sum;
	int64_t now = clock_wall();
	file_name(r, name);
	size_t n = head(r, line);
	auto_fd fd = r->dir < 0 ? -1
		: openat(r->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_mtime > now || st.st_mtime <= now - r->age)
		return;
	ssize_t got = read(fd, all, sizeof(all));
	if (got <= (ssize_t)(n + sizeof(sum)) || got == (ssize_t)sizeof(all) ||
		memcmp(all, line, n) != 0)
		return;
	memcpy(&sum, all + n, sizeof(sum));
	n += sizeof(sum);
	if (sum == crc32c(0, all + n, (size_t)got - n))
		buf_add(out, (struct span){ all + n, (size_t)got - n });
}

/* Under another name first, so that no other relay reads half of it. */
void
resume_save(const struct resume *r, struct span session)
{
	char name[NAME_SIZE], line[HEAD_SIZE], other[NAME_SIZE + 16];
	uint32_t sum = crc32c(0, session.p, session.n);
	auto_buf all = buf_new(HEAD_SIZE + sizeof(sum) + RESUME_MAX);
	file_name(r, name);
	buf_add(&all, (struct span){ line, head(r, line) });
	buf_add(&all, (struct span){ (const char *)&sum, sizeof(sum) });
	buf_add(&all, session);
	snprintf(other, sizeof(other), "%s.%d", name, (int)getpid());
	if (r->dir < 0 || all.err != 0 || session.n > RESUME_MAX)
		return;
	auto_fd fd = openat(r->dir, other, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		S_IRUSR | S_IWUSR);
	if (fd < 0)
		return;
	if (write(fd, all.p, all.n) != (ssize_t)all.n || renameat(r->dir, other, r->dir, name) < 0)
		unlinkat(r->dir, other, 0);
}

void
resume_forget(const struct resume *r)
{
	char name[NAME_SIZE];
	file_name(r, name);
	if (r->dir >= 0)
		unlinkat(r->dir, name, 0);
}
