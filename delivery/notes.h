/*
 * notes: what a relay at work and the first process (keeper.h) have to say to each other.
 */
#ifndef POSTERN_NOTES_H
#define POSTERN_NOTES_H

#include "delivery/delivery.h"
#include "lib/handover.h"

struct note {
	enum note_kind {
		NOTE_LANE,  /* there is new mail in this lane, which may need another login */
		NOTE_ALONE, /* this message is to be tried alone */
		NOTE_TRIED, /* ... and was */
		NOTE_SIGN,  /* sign has died; and the answer, with a socket to another one */
		NOTE_SERVERS, /* no nameserver answers; and the answer, with other ones to read */
		NOTE_FETCH, /* something is to be fetched, by these descriptors (fetching.h) */
	} kind;
	char lane[LANE_NAME_SIZE]; /* of the first three */
	char id[ID_SIZE];          /* of NOTE_ALONE and NOTE_TRIED */
};

/* One note, over a SOCK_SEQPACKET socket. What cannot be sent is a matter of time, not of mail. */
void notes_send(int fd, enum note_kind kind, const char *lane, const char *id);

enum { NOTE_FDS = HANDOVER_FDS }; /* descriptors that may come with one */

/*
 * A note that comes with descriptors, which stay ours: one, but two with NOTE_FETCH. False:
 * nobody gets it.
 */
bool notes_hand_on(int fd, enum note_kind kind, const int *passed);

/*
 * Does not wait. 1; 0: the other side has ended; -1: there is none now, or it is odd. `passed` are
 * the NOTE_FDS descriptors that came with it, or -1; NULL: none is taken.
 */
int notes_receive(int fd, struct note *n, int *passed);

/* ---- of the relay at work */

void notes_ask_alone(const struct relay *r, const char *lane, const char *id);

/* Sign was missed: the first process is to start another one. */
void notes_ask_sign(const struct relay *r);

/* No nameserver answers: the first process may know of others by now. */
void notes_ask_servers(const struct relay *r);

/*
 * Something is to be fetched: the first process is to start fetch with these two descriptors.
 * False: there is none any more.
 */
bool notes_ask_fetch(const struct relay *r, const int fds[static NOTE_FDS]);

/* There is new mail in this lane: for this relay, or for another one. */
void notes_tell_of(struct relay *r, const char *lane);

/*
 * Hears which messages were tried, and of another sign or nameservers. False: the first process is
 * gone.
 */
bool notes_hear(struct relay *r);

#endif
