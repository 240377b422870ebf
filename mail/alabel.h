/*
 * alabel: names beyond ASCII in the form that every host takes.
 *
 * An internationalized domain name becomes A-labels by IDNA 2008 (RFC 5891), with the
 * non-transitional mapping of UTS 46, as browsers do it. A local part has no such form.
 */
#ifndef POSTERN_ALABEL_H
#define POSTERN_ALABEL_H

#include <stdbool.h>

#include "lib/limits.h"
#include "lib/span.h"

enum {
	ALABEL_DOMAIN = LIMIT_DOMAIN + 1,                /* with NUL */
	ALABEL_ADDRESS = LIMIT_PATH + 1 + ALABEL_DOMAIN, /* more than any that is taken */
};

/* 0, or -EINVAL if it is no domain, or -ENOMEM; then *out is as it was. */
int alabel_domain(struct span domain, char out[static ALABEL_DOMAIN]);

/*
 * An address as it goes to other hosts: where its domain alone is beyond ASCII, with A-labels,
 * written to `room`; else as it is.
 */
struct span alabel_address(struct span address, char room[static ALABEL_ADDRESS]);

/* Is that beyond ASCII all the same? Then only hosts with SMTPUTF8 can have it. */
bool alabel_needs_utf8(struct span address);

#endif
