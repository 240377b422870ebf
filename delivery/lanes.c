#include "delivery/lanes.h"

#include <errno.h>
#include <string.h>

#include "lib/dir.h"
#include "mail/lane_name.h"
#include "process/log.h"

static void
log_unreadable(int err)
{
	struct log_fields f = { .event = "spool" };
	log_event(LOG_ERR, &f, "lane/: cannot read: %s", strerror(err));
}

DIR *
lanes_open(const struct spool *s)
{
	DIR *lanes = dir_open(s->lanes);
	if (lanes == NULL)
		log_unreadable(errno);
	return lanes;
}

const char *
lanes_next(DIR *lanes)
{
	const char *name;
	while ((name = dir_next(lanes)) != NULL && !lane_name_valid(span_of(name)))
		;
	if (name == NULL && errno != 0)
		log_unreadable(errno);
	return name;
}
