#ifndef POSTERN_SEAL_H
#define POSTERN_SEAL_H

/*
 * Makes what the linker wants read-only after the start (RELRO) read-only, where the C library
 * leaves that to us: musl does, in a program that is static. 0 or -errno.
 */
int seal_relocated(void);

#endif
