/*
 * wait: until a descriptor is ready, a deadline has passed, or a stop was requested.
 *
 * Signals are open only in here (smtpd.c blocks them), so that a stop request cannot slip in
 * between looking and waiting.
 */
#ifndef POSTERN_WAIT_H
#define POSTERN_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Waits for poll(2) events. 0; -ETIMEDOUT; -ECANCELED if *stop is set, by a signal or before (NULL:
 * there is no such thing); -errno.
 */
int wait_for(int fd, short events, int64_t deadline, const volatile int *stop);

/* The same; what is ready (POLLHUP, POLLERR too) instead of 0. */
int wait_which(int fd, short events, int64_t deadline, const volatile int *stop);

/* Is it ready now, or is there trouble with it? Does not wait. */
bool wait_is_ready(int fd, short events);

/*
 * From now on each wait of this thread ends as if its deadline had passed while `fd` is readable;
 * -1: none does.
 */
void wait_until_told(int fd);

/* Is it readable now? Then that a wait ended says nothing of what was waited for. */
bool wait_is_told(void);

/* An eventfd: now it is readable, and now no more. */
void wait_tell(int fd);
void wait_forget(int fd);

/* That descriptor, for those who poll several at once. */
int wait_told_by(void);

#endif
