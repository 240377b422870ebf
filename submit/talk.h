/*
 * talk: one conversation with an smtpd, a command at a time: it is on this host.
 *
 * Each function returns EX_OK or a status of sysexits.h, and then talk_word says what was answered,
 * or what failed. EX_TEMPFAIL is all that may go another time.
 */
#ifndef POSTERN_TALK_H
#define POSTERN_TALK_H

#include <sys/types.h>

#include "lib/buf.h"
#include "lib/stream.h"

struct talk {
	struct stream stream;
	int fd;              /* or -1 */
	pid_t child;         /* the smtpd behind it, if it is ours */
	bool bol;            /* of the text: at the beginning of a line */
	bool eightbit, dsn, utf8, size; /* what EHLO offered */
	char name[256];      /* what smtpd calls itself; empty: not known */
	int code;            /* of the last reply; 0: there was none, */
	bool closed;         /* ... for it closed the connection */
	struct buf word;     /* the last reply, escaped; or what happened instead */
};

/* What MAIL says. */
struct talk_mail {
	struct span sender;  /* empty: the null sender */
	int64_t size;
	bool eightbit, utf8;
	const char *ret;     /* FULL, HDRS or NULL */
	const char *envid;   /* xtext or NULL */
};

/*
 * The deadline of a wait: so many seconds, or what POSTERN_PATIENCE in the environment says if that
 * is less: for who has no time, and for tests.
 */
int64_t talk_patience(int64_t seconds);

/* Takes the descriptor over, and waits for the greeting; then EHLO. */
int talk_begin(struct talk *t, int fd, pid_t child);

int talk_mail(struct talk *t, const struct talk_mail *m);

/* `notify` is the value of NOTIFY, or NULL. */
int talk_rcpt(struct talk *t, struct span address, const char *notify);

/* Was the last recipient one too many for this transaction, and no fault of its own? */
bool talk_is_full(const struct talk *t);

/* DATA; then the text in pieces; then the end of it, and EX_OK means that the message is queued. */
int talk_data(struct talk *t);
void talk_text(struct talk *t, struct span piece);
int talk_end(struct talk *t);

/* Ends it, with QUIT if there is nobody to blame. */
void talk_close(struct talk *t, bool quit);

struct span talk_word(const struct talk *t);

#endif
