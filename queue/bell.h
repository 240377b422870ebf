/*
 * bell: how the relay that is at work hears of new mail, and how whoever queues mail hears that no
 * relay is at work.
 *
 * A host has one relay for each login, and a directory of the spool for each of them, with a lock
 * that the relay holds while it lives and a bell, which is a FIFO. Whoever queued a message rings
 * with the name of its lane. If nobody listens, it tries for the lock and starts a relay with that
 * in its hands.
 *
 * A bell holds some hundred names. One that finds no room is lost, and the relay is told to look at
 * all lanes: it can tell from the number of octets it read without a pause that the bell may have
 * been full.
 *
 * Where the file system has no FIFOs a relay is deaf. Whoever rings finds that nobody listens, and
 * that the lock is taken, and leaves a mark, which such a relay looks for now and then.
 */
#ifndef POSTERN_BELL_H
#define POSTERN_BELL_H

#include <stdbool.h>

#include "mail/lane_name.h"
#include "queue/spool.h"

enum { BELL_BUFFER = 4096 };

struct bell {
	int fd;        /* readable: something was rung; -1: deaf */
	int own;       /* a writer, so that the bell does not end when others do */
	size_t most;   /* octets that a bell with room for one more name may hold */
	size_t heard;  /* octets since it was last empty */
	size_t n, at;  /* octets in the buffer, and those that were given out */
	char buffer[BELL_BUFFER];
};

enum bell_heard {
	BELL_SILENT, /* nothing, now */
	BELL_LANE,   /* a lane has new mail */
	BELL_ALL,    /* any lane may have */
};

/* Opens the directory of a login on this host, and makes it if need be. An fd or -errno. */
int bell_open_dir(const struct spool *s, const char *host, const char *login);

/*
 * Makes all that a login's relay needs there, unless it is there: the directory, the lock and the
 * bell. On a disk without room it could not be made, and mail would stay where it could go.
 * 0 or -errno.
 */
int bell_prepare(const struct spool *s, const char *host, const char *login);

/* Says that `lane` has new mail. 0; -ENXIO: nobody listens; or -errno. Never waits. */
int bell_ring(int dir, const char *lane);

/* ... in place of a lane: any may be due. */
#define BELL_ANY "*"

/*
 * The lock: an fd, that holds it until it is closed in each process that has it; -EAGAIN: another
 * relay has it; or -errno.
 */
int bell_lock(int dir);

/*
 * Makes the bell, if it is not there. What stands in its place, after a copy by something that
 * knows no FIFO perhaps, goes: whoever wrote there would think that he was heard. 0 or -errno.
 */
int bell_make(int dir);

/* Does this error of bell_make say that the file system has no FIFOs? */
bool bell_is_impossible(int err);

/*
 * Whoever rang in vain and cannot have the lock leaves a mark: its holder takes it away when it has
 * begun to listen, and when the lock is free again, and if it was there looks at all lanes. 0 or
 * -errno; true: it was there.
 */
int bell_leave_mark(int dir);
bool bell_take_mark(int dir);

/* Begins to listen. For the holder of the lock only. 0; -ENOENT: there is no bell; or -errno. */
int bell_listen(struct bell *b, int dir);

/* Makes it a bell that nobody can ring. */
void bell_be_deaf(struct bell *b);

/*
 * The next thing that was rung; never waits. For BELL_LANE the lane's name is in `lane`. BELL_ALL
 * comes behind the names if some may have been lost.
 */
enum bell_heard bell_hear(struct bell *b, char lane[static LANE_NAME_SIZE]);

/* Whoever rings now is told that nobody listens. What was not heard yet is lost. */
void bell_close(struct bell *b);

#endif
