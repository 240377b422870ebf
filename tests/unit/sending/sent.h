/* sent: a link, messages and jobs as the tests of this room need them. */
#ifndef POSTERN_TEST_SENT_H
#define POSTERN_TEST_SENT_H

#include "sending/sending.h"
#include "tests/unit/sending/host.h"
#include "tests/unit/unit.h"

#define BODY "Subject: x\r\n\r\n.\r\nbody\r\n"

/* Long: a test waits for no reply that comes late, only for ones that come. */
static struct conf_delivery patient = {
	.timeout_greeting = 60,
	.timeout_helo = 60,
	.timeout_mail = 60,
	.timeout_rcpt = 60,
	.timeout_data_start = 60,
	.timeout_data_block = 60,
	.timeout_data_end = 60,
	.timeout_quit = 60,
};

/* Terms of a link that has all the time it needs. */
static inline struct link_terms
patient_terms(void)
{
	return (struct link_terms){ .name = "mx", .conf = &patient, .hostname = "us.example",
		.timeout_tls = 60, .min_data_rate = 1, .window = 1, .window_size = 1 << 20 };
}

/* A message whose body is `size` octets: BODY, and then nothing but "x". */
static inline struct message
make_message(size_t size)
{
	struct message m = { .fd = memfd_create("body", MFD_CLOEXEC), .length = size,
		.env = { .sender = span_of("s@s.example") } };
	char block[4096];
	memset(block, 'x', sizeof(block));
	memcpy(block, BODY, strlen(BODY));
	assert_true(m.fd >= 0);
	for (size_t at = 0; at < size;) {
		size_t n = size - at < sizeof(block) ? size - at : sizeof(block);
		assert_int_equal(write(m.fd, block, n), n);
		memset(block, 'x', strlen(BODY));
		at += n;
	}
	return m;
}

static inline struct rcpt
make_rcpt(const char *address)
{
	return (struct rcpt){ .address = span_of(address), .outcome = SOFT,
		.text = buf_new(2 * LIMIT_REPLY_TEXT) };
}

#endif
