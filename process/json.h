/*
 * json: an event as one line of JSON.
 *
 * An object: "time" (RFC 3339, UTC, microseconds), "level" (emerg to debug), "program", "pid",
 * "message", and the fields of event.h that the event has, under their names in small letters.
 * Whatever octets a value holds the line is valid, ASCII, and one line: what is not printable ASCII
 * is \xHH there, as everywhere in the log, and what JSON has a meaning for is escaped. A field that
 * has no room is left out.
 */
#ifndef POSTERN_JSON_H
#define POSTERN_JSON_H

#include <stddef.h>

#include "process/event.h"

/* How many octets it has; a NUL stands behind them. `room` is at least JSON_LEAST. */
size_t json_line(int priority, const struct log_fields *f, const char *program, const char *text,
	char *out, size_t room);

enum { JSON_LEAST = 256 }; /* for all but message and fields */

#endif
