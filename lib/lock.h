/*
 * lock: locks on open files.
 *
 * Open-file-description locks (fcntl F_OFD_SETLK): they belong to the open file, not to the
 * process, so a fork or an exec hands them on, and a process that is killed cannot leave one
 * behind. A lock covers a range of byte positions; the file need not be that long.
 */
#ifndef POSTERN_LOCK_H
#define POSTERN_LOCK_H

#include <stdint.h>

#define LOCK_WHOLE INT64_C(0) /* as a length: everything from the position on */

/* Tries to lock [pos, pos+len) of fd for one owner. 0, -EAGAIN if another has it, or -errno. */
int lock_exclusive(int fd, int64_t pos, int64_t len);

/* The same for many readers. */
int lock_shared(int fd, int64_t pos, int64_t len);

#endif
