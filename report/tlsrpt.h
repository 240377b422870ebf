/*
 * tlsrpt: sessions with hosts, counted for the reports on TLS that their domains ask for (RFC
 * 8460).
 *
 * Each session whose TLS came to something is noted once, under the domain of the mail, and under
 * each policy that was asked of it: that of DANE, of MTA-STS, or none. What a policy itself came
 * to, with no session to show for it, is noted the same way, without a host. postern-tlsreport
 * makes a report of what was noted, when the day is over.
 *
 *	a session that was as it should be     openat, write, close
 *	... or not, as one before it           the same
 *	the first of its kind on a day         about 20 system calls
 *
 * Who asks for reports is not looked up before the day is over, so nothing here asks the DNS.
 */
#ifndef POSTERN_TLSRPT_H
#define POSTERN_TLSRPT_H

#include "lib/net.h"
#include "lib/tlsresult.h"
#include "queue/tally.h"

enum tlsrpt_type { TLSRPT_NO_POLICY, TLSRPT_STS, TLSRPT_TLSA };

enum {
	TLSRPT_LINES = 64, /* of a policy, or of its mx patterns, that a report shows */
	TLSRPT_LINE = 255, /* octets of one */
	TLSRPT_REASON = 100,
};

/* What was asked of the host, and by whom. */
struct tlsrpt_policy {
	enum tlsrpt_type type;
	const char *domain; /* whose it is: of TLSA the base domain; NULL: the domain of the mail */
	struct span text;   /* its lines, LF or CRLF: of STS the policy as it came, "mode:
	                     * enforce", of TLSA a record in each, "3 1 1 ab12..." */
	struct span mx;     /* of STS its mx patterns, a line each, "*.example.org" */
};

/* What came of it. Of a success nothing else is said; NULL: unknown. */
struct tlsrpt_session {
	const char *domain;          /* of the mail: that of the lane */
	struct tlsrpt_policy policy;
	enum tls_result result;      /* UNKNOWN: nothing is noted */
	const struct netaddr *from;  /* our address, */
	const struct netaddr *to;    /* and the host's */
	const char *host;            /* its name among the MX records, */
	const char *helo;            /* and what it calls itself in its greeting */
	const char *reason;          /* for people: what OpenSSL, or the DNS, says */
};

/*
 * Counts it, for the day of `wall` (s). Threads may do so at once; a domain that is none (an
 * address literal, a route) is passed by. 0 or -errno: it is not counted, which is nothing to stop
 * mail for.
 */
int tlsrpt_note(const struct tally *t, int64_t wall, const struct tlsrpt_session *s);

/* ---- for who makes the report -------------------------------------------------------------- */

/* One line of what was noted; `value` as it is to be shown, ASCII without control characters. */
struct tlsrpt_line {
	enum tlsrpt_field { TLSRPT_POLICY, TLSRPT_DOMAIN, TLSRPT_TEXT, TLSRPT_MX, TLSRPT_RESULT,
		TLSRPT_FROM, TLSRPT_TO, TLSRPT_HOST, TLSRPT_HELO, TLSRPT_WHY, TLSRPT_FIELDS } field;
	struct span value;
};

/* The next line of *rest, the text of a tally. False: there is no more, or it is odd. */
bool tlsrpt_next(struct span *rest, struct tlsrpt_line *out);

/*
 * How much of the text is about the policy alone: where that is the same, a report has one policy.
 */
struct span tlsrpt_policy_of(struct span text);

/* Words of RFC 8460 sections 4.3 and 4.4: "certificate-expired", "no-policy-found". */
const char *tlsrpt_result_word(enum tls_result r);
const char *tlsrpt_type_word(enum tlsrpt_type t);

#endif
