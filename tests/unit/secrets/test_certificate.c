/* certificate: a pair that is renewed while it is read. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secrets/certificate.h"
#include "tests/unit/selfsigned.h"

/* In a directory of this test: the certificate, the key that it is used with, and one behind it. */
static char directory[] = "/tmp/certificate-XXXXXX";
static char certificate[64], key[64], next[64];

static EVP_PKEY *good, *other;

static int
use(struct buf *why)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	assert_non_null(ctx);
	int r = certificate_use(ctx, certificate, key, why);
	SSL_CTX_free(ctx);
	return r;
}

static void
test_pair(void **state)
{
	(void)state;
	auto_buf why = buf_new(512);
	write_certificate_to(certificate, good);
	write_key_to(key, good);
	assert_int_equal(use(&why), 0);
	assert_int_equal(why.n, 0);
}

/* Its words are there once, however often it was read. */
static void
test_no_pair(void **state)
{
	(void)state;
	auto_buf why = buf_new(512), same = buf_new(512);
	write_certificate_to(certificate, good);
	write_key_to(key, other);
	assert_int_equal(use(&why), -EINVAL);
	buf_printf(&same, "tls_key %s: it is not the key of the certificate in %s", key, certificate);
	assert_true(span_eq(buf_span(&why), buf_span(&same)));
}

/*
 * While the key is read, which is a FIFO and the old key, the new one takes its place: who reads
 * has the new certificate with the old key then.
 */
static void *
renew_while_read(void *nothing)
{
	auto_file f = fopen(key, "w");
	write_key(f, other);
	assert_int_equal(rename(next, key), 0);
	return nothing;
}

static void
test_renewed_meanwhile(void **state)
{
	(void)state;
	pthread_t writer;
	auto_buf why = buf_new(512);
	write_certificate_to(certificate, good);
	write_key_to(next, good);
	(void)unlink(key);
	assert_int_equal(mkfifo(key, 0600), 0);
	assert_int_equal(pthread_create(&writer, NULL, renew_while_read, NULL), 0);
	assert_int_equal(use(&why), 0);
	assert_int_equal(pthread_join(writer, NULL), 0);
	assert_int_equal(why.n, 0);
}

static int
begin(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(certificate, sizeof(certificate), "%s/certificate", directory);
	snprintf(key, sizeof(key), "%s/key", directory);
	snprintf(next, sizeof(next), "%s/next", directory);
	good = EVP_EC_gen("P-256");
	other = EVP_EC_gen("P-256");
	return good != NULL && other != NULL ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	EVP_PKEY_free(good);
	EVP_PKEY_free(other);
	(void)unlink(certificate);
	(void)unlink(key);
	return rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_no_pair),
		cmocka_unit_test(test_renewed_meanwhile),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
