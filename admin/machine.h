/*
 * machine: what `doctor` looks at on this machine: the disk, the clock, the port, systemd. None of
 * it reads what a stranger said.
 */
#ifndef POSTERN_MACHINE_H
#define POSTERN_MACHINE_H

#include "admin/finding.h"

/* The spool: on which file system it lies, whose it is, and whether there is room. */
void machine_spool(struct teller *t, const struct conf *c);

void machine_clock(struct teller *t);

/* Who listens at the port at which mail comes in. */
void machine_port(struct teller *t, uint16_t port);

/* The units of systemd, and what they allow. */
void machine_units(struct teller *t, const struct conf *c);

#endif
