#include "admin/headers.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/dir.h"
#include "queue/held.h"

enum { BEGINNING = 32 * 1024 /* octets of a file: envelope and most headers */ };

bool
headers_have(struct span file, struct span id)
{
	static const struct span name = { "Message-ID:", 11 };
	bool envelope = true;
	while (file.n > 0) {
		struct span line = span_line(&file);
		if (line.n == 0) {
			if (!envelope)
				return false;
			envelope = false;
		}
		if (envelope || !span_istarts(line, name))
			continue;
		struct span value = span_trim(span_skip(line, name.n));
		if (value.n == 0) /* folded behind the name */
			value = span_trim(span_line(&file));
		bool both = value.n >= 2 && value.p[0] == '<' && value.p[value.n - 1] == '>';
		return span_eq(both ? (struct span){ value.p + 1, value.n - 2 } : value, id);
	}
	return false;
}

static void
look(int lane, const char *name, struct span id, struct stories *out)
{
	char text[BEGINNING];
	auto_fd fd = openat(lane, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (n > 0 && headers_have((struct span){ text, (size_t)n }, id))
		(void)story_of(out, span_of(name));
}

static void
look_into(int lanes, const char *lane, struct span id, struct stories *out)
{
	int fd = openat(lanes, lane, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_dir d = fd >= 0 ? fdopendir(fd) : NULL;
	for (const char *name; d != NULL && (name = dir_next(d)) != NULL;)
		if (id_valid(span_of(name)))
			look(dirfd(d), name, id, out);
}

static void
look_into_all(int lanes, struct span id, struct stories *out)
{
	auto_dir d = dir_open(lanes);
	for (const char *name; d != NULL && (name = dir_next(d)) != NULL;)
		if (lane_name_valid(span_of(name)))
			look_into(lanes, name, id, out);
}

void
headers_find(const struct spool *spool, struct span id, struct stories *out)
{
	auto_fd held = spool->root >= 0 ? held_open_all(spool) : -1;
	look_into_all(spool->lanes, id, out);
	look_into_all(held, id, out);
}
