/* units: what systemd says of the units of Postern. */
#ifndef POSTERN_UNITS_H
#define POSTERN_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"

/* The value of a property in a block of "systemctl show"; nothing: it is not there. */
struct span units_value(struct span block, const char *name);

/* The next of several blocks with empty lines between; *text moves behind it. False: no more. */
bool units_next(struct span *text, struct span *block);

/* Is it there, and does it run (or listen, or wait for its time)? */
bool units_is_loaded(struct span block);
bool units_is_active(struct span block);
bool units_is_failed(struct span block);

/* Will it run after the next boot? Not if it is "disabled"; a unit that is made by others will. */
bool units_is_enabled(struct span block);

/* A number; "infinity" and what is none: INT64_MAX. */
int64_t units_number(struct span block, const char *name);

#endif
