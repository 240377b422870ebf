/* list: what is in the queue, lane by lane. */
#include "admin/command.h"

#include <dirent.h>
#include <fcntl.h>

#include "lib/cleanup.h"
#include "lib/dir.h"
#include "lib/id.h"
#include "mail/lane_name.h"
#include "queue/lane.h"

static void
show_one(struct admin *a, const char *lane, const char *id)
{
	if (a->out.json) {
		out_json(&a->out, json_pack("{s:s, s:o}", "id", id, "lane",
			out_string(span_of(lane))));
	} else {
		out_cell(&a->out, span_of(id));
		out_cell(&a->out, span_of(lane));
	}
}

/* Messages of a lane that were shown. */
static size_t
show_lane(struct admin *a, const char *name)
{
	struct lane l = LANE_CLOSED;
	size_t n = 0;
	if (lane_open(&l, &a->spool, name) < 0)
		return 0;
	auto_dir d = fdopendir(openat(l.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	for (const char *id; d != NULL && (id = dir_next(d)) != NULL;) {
		if (!id_valid(span_of(id)))
			continue;
		show_one(a, name, id);
		n++;
	}
	lane_close(&l);
	return n;
}

static int
run(struct admin *a, int argc, char **argv)
{
	static const struct out_column columns[] = {
		{ "id", ID_LEN, false },
		{ "lane", 20, false },
	};
	size_t n = 0;
	auto_dir d = fdopendir(openat(a->spool.lanes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	(void)argc;
	(void)argv;
	if (!a->out.json)
		out_table(&a->out, columns, 2);
	for (const char *name; d != NULL && (name = dir_next(d)) != NULL;)
		if (lane_name_valid(span_of(name)))
			n += show_lane(a, name);
	return n > 0 ? ADMIN_DONE : ADMIN_NOTHING;
}

const struct command command_list = {
	.name = "list",
	.operands = "",
	.what = "messages in the queue",
	.needs = NEEDS_QUEUE,
	.run = run,
};
