#include "admin/headers.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/dir.h"
#include "mail/message_id.h"
#include "queue/held.h"

enum { BEGINNING = 32 * 1024 /* octets of a file: envelope and most headers */ };

bool
headers_have(struct span file, struct span id)
{
	struct header walk = { 0 };
	struct header_part part;
	struct message_id m;
	char its[MESSAGE_ID_TEXT], asked[MESSAGE_ID_TEXT];
	while (span_line(&file).n > 0) /* the envelope */
		continue;
	message_id_begin(&m);
	while (header_next(&walk, &file, &part))
		message_id_hear(&m, &part);
	message_id_text(&m, its);
	message_id_shown(id, asked);
	return its[0] != '\0' && strcmp(its, asked) == 0;
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
