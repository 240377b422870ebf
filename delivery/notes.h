/*
 * notes: what a relay at work and the first process (keeper.h) have to say to each other.
 */
#ifndef POSTERN_NOTES_H
#define POSTERN_NOTES_H

#include "delivery/delivery.h"

struct note {
	enum note_kind {
		NOTE_LANE,  /* there is new mail in this lane, which may need another login */
		NOTE_ALONE, /* this message is to be tried alone */
		NOTE_TRIED, /* ... and was */
		NOTE_SIGN,  /* sign has died; and the answer, with a socket to another one */
		NOTE_SERVERS, /* no nameserver answers; and the answer, with other ones to read */
	} kind;
	char lane[LANE_NAME_SIZE];
	char id[ID_SIZE]; /* "" of NOTE_LANE; both are of the last two */
};

/* One note, over a SOCK_SEQPACKET socket. What cannot be sent is a matter of time, not of mail. */
void notes_send(int fd, enum note_kind kind, const char *lane, const char *id);

/* NOTE_SIGN or NOTE_SERVERS, with a descriptor, which stays ours. */
void notes_hand_on(int fd, enum note_kind kind, int passed);

/*
 * Does not wait. 1; 0: the other side has ended; -1: there is none now, or it is odd. *passed is
 * the descriptor that came with it, or -1; NULL: none is taken.
 */
int notes_receive(int fd, struct note *n, int *passed);

/* ---- of the relay at work */

void notes_ask_alone(const struct relay *r, const char *lane, const char *id);

/* Sign was missed: the first process is to start another one. */
void notes_ask_sign(const struct relay *r);

/* No nameserver answers: the first process may know of others by now. */
void notes_ask_servers(const struct relay *r);

/* There is new mail in this lane: for this relay, or for another one. */
void notes_tell_of(struct relay *r, const char *lane);

/*
 * Hears which messages were tried, and of another sign or nameservers. False: the first process is
 * gone.
 */
bool notes_hear(struct relay *r);

#endif
