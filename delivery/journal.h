/*
 * journal: libsystemd, for relays that talk to hosts, where events go to the journal.
 *
 * The process is there for many messages and can afford the library, which knows every way that
 * journald takes entries. One that only looks whether mail is due, or serves one client, cannot (84
 * page faults, seven libraries): its entries are one datagram each (process/log.c).
 */
#ifndef POSTERN_JOURNAL_H
#define POSTERN_JOURNAL_H

/* Before the process is locked in. Without the library nothing changes. */
void journal_load(void);

#endif
