/*
 * notify: tells systemd how it goes, as sd_notify(3) does. Where nobody asked for it (there is no
 * NOTIFY_SOCKET), nothing is said; what cannot be said is left out.
 */
#ifndef POSTERN_NOTIFY_H
#define POSTERN_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STATUS=...", one assignment for each line. */
void notify_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* How often a sign of life is wanted, ms: twice as often as systemd waits. 0: none is wanted. */
int64_t notify_watchdog(void);

#endif
