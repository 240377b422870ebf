/* selfsigned: certificates that sign themselves, for tests of those who use them. */
#ifndef POSTERN_SELFSIGNED_H
#define POSTERN_SELFSIGNED_H

#include "tests/unit/unit.h"

#include <stdio.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/cleanup.h"

static inline X509 *
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

static inline void
write_certificate_to(const char *path, EVP_PKEY *of)
{
	auto_file f = fopen(path, "w");
	X509 *x = sign_itself(of);
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, x), 1);
	X509_free(x);
}

static inline void
write_key(FILE *f, EVP_PKEY *k)
{
	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL), 1);
}

static inline void
write_key_to(const char *path, EVP_PKEY *k)
{
	auto_file f = fopen(path, "w");
	write_key(f, k);
}

#endif
