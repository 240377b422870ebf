#include "secrets/signkey.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "lib/cleanup.h"

/* Whoever reaches this asks for a passphrase, which nobody is there to say. */
static int
no_passphrase(char *out, int size, int writing, void *unused)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)unused;
	return -1;
}

enum dkim_algorithm
signkey_algorithm(const EVP_PKEY *key)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		return DKIM_RSA;
	case EVP_PKEY_ED25519:
		return DKIM_ED25519;
	default:
		return DKIM_NONE;
	}
}

/* Can it sign, and will receivers take that? NULL, or what is wrong. */
static const char *
find_fault(const EVP_PKEY *key)
{
	if (key == NULL)
		return "there is no private key in it in PEM that can be read without a passphrase";
	if (signkey_algorithm(key) == DKIM_NONE)
		return "the key is neither RSA nor Ed25519";
	if (signkey_algorithm(key) != DKIM_RSA)
		return NULL;
	if (EVP_PKEY_get_bits(key) < SIGNKEY_BITS)
		return "RSA with fewer than 2048 bits";
	return EVP_PKEY_get_size(key) > SIGN_SIGNATURE ? "RSA with more than 8192 bits" : NULL;
}

EVP_PKEY *
signkey_read(const char *path, struct buf *why)
{
	auto_file file = fopen(path, "re");
	if (file == NULL) {
		buf_printf(why, "%s: %s", path, strerror(errno));
		return NULL;
	}
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
	const char *fault = find_fault(key);
	ERR_clear_error();
	if (fault == NULL)
		return key;
	buf_printf(why, "%s: %s", path, fault);
	EVP_PKEY_free(key);
	return NULL;
}

/* Ed25519 signs the digest as if it were the text (RFC 8463 section 3). */
static bool
sign_ed25519(EVP_PKEY *key, const uint8_t *hash, uint8_t *out, size_t *n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool done = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
		EVP_DigestSign(ctx, out, n, hash, SIGN_HASH) == 1;
	EVP_MD_CTX_free(ctx);
	return done;
}

static bool
sign_rsa(EVP_PKEY *key, const uint8_t *hash, uint8_t *out, size_t *n)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool done = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		EVP_PKEY_sign(ctx, out, n, hash, SIGN_HASH) == 1;
	EVP_PKEY_CTX_free(ctx);
	return done;
}

uint32_t
signkey_sign(EVP_PKEY *key, const uint8_t hash[static SIGN_HASH],
	uint8_t out[static SIGN_SIGNATURE])
{
	size_t n = SIGN_SIGNATURE;
	bool done = signkey_algorithm(key) == DKIM_ED25519 ? sign_ed25519(key, hash, out, &n)
							   : sign_rsa(key, hash, out, &n);
	ERR_clear_error();
	return done ? (uint32_t)n : 0;
}
