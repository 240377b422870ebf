#include "admin/mounts.h"

#include <stddef.h>

/* Is path the mount point, or below it? */
static bool
is_below(struct span path, struct span point)
{
	if (point.n == 1)
		return path.n > 0 && path.p[0] == '/';
	return span_starts(path, point) && (path.n == point.n || path.p[point.n] == '/');
}

/* A line: id, parent, device, root, point, options, fields, "-", type, source, options. */
static bool
read_line(struct span line, struct mount *m)
{
	struct span word = { 0 };
	for (int i = 0; i < 5; i++)
		word = span_word(&line, " ");
	m->point = word;
	m->options = span_word(&line, " ");
	while ((word = span_word(&line, " ")).n > 0 && !span_eq(word, span_of("-")))
		;
	m->type = span_word(&line, " ");
	(void)span_word(&line, " ");
	m->more = span_word(&line, " ");
	return m->type.n > 0;
}

/* The last one of the longest: it lies over those before it. */
bool
mounts_find(struct span text, struct span path, struct mount *out)
{
	struct mount m, best = { .type = { 0 } };
	while (text.n > 0)
		if (read_line(span_line(&text), &m) && is_below(path, m.point) &&
			m.point.n >= best.point.n)
			best = m;
	if (best.type.n == 0)
		return false;
	*out = best;
	return true;
}

static bool
has_option(struct span list, const char *option)
{
	for (struct span word; (word = span_word(&list, ",")).n > 0;)
		if (span_eq(word, span_of(option)))
			return true;
	return false;
}

enum mounts_worth
mounts_judge(const struct mount *m, const char **why)
{
	static const struct {
		const char *type;
		enum mounts_worth worth;
		const char *why;
	} types[] = {
		{ "tmpfs", MOUNTS_VOLATILE, "in memory: queued mail is gone with the next boot" },
		{ "ramfs", MOUNTS_VOLATILE, "in memory: queued mail is gone with the next boot" },
		{ "overlay", MOUNTS_UNKNOWN, "the layer of a container, which is gone with it" },
		{ "nfs", MOUNTS_UNKNOWN, "on a server, which has to keep what was synced" },
		{ "nfs4", MOUNTS_UNKNOWN, "on a server, which has to keep what was synced" },
		{ "cifs", MOUNTS_UNKNOWN, "on a server, and may not keep what was synced" },
		{ "smb3", MOUNTS_UNKNOWN, "on a server, and may not keep what was synced" },
		{ "9p", MOUNTS_UNKNOWN, "another machine's, and may not keep what was synced" },
		{ "vfat", MOUNTS_UNKNOWN, "without links, which the queue is made of" },
		{ "exfat", MOUNTS_UNKNOWN, "without links, which the queue is made of" },
	};
	static const char *const careless[] = { "nobarrier", "barrier=0", "eatmydata" };
	for (size_t i = 0; i < sizeof(careless) / sizeof(careless[0]); i++)
		if (has_option(m->options, careless[i]) || has_option(m->more, careless[i])) {
			*why = "mounted without barriers: accepted mail is lost when power goes";
			return MOUNTS_VOLATILE;
		}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (span_eq(m->type, span_of(types[i].type))) {
			*why = types[i].why;
			return types[i].worth;
		}
	if (span_starts(m->type, span_of("fuse"))) {
		*why = "a program's, which has to keep what was synced";
		return MOUNTS_UNKNOWN;
	}
	return MOUNTS_DURABLE;
}
