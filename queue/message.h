/*
 * message: a queued message (stored.h), as relay opens it, marks who is settled, writes down what
 * happened, and takes it out of the lane.
 */
#ifndef POSTERN_MESSAGE_H
#define POSTERN_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/lane.h"
#include "queue/stored.h"

/* The last line. */
void message_end(char out[static MESSAGE_END_SIZE + 1], uint64_t length, uint32_t crc,
	const char *id);

/* Is there a recipient who is not settled? */
bool message_waits(const struct message *m);

/*
 * Opens message `id` of this lane, checks that it is whole, and reads what happened to it before.
 * 0; -ENOENT: gone; -EAGAIN: its writer has not finished; -EBADMSG: not whole, or not ours; other
 * -errno: could not be read, or not be written to, now. On failure *m is closed.
 */
int message_open(struct message *m, const struct lane *l, const char *id);

/* The same of one of which message_next said that nothing was written yet: it is not looked for. */
int message_open_first(struct message *m, const struct lane *l, const char *id);

/*
 * For somebody who only looks: the envelope, who is settled and how often it was tried, without
 * reading the body, of which `body` and `length` are known. The file is closed again, so nobody is
 * kept from it; it may be in the hands of a relay. 0 or -errno, as message_open.
 */
int message_look(struct message *m, const struct lane *l, const char *id);

/*
 * Keeps relays away from a message that is open: from then on it has no other reader, and its name
 * is still in the lane; whoever opens it later finds it as it is then. 0; -EAGAIN: a relay has it
 * in hand; -ENOENT: it is gone; or -errno. Until message_close.
 */
int message_seize(const struct message *m, const struct lane *l);

/* False: it is a directory, a link, a pipe or a socket, which nobody ever queued. */
bool message_is_file(const struct lane *l, const char *id);

void message_close(struct message *m);

/*
 * Reads of a message only what its sender asked for with MAIL, and what was told; the rest of *m is
 * not to be used, but for message_close. Much cheaper than to open it. 0; -EBADMSG: that cannot be
 * seen; or -errno.
 */
int message_glance(struct message *m, const struct lane *l, const char *id);

/* Reads up to n octets of the body from `offset`. Octets, or -errno; 0 only at the end. */
ssize_t message_read(const struct message *m, uint64_t offset, char *p, size_t n);

/*
 * Wall-clock time before which this message is not tried; 0: at once, and nothing was written of it
 * yet. Does not open it.
 */
int64_t message_next(const struct lane *l, const char *id);

/*
 * Before it is sent: can be written down what becomes of it? A state is written again as it stands;
 * `full`: there is hardly any room, so it is seen through to the disk, for some file systems write
 * nothing in place. 0 or -errno: then it must not be sent.
 */
int message_try_mark(const struct message *m, bool full);

/*
 * Writes down who was settled, in the states. Synced before it returns. 0 or -errno: at least one
 * of them would be tried again.
 */
int message_mark(const struct message *m, const struct lane *l);

/*
 * Appends to the message's log what was said of those who were settled and, if that was the end of
 * an attempt, that the rest was put off. It is not tried before `next`, which may hold though there
 * was no room for words. 0 or -errno: that is lost, and nothing else.
 */
int message_note(const struct message *m, const struct lane *l, int64_t next, bool attempt);

/* Appends that the sender was told (TOLD_*). 0 or -errno. */
int message_tell(const struct message *m, const struct lane *l, unsigned told);

/* It is not tried before `next`, for a reason that is no attempt. 0 or -errno. */
int message_wait(const struct message *m, const struct lane *l, int64_t next);

/*
 * A relay died with this message in hand, so it is not opened: counts as an attempt. 0 or -errno.
 * *times: how often that was.
 */
int message_note_crash(const struct lane *l, const char *id, int *times);

/* Did a relay ever die with it? Read from its log alone. */
bool message_has_crashed(const struct lane *l, const char *id);

/* Takes the message and its log out of the lane. 0 or -errno. */
int message_remove(const struct lane *l, const char *id);

/*
 * The same of one that is open. If it had no log then, none is looked for: one that was begun
 * meanwhile is taken away by the next scan.
 */
int message_finish(const struct message *m, const struct lane *l);

/* Moves an incomplete message out of the way. 0 or -errno. */
int message_set_aside(const struct spool *s, const struct lane *l, const char *id);

#endif
