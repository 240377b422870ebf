#include "delivery/notes.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "delivery/turns.h"

void
notes_send(int fd, enum note_kind kind, const char *lane, const char *id)
{
	struct note n = { .kind = kind };
	snprintf(n.lane, sizeof(n.lane), "%s", lane);
	snprintf(n.id, sizeof(n.id), "%s", id);
	(void)send(fd, &n, sizeof(n), MSG_NOSIGNAL);
}

int
notes_receive(int fd, struct note *n)
{
	ssize_t got = recv(fd, n, sizeof(*n), MSG_DONTWAIT);
	if (got < 0)
		return errno == ECONNRESET ? 0 : -1;
	if (got != (ssize_t)sizeof(*n))
		return 0;
	n->lane[sizeof(n->lane) - 1] = n->id[sizeof(n->id) - 1] = '\0';
	bool sound = lane_name_valid(span_of(n->lane)) &&
		(n->kind == NOTE_LANE || id_valid(span_of(n->id)));
	return sound ? 1 : -1;
}

void
notes_ask_alone(const struct relay *r, const char *lane, const char *id)
{
	notes_send(r->keeper, NOTE_ALONE, lane, id);
}

void
notes_tell_of(struct relay *r, const char *lane)
{
	char login[LOGIN_NAME_SIZE];
	way_login(&r->common, lane, login);
	if (!r->alone && strcmp(login, r->login_name) == 0)
		turns_lane(r, lane, 0);
	else if (r->keeper >= 0)
		notes_send(r->keeper, NOTE_LANE, lane, "");
}

bool
notes_hear(struct relay *r)
{
	struct note n;
	int got;
	while ((got = notes_receive(r->keeper, &n)) > 0) {
		suspects_remove(&r->suspects, n.lane, n.id);
		turns_lane(r, n.lane, 0);
	}
	return got != 0;
}
