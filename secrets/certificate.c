#include "secrets/certificate.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/limits.h"

enum {
	DER_SEQUENCE = 0x30, /* the first octet of anything in DER that is meant here */
	NEW = 5,             /* s: what was written, or put in its place, so lately is new */
	SWAP = 1,            /* s that the other file of a pair is waited for */
	LOOK_AGAIN = 20,     /* ms */
};

/* One of our files, while it is read. */
struct pem {
	const char *setting, *path; /* key of the configuration, and its value */
	BIO *bio;
	bool der;
};

/* Puts the line together. -EINVAL. */
static int
complain(struct buf *why, const struct pem *f, const char *wrong)
{
	buf_printf(why, "%s %s: %s", f->setting, f->path, wrong);
	ERR_clear_error();
	return -EINVAL;
}

static int
complain_of_openssl(struct buf *why, const struct pem *f)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	return complain(why, f, reason != NULL ? reason : "it cannot be used");
}

static int
open_pem(struct pem *f, struct buf *why)
{
	unsigned char first = 0;
	FILE *file = file_stream(f->path);
	size_t n = file != NULL ? fread(&first, 1, 1, file) : 0;
	if (file == NULL || ferror(file)) {
		buf_printf(why, "%s %s: %s; user %ld must be able to read it", f->setting, f->path,
			strerror(errno), (long)geteuid());
		if (file != NULL)
			fclose(file);
		return -EINVAL;
	}
	f->der = n == 1 && first == DER_SEQUENCE;
	rewind(file);
	f->bio = BIO_new_fp(file, BIO_CLOSE);
	if (f->bio != NULL)
		return 0;
	fclose(file);
	return complain(why, f, "out of memory");
}

/* Whoever reaches this asks for a passphrase, which nobody is there to say. */
static int
note_passphrase(char *out, int size, int writing, void *asked)
{
	(void)out;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static EVP_PKEY *
read_key(struct pem *f, struct buf *why)
{
	bool asked = false;
	if (open_pem(f, why) < 0)
		return NULL;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(f->bio, NULL, note_passphrase, &asked);
	BIO_free(f->bio);
	if (key == NULL)
		(void)complain(why, f,
			asked ? "the key is encrypted, and nobody is there to say the passphrase; "
				"\"openssl pkey -in FILE -out NEW\" writes it without"
			: f->der ? "it is DER; \"openssl pkey -inform DER -in FILE -out NEW\" "
				   "makes PEM "
				   "of it"
				 : "there is no key in it in PEM (\"BEGIN PRIVATE KEY\")");
	return key;
}

/* Certificates up to the end of the file. False: one of them cannot be read. */
static bool
read_chain(BIO *bio, STACK_OF(X509) *chain)
{
	X509 *x;
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(chain, x) <= 0)
			return false;
	bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	return end;
}

static X509 *
read_certificates(struct pem *f, STACK_OF(X509) *chain, struct buf *why)
{
	if (open_pem(f, why) < 0)
		return NULL;
	X509 *x = PEM_read_bio_X509_AUX(f->bio, NULL, NULL, NULL);
	if (x == NULL)
		(void)complain(why, f,
			f->der ? "it is DER; \"openssl x509 -inform DER -in FILE -out NEW\" makes "
				 "PEM of it"
			       : "there is no certificate in it in PEM (\"BEGIN CERTIFICATE\")");
	else if (!read_chain(f->bio, chain)) {
		(void)complain(why, f, "a certificate of its chain cannot be read");
		X509_free(x);
		x = NULL;
	}
	BIO_free(f->bio);
	return x;
}

/* Both were read: do they belong together, and are they good enough? */
static int
add(SSL_CTX *ctx, X509 *x, EVP_PKEY *key, STACK_OF(X509) *chain, const struct pem *certificate,
	const struct pem *of_key, struct buf *why)
{
	if (X509_check_private_key(x, key) != 1) {
		buf_printf(why, "%s %s: it is not the key of the certificate in %s",
			of_key->setting, of_key->path, certificate->path);
		ERR_clear_error();
		return -EINVAL;
	}
	if (SSL_CTX_use_cert_and_key(ctx, x, key, chain, 0) == 1)
		return 0;
	if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_NOT_REPLACING_CERTIFICATE)
		return complain(why, certificate,
			"there is one before it with the same kind of key, and a client could not "
			"choose");
	return complain_of_openssl(why, certificate);
}

