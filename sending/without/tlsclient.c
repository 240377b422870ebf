/*
 * tlsclient.h in a build without TLS (make TLS=0): no handshake ever succeeds. The configuration
 * asks for none (conf/value.c), so a relay hears of this only from a host at the port where TLS
 * comes first: its mail waits, and the reason stands in the log.
 */
#include "sending/tlsclient.h"

#include <errno.h>

const struct transport tlsclient_transport;

const char *
tlsclient_load(void)
{
	return NULL; /* nothing is missing that anything needs */
}

int
tlsclient_begin(struct tls_setup *setup, int fd, const struct resume *peer, struct tls_how how,
	int64_t deadline, struct tls **out, struct buf *why)
{
	(void)setup, (void)fd, (void)peer, (void)how, (void)deadline, (void)out;
	buf_puts(why, "this relay was built without TLS");
	return -EPROTO;
}

bool
tlsclient_verify(struct tls *t, const char *name, struct buf *why)
{
	(void)t, (void)name;
	buf_puts(why, "this relay was built without TLS");
	return false;
}

enum tls_result
tlsclient_verdict(const struct tls *t)
{
	(void)t;
	return TLS_RESULT_VALIDATION;
}

enum dane_verdict
tlsclient_match(struct tls *t, const struct tlsa *records, const char *const *names,
	struct buf *why)
{
	(void)t, (void)records, (void)names;
	buf_puts(why, "this relay was built without TLS");
	return DANE_BAD;
}

bool
tlsclient_is_strong(const struct tls *t)
{
	(void)t;
	return false;
}

void
tlsclient_describe(const struct tls *t, struct buf *out)
{
	(void)t, (void)out;
}

bool
tlsclient_exporter(struct tls *t, uint8_t out[static TLS_EXPORTER])
{
	(void)t, (void)out;
	return false;
}

bool
tlsclient_disown(const struct tls *t)
{
	(void)t;
	return false;
}

void
tlsclient_end(struct tls *t)
{
	(void)t;
}

void
tlsclient_free(struct tls *t)
{
	(void)t;
}

void
tlsclient_forget(struct tls_setup *setup)
{
	(void)setup;
}
