/*
 * command: the arguments of MAIL and RCPT (RFC 5321 section 4.1.1, RFC 1870, RFC 6152).
 *
 * One rule is looser than the grammar: white space between the colon and "<" is tolerated, because
 * printers and cameras send it and it can mean only one thing.
 */
#ifndef POSTERN_COMMAND_H
#define POSTERN_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "reply.h"

struct mail_args {
	struct address sender;
	int64_t size;  /* SIZE=, or -1; INT64_MAX for anything larger */
	bool eightbit; /* BODY=8BITMIME */
};

/* R_SENDER_OK, or the reply that refuses; *out is valid only if accepted. */
enum reply command_mail(struct span arg, struct mail_args *out);

/* R_RCPT_OK, or the reply that refuses. */
enum reply command_rcpt(struct span arg, struct address *out);

/* May this be the argument of VRFY? A user name or an address, with or without brackets. */
bool command_vrfy(struct span arg);

#endif
