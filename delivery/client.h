/*
 * client: the sending side of SMTP (RFC 5321) and LMTP (RFC 2033), one connection to one host.
 *
 * The far side may be slow, wrong or hostile: every wait has a deadline, every reply a limit, and
 * what is not understood is SOFT. Only the first digit of a reply decides (section 4.2.1).
 */
#ifndef POSTERN_CLIENT_H
#define POSTERN_CLIENT_H

#include "dial.h"
#include "../lib/conf.h"
#include "../lib/outcome.h"
#include "../lib/stream.h"

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

struct job;

struct client {
	int fd;                 /* -1: not connected */
	const struct conf *conf;
	char name[DIAL_NAME];   /* of the host, for logs and reports (dial.h) */
	int64_t since;          /* when it was connected (clock_ms) */
	bool introduced; /* EHLO was answered; lines of later replies tell nothing about the host */
	unsigned can;           /* CAN_*: extensions that the host announced */
	int64_t max_size;       /* what the host said with SIZE; 0: no limit */
	int code;               /* of the last reply; 0: none */
	struct buf text;        /* of the last reply: all lines, escaped, with its code */
	struct stream stream;

	/* what is on its way (sending.h) */
	struct job *first, *last;
	int jobs;         /* of them */
	int replies;      /* that are owed for them, at most */
	uint64_t octets;  /* of their bodies */
	int window;       /* jobs at once, at most */
	bool cut;         /* a message broke off: nothing more may be said, replies may still come */
	bool idle;        /* it was kept for a while, and has not said a word since */
};

/*
 * Goes on with a connection that was made: waits for the greeting, says EHLO or HELO. Owns `fd`. DONE;
 * otherwise SOFT, with the reason in c->text, and the connection is closed. `c` was zeroed, with
 * fd -1, or used before.
 */
enum outcome client_begin(struct client *c, const struct conf *conf, int fd);

/* A command and its reply, out of any group. 0, or -EIO: the connection is of no more use. */
int client_ask(struct client *c, const char *command, const char *argument, int64_t seconds);

/* One reply into c->code and c->text. 0, or -EIO with what our side has to say in c->text. */
int client_reply(struct client *c, const char *to_what, int64_t seconds);

/* Adds to what is sent before the next wait. */
void client_put(struct client *c, struct span bytes, int64_t seconds);

/* What our side has to say, in place of a reply. */
void client_say(struct client *c, const char *what, const char *why);

/* What the first digit means: 2 DONE, 5 HARD, else SOFT. */
enum outcome client_outcome(int code);

static inline bool
client_can(const struct client *c, unsigned what)
{
	return (c->can & what) == what;
}

/* Is there something to read where nothing is owed: 421, or the end? */
bool client_is_spoiled(const struct client *c);

/* Says QUIT, waits a little, closes. */
void client_quit(struct client *c);

/* Closes without a word: what the host got of an unfinished message must stay unfinished. */
void client_close(struct client *c);

#endif
