/* finding: what `doctor` says of one thing it looked at, in a line. */
#ifndef POSTERN_FINDING_H
#define POSTERN_FINDING_H

#include "admin/admin.h"

enum finding_state {
	FINDING_OK,
	FINDING_SKIPPED, /* it was not looked at, and the advice says how it would be */
	FINDING_WARN,    /* mail flows, and somebody ought to look at it */
	FINDING_FAIL,    /* mail does not flow, or will be lost */
};

/* So many there were. */
struct findings_told {
	int n[FINDING_FAIL + 1];
};

/* Who tells, and what was told. */
struct teller {
	struct out *out;
	struct findings_told told;
};

/*
 * Tells of a check by its short name ("spool"). `advice` is what to do, NULL or "": nothing. What
 * strangers wrote may be in both. As JSON: "check", "state" (ok, skipped, warn, fail), "text",
 * "advice".
 */
void finding_tell(struct teller *t, const char *check, enum finding_state state, const char *advice,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
