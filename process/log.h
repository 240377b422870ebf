/*
 * log: one line per event, to the journal with fields, to syslog, or to standard error.
 *
 * The line is a text of ours, or what a reader of Postfix's log understands (postfix.h), or JSON
 * (json.h). Values come from peers: whoever calls escapes them (buf_escape). A log that cannot be
 * written never stops mail (J18).
 */
#ifndef POSTERN_LOG_H
#define POSTERN_LOG_H

#include <stdbool.h>
#include <sys/uio.h>
#include <syslog.h>

#include "conf/conf.h"
#include "process/event.h"

/*
 * Chooses where events go and connects to it, so that it works after the process locked itself in.
 * LOG_TO_AUTO: the journal if it can be connected to, else syslog. Where nothing can be, standard
 * error, which smtpd has made sure is not the client.
 */
void log_open(enum conf_log where, const char *program);

/* What lines are, from now on; `host` is our name, for those that say whose they are. Copied. */
void log_shape(enum conf_log_format format, const char *host);

/* Do lines have another shape than ours? Then the end of a connection is an event, too. */
bool log_is_shaped(void);

/*
 * Do events go to the journal? And who takes the n fields of one there, by a socket of its own: 0
 * or -errno.
 */
bool log_goes_to_journal(void);
void log_journal_by(int (*send)(const struct iovec *field, int n));

/*
 * Connects the socket anew; it is one for this process and those that were forked from it. For when
 * a syslogd has ended and another listens. A stream is another one then, and so is what was shut
 * down, for this process and those that are forked from now on. 0 or -errno.
 */
int log_reconnect(int unused);

/* The number of the socket; -1: there is none. */
int log_descriptor(void);

/*
 * How many sockets took the place of the first one, in a process that is not locked in: who was
 * forked from it before the last one has an old one.
 */
unsigned log_streams(void);

/* Who does that for a process that is locked in: called with `argument`, 0 or -errno. */
void log_reconnect_by(int (*reconnect)(int argument), int argument);

/* Could this kind of log be connected to? 0 or -errno. And its socket; NULL: it has none. */
int log_try(enum conf_log where);
const char *log_socket(enum conf_log where);

/* `priority` as in syslog(3). */
void log_event(int priority, const struct log_fields *f, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
