/* ports: who listens at a port of this host. */
#ifndef POSTERN_PORTS_H
#define POSTERN_PORTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/span.h"

enum { PORTS_MAX = 16, PORTS_NAME = 32 };

/* The sockets that listen there, by their inodes; more than PORTS_MAX are left out. */
struct ports {
	uint64_t inode[PORTS_MAX];
	int n;
};

/* Adds those of the text of /proc/net/tcp, or tcp6. */
void ports_read(struct span text, uint16_t port, struct ports *out);

/* Whose one of them is. False: no process was seen that has it. */
struct ports_owner {
	pid_t pid;
	char name[PORTS_NAME]; /* as the kernel has it */
};
bool ports_owner(const struct ports *p, struct ports_owner *out);

#endif
