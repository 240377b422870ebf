/*
 * client: the sending side of SMTP (RFC 5321, RFC 2920), one connection to one host.
 *
 * The far side may be slow, wrong or hostile: every wait has a deadline, every reply a limit, and
 * what is not understood is SOFT. Only the first digit of a reply decides (section 4.2.1).
 */
#ifndef POSTERN_CLIENT_H
#define POSTERN_CLIENT_H

#include "../dns.h"
#include "conf.h"
#include "message.h"
#include "outcome.h"
#include "stream.h"

enum {
	CAN_PIPELINING = 1,
	CAN_8BITMIME = 2,
	CAN_SIZE = 4,
	CAN_CHUNKING = 8,
	CAN_BINARYMIME = 16,
	CAN_SMTPUTF8 = 32,
	CAN_DSN = 64,
	CAN_DELIVERBY = 128,
	CAN_PRIORITY = 256,
};

enum {
	CLIENT_RCPTS = 100, /* recipients of one transaction (RFC 5321 section 4.5.3.1.8) */
	CLIENT_NAME = LIMIT_DOMAIN + NETADDR_TEXT + 16,
};

struct client {
	int fd;                 /* -1: not connected */
	const struct conf *conf;
	char name[CLIENT_NAME]; /* "host[address]:port", for logs and reports */
	bool introduced; /* EHLO was answered; lines of later replies tell nothing about the host */
	unsigned can;           /* CAN_*: extensions that the host announced */
	int64_t max_size;       /* what the host said with SIZE; 0: no limit */
	int code;               /* of the last reply; 0: none */
	struct buf text;        /* of the last reply: all lines, escaped, with its code */
	struct stream stream;
};

/*
 * Connects, waits for the greeting, says EHLO or HELO. DONE; otherwise SOFT or HARD, with the
 * reason in c->text, and the connection is closed. `c` was zeroed, with fd -1, or used before.
 */
enum outcome client_open(struct client *c, const struct conf *conf, const struct exchanger *to);

/*
 * Sends m to `n` recipients of it. Sets outcome and text of each. Returns false when the connection
 * can no longer be used and is to be closed without a word.
 */
bool client_send(struct client *c, const struct message *m, struct rcpt *const *to, int n);

/* Says QUIT, waits a little, closes. */
void client_quit(struct client *c);

/* Closes without a word: what the host got of an unfinished message must stay unfinished. */
void client_close(struct client *c);

#endif
