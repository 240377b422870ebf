/*
 * mortal: a library for LD_PRELOAD, with which a program dies of what it reads: of a fault, in the
 * thread that reads it, or of an assertion.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define FAULT "die of a fault"
#define ASSERTION "die of an assertion"

ssize_t
read(int fd, void *p, size_t n)
{
	ssize_t r = syscall(SYS_read, fd, p, n);
	size_t got = r > 0 ? (size_t)r : 0;
	if (memmem(p, got, FAULT, strlen(FAULT)) != NULL)
		*(volatile char *)16 = 0;
	if (memmem(p, got, ASSERTION, strlen(ASSERTION)) != NULL)
		abort();
	return r;
}
