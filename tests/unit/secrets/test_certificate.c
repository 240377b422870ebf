/* certificate: a pair that is renewed while it is read. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "lib/cleanup.h"
#include "secrets/certificate.h"

/* In a directory of this test: the certificate, the key that it is used with, and one behind it. */
static char directory[] = "/tmp/certificate-XXXXXX";
static char certificate[64], key[64], next[64];

static EVP_PKEY *good, *other;

static X509 *
sign_itself(EVP_PKEY *of)
{
	X509 *x = X509_new();
	assert_non_null(x);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), -60));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 3600));
	assert_int_equal(X509_set_pubkey(x, of), 1);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_true(X509_sign(x, of, NULL) > 0);
	return x;
}

static void
write_certificate(EVP_PKEY *of)
{
	auto_file f = fopen(certificate, "w");
	X509 *x = sign_itself(of);
	assert_int_equal(PEM_write_X509(f, x), 1);
	X509_free(x);
}

static void
write_key(FILE *f, EVP_PKEY *k)
{
	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL), 1);
}

static void
write_key_to(const char *path, EVP_PKEY *k)
{
	auto_file f = fopen(path, "w");
	write_key(f, k);
}

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
	write_certificate(good);
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
	write_certificate(good);
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
	write_certificate(good);
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
