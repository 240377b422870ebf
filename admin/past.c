#include "admin/past.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "queue/history.h"

enum { REASON = 1024 }; /* octets of @retry that are read */

bool
past_next(struct span *rest, struct entry *line)
{
	if (rest->n == 0)
		return false;
	entry_read(span_cut(rest, '\n'), line);
	return true;
}

void
past_read(struct past *p, const struct lane *l, const char *id)
{
	*p = (struct past){ .text = buf_new(HISTORY_MAX) };
	(void)history_read(l, id, &p->text);
	struct span rest = buf_span(&p->text);
	for (struct entry line; past_next(&rest, &line);) {
		if (line.event != ENTRY_PUT_OFF)
			continue;
		p->attempts++;
		p->last = line;
	}
}

void
past_free(struct past *p)
{
	buf_free(&p->text);
}

int64_t
past_next_try(const struct lane *l, const char *id, bool held, const struct lane_state *st)
{
	if (held)
		return INT64_MAX;
	int64_t own = message_next(l, id), lane = st->down ? st->next : 0;
	int64_t next = own > lane ? own : lane;
	return next > clock_wall() ? next : 0;
}

void
past_say_next(char *text, size_t size, int64_t next)
{
	if (next == INT64_MAX)
		(void)snprintf(text, size, "held");
	else if (next <= clock_wall())
		(void)snprintf(text, size, "now");
	else
		out_duration(text, size, next - clock_wall());
}

json_t *
past_json_next(int64_t next)
{
	return next == INT64_MAX ? json_null() : json_integer(next > clock_wall() ? next : 0);
}

void
past_lane_reason(struct buf *text, const struct lane *l)
{
	char line[REASON];
	auto_fd fd = openat(l->dir, LANE_RETRY, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, line, sizeof(line)) : 0;
	if (n > 0)
		buf_add(text, span_chomp((struct span){ line, (size_t)n }));
}
