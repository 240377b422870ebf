#include "secrets/signkey.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <fcntl.h>

#include "lib/cleanup.h"
#include "lib/file.h"
#include "mail/encode.h"

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
	auto_file file = file_stream(path);
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

const char *
signkey_word(enum dkim_algorithm algorithm)
{
	return algorithm == DKIM_ED25519 ? "ed25519" : "rsa";
}

bool
signkey_public(const EVP_PKEY *key, struct buf *out)
{
	unsigned char raw[SIGN_HASH], *der = NULL;
	size_t n = sizeof(raw);
	if (signkey_algorithm(key) == DKIM_ED25519) { /* RFC 8463 section 4.2 */
		bool known = EVP_PKEY_get_raw_public_key(key, raw, &n) == 1;
		encode_base64_text(out, (struct span){ (char *)raw, n });
		return known && out->err == 0;
	}
	int size = i2d_PUBKEY(key, &der);
	if (size > 0)
		encode_base64_text(out, (struct span){ (char *)der, (size_t)size });
	OPENSSL_free(der);
	return size > 0 && out->err == 0;
}

/* 0 or -errno. */
static int
write_key(EVP_PKEY *key, int fd, uid_t owner)
{
	BIO *bio = BIO_new_fd(fd, BIO_NOCLOSE);
	bool done = bio != NULL &&
		PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
	BIO_free(bio);
	if (!done)
		return -EIO;
	if (owner != (uid_t)-1 && fchown(fd, owner, (gid_t)-1) < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

int
signkey_make(enum dkim_algorithm algorithm, const char *path, uid_t owner, struct buf *why)
{
	EVP_PKEY *key = algorithm == DKIM_RSA ? EVP_RSA_gen(SIGNKEY_BITS)
					      : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	auto_fd fd = key != NULL ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	int err = key == NULL ? -ENOMEM : fd < 0 ? -errno : write_key(key, fd, owner);
	if (fd >= 0 && err < 0)
		(void)unlink(path);
	EVP_PKEY_free(key);
	if (err == 0)
		return 0;
	buf_printf(why, "%s: %s", path, strerror(-err));
	return -EINVAL;
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
