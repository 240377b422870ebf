#include "admin/ports.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/dir.h"

#define LISTENS "0A" /* TCP_LISTEN, as the kernel prints it */

void
ports_read(struct span text, uint16_t port, struct ports *out)
{
	char wanted[8];
	snprintf(wanted, sizeof(wanted), "%04X", port);
	while (text.n > 0) {
		struct span line = span_line(&text), word;
		(void)span_word(&line, " ");
		struct span local = span_word(&line, " ");
		(void)span_word(&line, " ");
		struct span state = span_word(&line, " ");
		for (int i = 0; i < 5; i++) /* queues, timer, retransmits, user, timeout */
			(void)span_word(&line, " ");
		word = span_word(&line, " ");
		int64_t inode = span_number(word);
		(void)span_cut(&local, ':');
		if (span_eq(local, span_of(wanted)) && span_eq(state, span_of(LISTENS)) &&
			inode > 0 && out->n < PORTS_MAX)
			out->inode[out->n++] = (uint64_t)inode;
	}
}

/* Does this process have one of the sockets? */
static bool
has_one(int proc, const char *pid, const struct ports *p)
{
	char path[NAME_MAX + 8], link[64];
	snprintf(path, sizeof(path), "%.20s/fd", pid);
	int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir d = fd >= 0 ? fdopendir(fd) : NULL;
	for (const char *name; d != NULL && (name = dir_next(d)) != NULL;) {
		ssize_t n = readlinkat(dirfd(d), name, link, sizeof(link) - 1);
		struct span s = { link, n > 0 ? (size_t)n : 0 };
		if (!span_starts(s, span_of("socket:[")))
			continue;
		int64_t inode = span_number(span_unbracket(span_skip(s, strlen("socket:"))));
		for (int i = 0; i < p->n; i++)
			if (inode > 0 && p->inode[i] == (uint64_t)inode)
				return true;
	}
	return false;
}

static void
read_name(int proc, const char *pid, char out[static PORTS_NAME])
{
	char path[NAME_MAX + 8];
	snprintf(path, sizeof(path), "%.20s/comm", pid);
	auto_fd fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, PORTS_NAME - 1);
	out[n > 0 ? n - 1 : 0] = '\0'; /* it ends with a line */
}

bool
ports_owner(const struct ports *p, struct ports_owner *out)
{
	auto_dir proc = opendir("/proc");
	for (const char *name; proc != NULL && (name = dir_next(proc)) != NULL;) {
		int64_t pid = span_number(span_of(name));
		if (pid <= 0 || !has_one(dirfd(proc), name, p))
			continue;
		out->pid = (pid_t)pid;
		read_name(dirfd(proc), name, out->name);
		return true;
	}
	return false;
}
