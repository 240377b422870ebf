/*
 * host: a host of SMTP or LMTP at the other end of a socket, in a thread of its own, that does what
 * a script says.
 *
 * It behaves well but for the exceptions of the script, "RCPT2=550 no|END1=close": each names a
 * verb, its how-manieth of the connection, and the reply. END is the end of a text, by DATA or by
 * BDAT; TEXT is its first octet; HELLO stands for EHLO, LHLO and HELO, and GREETING is before all.
 * In a reply "/" ends a line, "!" at its end closes the connection behind it, "~" reads nothing more
 * and leaves it open, and "close" alone closes it without a reply.
 */
#ifndef POSTERN_TEST_HOST_H
#define POSTERN_TEST_HOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

enum { HOST_LOG = 64 * 1024, HOST_TEXT = 1024, HOST_HELD = 16 * 1024 };
enum { HOST_TEXTS = 7, HOST_RSET = 9, HOST_VERBS = 12 }; /* places in host.times */

struct host_script {
	bool lmtp;
	bool runs_chunks;     /* the octets of a BDAT that is refused are commands to it */
	const char *greeting; /* NULL: none */
	const char *ehlo;     /* the reply to EHLO */
	const char *exceptions;
};

struct host {
	pthread_t thread;
	struct host_script script;
	FILE *in;
	int fd;
	int times[HOST_VERBS]; /* that each verb came */
	bool open;             /* MAIL was accepted */
	int accepted;          /* recipients since */
	bool closed;
	bool holds;            /* what is said goes out together, later */
	size_t held_n;
	char held[HOST_HELD];
	size_t n;
	char log[HOST_LOG];    /* the lines that came, but for texts, each with LF */
	char text[HOST_TEXT];  /* the beginning of the last text, dots unstuffed */
	size_t text_n;         /* octets of all of it */
};

/* Starts it. Our end of its connection. */
int host_start(struct host *h, const struct host_script *script);

/* After our end was closed: waits until it has ended. */
void host_join(struct host *h);

/* The same at this end of a connection, which it closes, in the thread that calls. */
void host_talk(struct host *h, const struct host_script *script, int fd);

#endif
