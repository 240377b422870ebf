/*
 * postfix: events as lines that readers of Postfix's log understand: pflogsumm, logwatch, fail2ban.
 *
 * Each is the text behind "postfix/NAME[pid]: ". Most events are one line; a message that was
 * accepted is three, for there it is smtpd that names the client, cleanup that names the message,
 * and qmgr that names the sender.
 * What Postfix has no line for is our own text, behind "warning: " if somebody ought to look at it;
 * two events that it never speaks of are left out: a connection to a host in clear, and AUTH that
 * went well, whose user stands in the line of the message. Queue ids are in capitals here, since
 * logwatch takes no others.
 *
 * Values are escaped already, so nothing of a client can look like the end of a line.
 */
#ifndef POSTERN_POSTFIX_H
#define POSTERN_POSTFIX_H

#include <stddef.h>

#include "process/event.h"

enum { POSTFIX_PARTS = 3 };

/*
 * Line `part` (from 0) of an event that we would tell by `text`, as a C string in out[room], cut if
 * it has no room. The name of Postfix's program that says such a thing, or NULL: there is no such
 * line.
 */
const char *postfix_line(int priority, const struct log_fields *f, const char *program,
	const char *text, int part, char *out, size_t room);

#endif