static int
use_as_it_is(SSL_CTX *ctx, const char *certificate, const char *key, struct buf *why)
{
	struct pem of_certificate = { .setting = "tls_certificate", .path = certificate };
	struct pem of_key = { .setting = "tls_key", .path = key };
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *x = NULL;
	EVP_PKEY *pkey = NULL;
	int r = -EINVAL;
	ERR_clear_error();
	if (chain != NULL)
		x = read_certificates(&of_certificate, chain, why);
	if (x != NULL)
		pkey = read_key(&of_key, why);
	if (pkey != NULL)
		r = add(ctx, x, pkey, chain, &of_certificate, &of_key, why);
	EVP_PKEY_free(pkey);
	X509_free(x);
	sk_X509_pop_free(chain, X509_free);
	return r;
}

static bool
is_new(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && st.st_ctime >= clock_wall() - NEW;
}

int
certificate_use(SSL_CTX *ctx, const char *certificate, const char *key, struct buf *why)
{
	int64_t deadline = clock_deadline(SWAP);
	for (;;) {
		auto_buf wrong = buf_new(LIMIT_COMMAND);
		int r = use_as_it_is(ctx, certificate, key, &wrong);
		if (r == 0)
			return r;
		if ((!is_new(certificate) && !is_new(key)) || clock_left(deadline) == 0) {
			buf_add(why, buf_span(&wrong));
			return r;
		}
		(void)poll(NULL, 0, LOOK_AGAIN);
	}
}

/* From now until then, in seconds. */
static int64_t
seconds_to(const ASN1_TIME *t)
{
	enum { DAY = 86400 };
	int days = 0, seconds = 0;
	return ASN1_TIME_diff(&days, &seconds, NULL, t) == 1 ? (int64_t)days * DAY + seconds : 0;
}

void
certificate_life(SSL_CTX *ctx, int64_t *from, int64_t *until)
{
	const X509 *x = SSL_CTX_get0_certificate(ctx);
	*from = seconds_to(X509_get0_notBefore(x));
	*until = seconds_to(X509_get0_notAfter(x));
}

bool
certificate_has_chain(SSL_CTX *ctx, const char *authorities)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *way = X509_STORE_CTX_new();
	STACK_OF(X509) *chain = NULL;
	bool lacks = false;
	(void)SSL_CTX_get0_chain_certs(ctx, &chain);
	if (store != NULL && way != NULL && !file_is_fifo(authorities) &&
		X509_STORE_load_file(store, authorities) == 1 &&
		X509_STORE_CTX_init(way, store, SSL_CTX_get0_certificate(ctx), chain) == 1) {
		X509_STORE_CTX_set_flags(way, X509_V_FLAG_NO_CHECK_TIME); /* is another matter */
		lacks = X509_verify_cert(way) != 1 && X509_STORE_CTX_get_error(way) ==
			X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
	}
	X509_STORE_CTX_free(way);
	X509_STORE_free(store);
	ERR_clear_error();
	return !lacks;
}

void
certificate_client(SSL *ssl, char *out, size_t size)
{
	X509 *x = SSL_get0_peer_certificate(ssl);
	out[0] = '\0';
	if (x == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
		return;
	STACK_OF(OPENSSL_STRING) *mails = X509_get1_email(x);
	char common[LIMIT_ADDRESS + 1] = "";
	const char *name = common;
	if (mails != NULL && sk_OPENSSL_STRING_num(mails) > 0) {
		name = sk_OPENSSL_STRING_value(mails, 0);
	} else {
		int n = X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, common,
			sizeof(common));
		if (n < 0 || (size_t)n != strlen(common))
			common[0] = '\0';
	}
	bool plain = strlen(name) < size;
	for (const char *c = name; *c != '\0' && plain; c++)
		plain = *c > ' ' && *c <= '~';
	if (plain)
		snprintf(out, size, "%s", name);
	X509_email_free(mails);
}
