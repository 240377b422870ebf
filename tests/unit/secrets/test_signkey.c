/* signkey: which keys sign, and that they do as the examples of RFC 8463 say. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "lib/cleanup.h"
#include "mail/encode.h"
#include "secrets/signkey.h"

/* RFC 8463 appendix A: the key, what it signs (SHA-256 of the canonical header), the signature. */
static const char example_key[] = "-----BEGIN PRIVATE KEY-----\n"
	"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
	"-----END PRIVATE KEY-----\n";
static const uint8_t example_hash[SIGN_HASH] = { 0x48, 0xce, 0x9a, 0x2c, 0x71, 0x0e, 0xce, 0x17,
	0x10, 0xff, 0x15, 0x69, 0x96, 0xb8, 0x36, 0xa7, 0xf4, 0x54, 0x70, 0xe4, 0x3e, 0xfe, 0x56,
	0x43, 0x07, 0x4d, 0x6e, 0x16, 0x90, 0xed, 0x62, 0xe7 };
static const char example_signature[] =
	"/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus"
	"Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==";

static char path[] = "/tmp/signkey-XXXXXX";

static void
write_text(const char *text)
{
	auto_file f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

static void
write_key(EVP_PKEY *key)
{
	auto_file f = fopen(path, "w");
	assert_non_null(key);
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	EVP_PKEY_free(key);
}

static void
test_ed25519(void **state)
{
	(void)state;
	uint8_t out[SIGN_SIGNATURE];
	auto_buf why = buf_new(512), text = buf_new(512);
	write_text(example_key);
	EVP_PKEY *key = signkey_read(path, &why);
	assert_non_null(key);
	assert_int_equal(signkey_algorithm(key), DKIM_ED25519);
	uint32_t n = signkey_sign(key, example_hash, out);
	assert_int_equal(n, 64);
	encode_base64_text(&text, (struct span){ (const char *)out, n });
	assert_true(span_eq(buf_span(&text), span_of(example_signature)));
	EVP_PKEY_free(key);
}

/* PKCS #1 v1.5 with SHA-256 (RFC 8301): what anybody verifies like that. */
static void
test_rsa(void **state)
{
	(void)state;
	uint8_t out[SIGN_SIGNATURE];
	auto_buf why = buf_new(512);
	write_key(EVP_RSA_gen(2048));
	EVP_PKEY *key = signkey_read(path, &why);
	assert_non_null(key);
	assert_int_equal(signkey_algorithm(key), DKIM_RSA);
	uint32_t n = signkey_sign(key, example_hash, out);
	assert_int_equal(n, 256);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_verify(ctx, out, n, example_hash, SIGN_HASH), 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
}

static void
refuse(const char *wrong)
{
	auto_buf why = buf_new(512), want = buf_new(512);
	buf_printf(&want, "%s: %s", path, wrong);
	assert_null(signkey_read(path, &why));
	if (!span_starts(buf_span(&why), buf_span(&want)))
		fail_msg("%.*s", (int)why.n, why.p);
}

static void
test_unfit(void **state)
{
	(void)state;
	write_text("");
	refuse("there is no private key in it");
	write_text("-----BEGIN PRIVATE KEY-----\nabcd\n-----END PRIVATE KEY-----\n");
	refuse("there is no private key in it");
	write_key(EVP_RSA_gen(1024));
	refuse("RSA with fewer than 2048 bits");
	write_key(EVP_EC_gen("P-256"));
	refuse("the key is neither RSA nor Ed25519");
	EVP_PKEY *key = EVP_RSA_gen(2048);
	FILE *f = fopen(path, "w");
	assert_int_equal(PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(),
		(const unsigned char *)"x", 1, NULL, NULL), 1);
	fclose(f);
	EVP_PKEY_free(key);
	refuse("there is no private key in it");
	unlink(path);
	refuse("No such file");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ed25519),
		cmocka_unit_test(test_rsa),
		cmocka_unit_test(test_unfit),
	};
	close(mkstemp(path));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
