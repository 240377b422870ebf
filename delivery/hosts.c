#include "delivery/hosts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

enum {
	HOST_FILE = 128,        /* octets of a file; a longer one was not written by us */
	NAME_SIZE = NETADDR_TEXT + 8,
	LATENCY_MAX = 3600000,  /* ms; what is slower is a broken clock */
	GREY_MAX = 15 * 60,     /* s; a longer wait has other reasons than a greylist */
	SMOOTHING = 4,          /* one measurement counts for a quarter */
};

#define FORMAT "latency %lld failed %lld lockstep %lld clear %lld helo %lld grey %lld"

static void
file_name(const struct exchanger *to, char out[static NAME_SIZE])
{
	char text[NETADDR_TEXT];
	netaddr_text(&to->addr, text);
	snprintf(out, NAME_SIZE, "%s-%d", text, to->port);
}

void
hosts_open(struct hosts *h, int spool, int64_t age)
{
	*h = (struct hosts){ .dir = -1, .age = age };
	if (mkdirat(spool, "hosts", S_IRWXU) == 0 || errno == EEXIST)
		h->dir = openat(spool, "hosts", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (h->dir < 0)
		h->dir = -errno;
}

/* A time that is not too long ago, and not to come. */
static bool
is_recent(int64_t t, int64_t now, int64_t age)
{
	return t > now - age && t <= now;
}

void
hosts_recall(const struct hosts *hosts, const struct exchanger *to, struct host_record *out)
{
	char name[NAME_SIZE], text[HOST_FILE];
	struct stat st;
	int64_t now = clock_wall();
	*out = (struct host_record){ 0 };
	file_name(to, name);
	auto_fd fd = hosts->dir < 0 || to->port == 0 ? -1
		: openat(hosts->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !is_recent(st.st_mtime, now, hosts->age))
		return;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n <= 0 || n == (ssize_t)sizeof(text) - 1)
		return;
	text[n] = '\0';
	long long latency, failed, lockstep, clear, helo, grey;
	if (sscanf(text, FORMAT, &latency, &failed, &lockstep, &clear, &helo, &grey) != 6)
		return;
	out->latency = latency > 0 && latency < LATENCY_MAX ? latency : 0;
	out->failed = is_recent(failed, now, hosts->age) ? failed : 0;
	out->clear = is_recent(clear, now, hosts->age) ? clear : 0;
	out->lockstep = is_recent(lockstep, now, hosts->age) ? lockstep : 0;
	out->helo = is_recent(helo, now, hosts->age) ? helo : 0;
	out->grey = grey > 0 && grey <= GREY_MAX ? grey : 0;
}

static void
note(const struct hosts *hosts, const struct exchanger *to, const struct host_record *h)
{
	char name[NAME_SIZE];
	file_name(to, name);
	auto_fd fd = hosts->dir < 0 || to->port == 0 ? -1
		: openat(hosts->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK |
			O_CLOEXEC,
			S_IRUSR | S_IWUSR);
	if (fd >= 0)
		dprintf(fd, FORMAT "\n", (long long)h->latency, (long long)h->failed,
			(long long)h->lockstep, (long long)h->clear, (long long)h->helo,
			(long long)h->grey);
}

void
hosts_greeted(const struct hosts *hosts, const struct exchanger *to, int64_t latency)
{
	struct host_record h;
	hosts_recall(hosts, to, &h);
	int64_t before = h.latency > 0 ? h.latency : latency;
	h.latency = (before * (SMOOTHING - 1) + latency) / SMOOTHING;
	if (h.latency == 0)
		h.latency = 1;
	h.failed = 0;
	note(hosts, to, &h);
}

/* Where the time of an event stands. */
static int64_t *
time_of(struct host_record *h, enum host_event e)
{
	int64_t *const when[] = { [HOST_FAILED] = &h->failed, [HOST_LOCKSTEP] = &h->lockstep,
		[HOST_CLEAR] = &h->clear, [HOST_HELO] = &h->helo };
	return when[e];
}

void
hosts_silent(const struct hosts *hosts, const struct exchanger *to, int64_t ms)
{
	struct host_record h;
	hosts_recall(hosts, to, &h);
	if (ms <= h.latency)
		return;
	h.latency = ms;
	note(hosts, to, &h);
}

void
hosts_mark(const struct hosts *hosts, const struct exchanger *to, enum host_event e)
{
	struct host_record h;
	hosts_recall(hosts, to, &h);
	*time_of(&h, e) = clock_wall();
	note(hosts, to, &h);
}

void
hosts_unmark(const struct hosts *hosts, const struct exchanger *to, enum host_event e)
{
	struct host_record h;
	hosts_recall(hosts, to, &h);
	if (*time_of(&h, e) == 0)
		return;
	*time_of(&h, e) = 0;
	note(hosts, to, &h);
}

void
hosts_waited(const struct hosts *hosts, const struct exchanger *to, int64_t waited)
{
	struct host_record h;
	hosts_recall(hosts, to, &h);
	if (waited <= 0 || waited > GREY_MAX || (h.grey != 0 && h.grey <= waited))
		return;
	h.grey = waited;
	note(hosts, to, &h);
}

void
hosts_sweep(const struct hosts *hosts)
{
	int dir = hosts->dir;
	int fd = dir < 0 ? -1 : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir all = fd >= 0 ? fdopendir(fd) : NULL;
	struct stat st;
	if (all == NULL)
		return;
	for (struct dirent *e; (e = readdir(all)) != NULL;)
		if (e->d_name[0] != '.' && fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			!is_recent(st.st_mtime, clock_wall(), hosts->age))
			unlinkat(dir, e->d_name, 0);
}
