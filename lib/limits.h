/*
 * limits: fixed limits that several modules have in common, each with its source or reason. What
 * one module alone needs stands there.
 *
 * What a site may want to change is a setting (conf.h) and not here.
 */
#ifndef POSTERN_LIMITS_H
#define POSTERN_LIMITS_H

enum {
	/*
	 * RFC 5321 sections 4.5.3.1.2 and 4.5.3.1.3: octets, without NUL. The 64 octets of a local
	 * part (4.5.3.1.1) are what must work and no limit here: many reply addresses are longer.
	 */
	LIMIT_DOMAIN = 255,
	LIMIT_PATH = 256, /* with the angle brackets */
	LIMIT_LABEL = 63, /* RFC 1035 section 2.3.4 */

	/* An address that no path limits, as in a certificate, or the name of a user: 64 octets,
	 * "@" and a domain. Buffers are this long plus NUL. */
	LIMIT_ADDRESS = 64 + 1 + LIMIT_DOMAIN,

	/* A command line with its CRLF. Section 4.5.3.1.4 asks for 512, and the extensions add up
	 * to about 1 200 (SIZE 26, BODY 16, SMTPUTF8 10, AUTH 500, DSN 500 and others). */
	LIMIT_COMMAND = 2048,

	/* What is thrown away of one overlong command line before the connection is closed. */
	LIMIT_COMMAND_JUNK = 64 * 1024,

	/* A line of an AUTH exchange (RFC 4954 section 4). */
	LIMIT_AUTH_LINE = 12288,

	/* Wrong passwords before the connection is closed. */
	LIMIT_AUTH_FAILURES = 3,

	/*
	 * NOOP, RSET, VRFY, HELP and the like without a message between them: what no client needs.
	 */
	LIMIT_IDLE_COMMANDS = 1000,
	/*
	 * Of a client that may not send anywhere: so many, and so many seconds until it has brought
	 * a message, or four addresses would hold all the places there are with a NOOP now and
	 * then. Five minutes for each command up to the data (RFC 5321 section 4.5.3.2.7).
	 */
	LIMIT_STRANGER_COMMANDS = 100,
	LIMIT_STRANGER_TIME = 30 * 60,

	/*
	 * What one session may have started (budget.h). At once: tls, an auth, a check, and checks
	 * that have answered and are slow to end.
	 */
	LIMIT_HELPERS = 16,
	/* Relays: without one, mail is the timer's, within a minute. */
	LIMIT_RELAYS_STARTED = 10000,
	/* Relays that are there already and hear of mail: lanes of messages, in one session. */
	LIMIT_RELAYS_RUNG = 1000000,
	/* How often what is to be started for a client may fail. */
	LIMIT_HELPERS_FAILED = 1000,
	/* How often a log may be lost in a session: it asks once a second at most. */
	LIMIT_LOG_LOST = 1000,
	/* Messages whose sender and recipients, as many as there may be, are all checked. */
	LIMIT_CHECKED_MESSAGES = 100,

	/*
	 * Octets, and seconds, that are read and dropped behind the last word to a client that
	 * still sends: a connection closed with something unread is reset, which may take that word
	 * away from the client. Enough for what is on its way (one window), too little to be of use
	 * to a flood. A stop leaves as much time to a client that does not read.
	 */
	LIMIT_LINGER = 4 * 1024 * 1024,
	LIMIT_LINGER_TIME = 2,

	/*
	 * Of a server: what is kept of a reply line (section 4.5.3.1.5 asks for 512), and all lines
	 * of one reply, which are read whether they are kept or not.
	 */
	LIMIT_REPLY_LINE = 2048,
	LIMIT_REPLY = 512 * 1024,
	/* What is kept of a reply, escaped, with what we say about it. */
	LIMIT_REPLY_TEXT = 32 * 1024,

	/* Received: fields that make a loop (section 6.3: at least 100). */
	LIMIT_HOPS = 100,

	/* A line of text without CRLF (section 4.5.3.1.6). */
	LIMIT_TEXT_LINE = 998,

	/* A boundary of a multipart (RFC 2046 section 5.1.1). */
	LIMIT_BOUNDARY = 70,

	/* A MIME field without its line ends: many parameters, or a long file name in pieces. */
	LIMIT_MIME_FIELD = 8192,

	/*
	 * Seconds for which mail or a lane that cannot be worked on rests, whatever the schedule of
	 * the site is: somebody has to mend it first.
	 */
	LIMIT_REST = 3600,

	/* Parts within parts: messages forwarded again and again have about ten. */
	LIMIT_MIME_NESTED = 32,

	/* Octets of the file of authorities (delivery_ca): a system's has 220 KB. */
	LIMIT_AUTHORITIES = 16 * 1024 * 1024,

	/* Of a peer's text, what is kept in a log line or report. */
	LIMIT_LOG_TEXT = 500,
};

#endif
