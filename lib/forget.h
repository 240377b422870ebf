/*
 * forget: nothing of one client is left in the memory of a process that serves others after it.
 *
 * What belongs to a client wipes itself (session.h). What libraries and our own functions leave
 * behind lies on the heap, where they freed it, and on the stack, below what is in use. smtpd is
 * linked so that its free and realloc come by here (Makefile).
 */
#ifndef POSTERN_FORGET_H
#define POSTERN_FORGET_H

/* From now on what is freed is overwritten first. A process that serves one client has no need. */
void forget_what_is_freed(void);

/* Overwrites the stack below the caller, deeper than anything goes that serves a client. */
void forget_stack(void);

#endif
