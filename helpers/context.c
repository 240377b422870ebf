#include "helpers/context.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/credential.h"
#include "helpers/libssl.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/limits.h"
#include "secrets/certificate.h"
#include "secrets/ticket.h"

enum { KIND_SIZE = 16 * 1024 }; /* of what tells kinds of listeners apart */

/* TLS 1.2 with forward secrecy and AEAD only; TLS 1.3 has nothing else. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"
/* For printers and cameras that will never be updated: whatever the library still knows. */
#define CIPHERS_LEGACY "DEFAULT:@SECLEVEL=0"

static void
add_openssl_why(struct buf *why, const char *what)
{
	char text[LIBSSL_WHY];
	libssl_why(text);
	buf_printf(why, "%s: %s", what, text);
}

/*
 * A ticket of another kind of listener is no ticket here (B16): one that asks for other
 * certificates of clients, or asked before the file of their signers changed, has verified
 * something else.
 */
static bool
set_kind(SSL_CTX *ctx, const struct conf *conf)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct stat st = { 0 };
	const char *file = conf->tls.client_ca != NULL ? conf->tls.client_ca : "";
	auto_buf kind = buf_new(KIND_SIZE);
	(void)stat(file, &st);
	buf_printf(&kind, "postern %s %lld %lld", file, (long long)st.st_mtime,
		(long long)st.st_size);
	return kind.err == 0 && EVP_Digest(kind.p, kind.n, digest, &n, EVP_sha256(), NULL) == 1 &&
		SSL_CTX_set_session_id_context(ctx, digest, n) == 1;
}

static int
any_certificate(int ok, X509_STORE_CTX *store)
{
	(void)ok; /* whether it was verified is asked afterwards */
	(void)store;
	return 1;
}

bool
context_set_client_ca(SSL_CTX *ctx, const struct conf *conf, struct buf *why)
{
	if (conf->tls.client_ca == NULL)
		return true;
	bool fifo = file_is_fifo(conf->tls.client_ca);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, any_certificate);
	if (!fifo)
		SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(conf->tls.client_ca));
	if (!fifo && SSL_CTX_load_verify_file(ctx, conf->tls.client_ca) == 1)
		return true;
	int err = access(conf->tls.client_ca, R_OK) < 0 ? errno : fifo ? ENODATA : 0;
	buf_printf(why, "%stls_client_ca %s", why->n > 0 ? "; " : "", conf->tls.client_ca);
	if (err != 0) /* of which OpenSSL says "system lib" */
		buf_printf(why, ": %s", strerror(err));
	else
		add_openssl_why(why, "");
	return false;
}

/* The next path of a list, which may be a credential: a text to be freed. NULL: see *why. */
static char *
next_path(struct span *list, struct buf *why)
{
	struct span word = span_word(list, " \t,");
	char *path = strndup(word.p, word.n);
	if (path != NULL && credential_path(&path, why) == 0)
		return path;
	free(path);
	return NULL;
}

int
context_use_next(SSL_CTX *ctx, struct span *certificates, struct span *keys, struct buf *why)
{
	char *certificate = next_path(certificates, why), *key = next_path(keys, why);
	int r = certificate != NULL && key != NULL
		? certificate_use(ctx, certificate, key, why) : -EINVAL;
	free(certificate);
	free(key);
	return r;
}

/*
 * As many as can be used: a client that the others are good for should have TLS. False: there is
 * none. What is wrong with each of the rest is in *why.
 */
static bool
use_certificates(SSL_CTX *ctx, const struct conf *conf, struct buf *why)
{
	struct span certificates = span_of(conf->tls.certificate), keys = span_of(conf->tls.key);
	bool any = false;
	for (size_t n = span_words(certificates); n > 0; n--) {
		auto_buf wrong = buf_new(LIMIT_COMMAND);
		if (context_use_next(ctx, &certificates, &keys, &wrong) == 0)
			any = true;
		else
			buf_printf(why, "%s%.*s", why->n > 0 ? "; " : "", (int)wrong.n, wrong.p);
	}
	return any;
}

SSL_CTX *
context_make(const struct conf *conf, struct buf *why)
{
	bool legacy = conf->tls.legacy;
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL) {
		add_openssl_why(why, "TLS");
		return NULL;
	}
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_dh_auto(ctx, 1);
	SSL_CTX_set_read_ahead(ctx, 1); /* else the head of each record is read by itself */
	if (SSL_CTX_set_min_proto_version(ctx, legacy ? TLS1_VERSION : TLS1_2_VERSION) != 1 ||
		SSL_CTX_set_cipher_list(ctx, legacy ? CIPHERS_LEGACY : CIPHERS) != 1 ||
		!set_kind(ctx, conf) || !ticket_offer(ctx, conf->who.runtime))
		add_openssl_why(why, "TLS");
	else if (use_certificates(ctx, conf, why) && context_set_client_ca(ctx, conf, why))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}
