#include "admin/checked.h"

#include <string.h>

#include "process/launch.h"

enum { PATIENCE = 60 /* s for each of them */ };

void
checked_path(const struct conf *c, const char *program, struct buf *out)
{
	const char *slash = strrchr(c->who.relay_path, '/');
	buf_printf(out, "%.*s/%s", slash != NULL ? (int)(slash - c->who.relay_path) : 0,
		c->who.relay_path, program);
	buf_add(out, (struct span){ "", 1 });
}

int
checked_run(const struct admin *a, const char *path, enum errand_ear ear, struct buf *said)
{
	const char *arg[LAUNCH_ARGUMENTS];
	launch_arguments(&a->options.conf, path, "--check", NULL, arg);
	return errand_run(arg, ear, PATIENCE, said);
}

static bool
read_line(struct span line, struct checked_line *out)
{
	static const struct {
		const char *word;
		enum checked_kind kind;
	} kinds[] = { { " error: ", CHECKED_ERROR }, { " warning: ", CHECKED_WARNING },
		{ " ok: ", CHECKED_FINE } };
	struct span rest = line, program = span_cut(&rest, ':');
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!span_starts(rest, span_of(kinds[i].word)))
			continue;
		rest = span_skip(rest, strlen(kinds[i].word));
		*out = (struct checked_line){ program, kinds[i].kind, rest };
		return true;
	}
	*out = (struct checked_line){ .kind = CHECKED_ODD, .text = line };
	return line.n > 0;
}

bool
checked_next(struct span *rest, struct checked_line *out)
{
	while (rest->n > 0)
		if (read_line(span_line(rest), out))
			return true;
	return false;
}
