#include "status/samples.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* A regular file of ours, or -errno. */
static int
open_file(const char *runtime, int flags)
{
	char path[PATH_MAX];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/" SAMPLES_FILE, runtime);
	if (n < 0 || n >= (int)sizeof(path))
		return -ENAMETOOLONG;
	int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

static off_t
place_of(int64_t time)
{
	return (off_t)(time / SAMPLES_STEP % SAMPLES_MAX) * (off_t)sizeof(struct sample);
}

int
samples_note(const char *runtime, const struct sample *sample)
{
	auto_fd fd = open_file(runtime, O_WRONLY | O_CREAT);
	if (fd < 0)
		return fd;
	ssize_t n = pwrite(fd, sample, sizeof(*sample), place_of(sample->time));
	return n == (ssize_t)sizeof(*sample) ? 0 : n < 0 ? -errno : -ENOSPC;
}

int
samples_read(const char *runtime, int64_t now, struct sample *out)
{
	static struct sample all[SAMPLES_MAX];
	auto_fd fd = open_file(runtime, O_RDONLY);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	memset(all, 0, sizeof(all));
	if (pread(fd, all, sizeof(all), 0) < 0)
		return -errno;
	int n = 0;
	for (int64_t minute = now / SAMPLES_STEP - SAMPLES_MAX + 1; minute <= now / SAMPLES_STEP;
		minute++) {
		const struct sample *s = &all[minute % SAMPLES_MAX];
		if (s->time > 0 && s->time / SAMPLES_STEP == minute)
			out[n++] = *s;
	}
	return n;
}
