#include "delivery/notes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/resolvers.h"
#include "delivery/turns.h"
#include "lib/cleanup.h"
#include "process/log.h"

void
notes_send(int fd, enum note_kind kind, const char *lane, const char *id)
{
	struct note n = { .kind = kind };
	snprintf(n.lane, sizeof(n.lane), "%s", lane);
	snprintf(n.id, sizeof(n.id), "%s", id);
	(void)send(fd, &n, sizeof(n), MSG_NOSIGNAL);
}

/* How many come with a note of this kind. */
static int
descriptors_of(enum note_kind kind)
{
	return kind == NOTE_FETCH ? NOTE_FDS : kind == NOTE_SIGN || kind == NOTE_SERVERS;
}

bool
notes_hand_on(int fd, enum note_kind kind, const int *passed)
{
	struct note n = { .kind = kind };
	return handover_send(fd, &n, sizeof(n), passed, descriptors_of(kind)) == 0;
}

static bool
is_sound(const struct note *n)
{
	if (n->kind == NOTE_SIGN || n->kind == NOTE_SERVERS || n->kind == NOTE_FETCH)
		return true;
	return lane_name_valid(span_of(n->lane)) &&
		(n->kind == NOTE_LANE || id_valid(span_of(n->id)));
}

int
notes_receive(int fd, struct note *n, int *passed)
{
	ssize_t got = handover_receive(fd, n, sizeof(*n), MSG_DONTWAIT, passed);
	if (got < 0)
		return got == -ECONNRESET ? 0 : -1;
	if (got != (ssize_t)sizeof(*n))
		return 0;
	n->lane[sizeof(n->lane) - 1] = n->id[sizeof(n->id) - 1] = '\0';
	return is_sound(n) ? 1 : -1;
}

void
notes_ask_alone(const struct relay *r, const char *lane, const char *id)
{
	notes_send(r->keeper, NOTE_ALONE, lane, id);
}

void
notes_ask_sign(const struct relay *r)
{
	if (r->keeper >= 0 && !r->alone)
		notes_send(r->keeper, NOTE_SIGN, "", "");
}

void
notes_ask_servers(const struct relay *r)
{
	if (r->keeper >= 0 && !r->alone)
		notes_send(r->keeper, NOTE_SERVERS, "", "");
}

bool
notes_ask_fetch(const struct relay *r, const int fds[static NOTE_FDS])
{
	return r->keeper >= 0 && notes_hand_on(r->keeper, NOTE_FETCH, fds);
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

/* There is another sign, by this socket. */
static void
take_sign(struct relay *r, int fd)
{
	struct log_fields f = { .event = "dkim" };
	if (fd < 0)
		return;
	if (signer_renew(&r->signer, fd) < 0)
		log_event(LOG_ERR, &f, "dkim_keys %s: sign was started anew, and has other keys, "
			"or none: what needs one waits for the next relay", r->common.dkim.keys);
	else
		log_event(LOG_WARNING, &f, "sign was missed, and was started anew");
}

/* The nameservers as they are by now, from a pipe. */
static void
take_servers(struct relay *r, int fd)
{
	auto_fd from = fd;
	struct log_fields f = { .event = "resolver" };
	struct conf_servers servers;
	if (read(from, &servers, sizeof(servers)) == (ssize_t)sizeof(servers) &&
		resolvers_change(r->resolvers, &servers))
		log_event(LOG_NOTICE, &f,
			"no nameserver answers; " CONF_RESOLVER " has other ones by now");
}

bool
notes_hear(struct relay *r)
{
	struct note n;
	int got, passed[NOTE_FDS];
	while ((got = notes_receive(r->keeper, &n, passed)) > 0) {
		if (n.kind == NOTE_SIGN) {
			take_sign(r, passed[0]);
			continue;
		}
		if (n.kind == NOTE_SERVERS) {
			take_servers(r, passed[0]);
			continue;
		}
		suspects_remove(&r->suspects, n.lane, n.id);
		turns_lane(r, n.lane, 0);
	}
	return got != 0;
}
