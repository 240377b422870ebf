/* bodies: texts of each kind, and what is known of a host that is to have one. */
#ifndef POSTERN_BODIES_H
#define POSTERN_BODIES_H

#include "tests/unit/unit.h"

#include "lib/clock.h"
#include "sending/body.h"
#include "tests/unit/sending/sent.h"

#define A     "\xc3\xa4"
#define PLAIN "Subject: x\r\n\r\nhello\r\n"
#define EIGHT "Subject: x\r\n\r\n" A "\r\n"
/* Nothing makes a line of text of these: the octets stand where no encoding is allowed. */
#define FIXED "From: " A "@s.example\r\n\r\nhello\r\n"
#define ODD   "Subject: x\r\n\r\nh\0i\n"

#define NONE { .by = 0 } /* nothing was asked for */

#define BINARY (CAN_CHUNKING | CAN_BINARYMIME)

enum { SOON = 100, LARGE = 300 * 1024 };

static struct link l; /* large */
static struct conf_delivery conf;

static inline struct message
message_of(const char *text, size_t n)
{
	struct message m = { .fd = memfd_create("body", MFD_CLOEXEC), .length = n,
		.env = { .sender = span_of("s@s.example") },
		.eightbit = !span_is_ascii((struct span){ text, n }) };
	assert_true(m.fd >= 0);
	assert_int_equal(write(m.fd, text, n), n);
	return m;
}

/*
 * What is known of a host that can so much, over TLS whose certificate is that of the host. The TLS
 * is none to send by: a link that is connected goes in clear.
 */
static inline void
know_host(unsigned can)
{
	buf_free(&l.text);
	conf = patient;
	l.terms = patient_terms();
	l.terms.conf = &conf;
	snprintf(l.terms.target, sizeof(l.terms.target), "mx.example");
	l.text = buf_new(LIMIT_REPLY_TEXT);
	l.code = 250;
	l.host = (struct link_host){ .can = can };
	l.flow = (struct link_flow){ .awaited = -1 };
	l.proof = (struct link_proof){ .tls = (struct tls *)&l, .trust = TRUSTED };
}

static inline void
assert_said(const char *want)
{
	assert_true(l.text.n > 0);
	if (memmem(l.text.p, l.text.n, want, strlen(want)) == NULL)
		fail_msg("\"%.*s\", not \"%s\"", (int)l.text.n, l.text.p, want);
}

#endif
