#include "sending/tlsclient.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/wait.h"
#include "sending/dane.h"
#include "sending/openssl.h"
#include "sending/portion.h"
#include "sending/trust.h"

enum {
	LENIENT = 0,   /* OpenSSL's security levels */
	CAREFUL = 2,   /* 112 bits: RSA of 2048, no SHA-1 */
	STRENGTH = 112,
};

struct tls {
	SSL *ssl;
	const struct tls_setup *setup;
	struct resume peer;
	struct portion portion; /* of what the host sends */
	STACK_OF(X509) *others; /* of a resumed session: what came beside its certificate; owned */
	enum tls_result verdict; /* of the last certificate that was judged */
};

/* ---- octets --------------------------------------------------------------------------------- */

/* After a call that did not succeed: STREAM_LATER, and what it waits for; or the end. */
static enum stream_result
why_not(const struct tls *t, int r, short *wants)
{
	int want = SSL_get_error(t->ssl, r);
	*wants = want == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
	if (want == SSL_ERROR_WANT_READ || want == SSL_ERROR_WANT_WRITE)
		return STREAM_LATER;
	if (want == SSL_ERROR_ZERO_RETURN || want == SSL_ERROR_SYSCALL)
		return STREAM_EOF;
	if (want == SSL_ERROR_SSL &&
		ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return STREAM_EOF;
	return STREAM_BROKEN;
}

static enum stream_result
read_octets(void *context, char *p, size_t n, size_t *done, short *wants)
{
	struct tls *t = context;
	ERR_clear_error();
	portion_begin(&t->portion);
	int r = SSL_read_ex(t->ssl, p, n, done);
	if (r > 0)
		return STREAM_OK;
	*done = 0;
	return why_not(t, r, wants);
}

static enum stream_result
write_octets(void *context, const char *p, size_t n, size_t *done, short *wants)
{
	struct tls *t = context;
	ERR_clear_error();
	portion_begin(&t->portion);
	int r = SSL_write_ex(t->ssl, p, n, done);
	if (r > 0)
		return STREAM_OK;
	*done = 0;
	return why_not(t, r, wants);
}

const struct transport tlsclient_transport = { read_octets, write_octets };

/* ---- strength ------------------------------------------------------------------------------- */

/* Is the group in which keys were agreed on as strong as CAREFUL asks? */
static bool
has_strong_group(const struct tls *t)
{
	EVP_PKEY *key = NULL;
	if (SSL_get_peer_tmp_key(t->ssl, &key) != 1)
		return true; /* there is none: it was agreed on by the certificate's key */
	bool strong = EVP_PKEY_get_security_bits(key) >= STRENGTH;
	EVP_PKEY_free(key);
	return strong;
}

static bool
has_strong_signature(const struct tls *t)
{
	int digest = NID_undef;
	(void)SSL_get_peer_signature_nid(t->ssl, &digest);
	return digest != NID_sha1 && digest != NID_md5 && digest != NID_md5_sha1;
}

/*
 * Is the connection one that CAREFUL would have made, however it was made? If not, somebody in
 * between may see what is said, and no certificate is good for it. A session that was not is never
 * saved.
 */
static bool
is_strong(const struct tls *t)
{
	return SSL_session_reused(t->ssl) ||
		(SSL_version(t->ssl) >= TLS1_2_VERSION &&
			SSL_CIPHER_get_bits(SSL_get_current_cipher(t->ssl), NULL) >= STRENGTH &&
			has_strong_group(t) && has_strong_signature(t));
}

/* ---- sessions ------------------------------------------------------------------------------ */

/* One certificate of a saved session is moved from *der to t->others. */
static bool
take_other(struct tls *t, const unsigned char **der, const unsigned char *end)
{
	X509 *x = d2i_X509(NULL, der, end - *der);
	if (x != NULL && sk_X509_push(t->others, x) > 0)
		return true;
	X509_free(x);
	return false;
}

/* Offers the host a session that was saved. False: there is none. */
static bool
offer_session(struct tls *t)
{
	auto_buf saved = buf_new(RESUME_MAX);
	resume_load(&t->peer, &saved);
	if (saved.n == 0)
		return false;
	const unsigned char *p = (const unsigned char *)saved.p, *end = p + saved.n;
	SSL_SESSION *session = d2i_SSL_SESSION(NULL, &p, end - p);
	t->others = session != NULL ? sk_X509_new_null() : NULL;
	bool ok = t->others != NULL;
	while (ok && p < end)
		ok = take_other(t, &p, end);
	ok = ok && SSL_set_session(t->ssl, session) == 1;
	SSL_SESSION_free(session);
	return ok;
}

static const STACK_OF(X509) *
others_of(const struct tls *t)
{
	return SSL_session_reused(t->ssl) ? t->others : SSL_get_peer_cert_chain(t->ssl);
}

static void
add_other(struct buf *all, const X509 *x)
{
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);
	if (n > 0)
		buf_add(all, (struct span){ (char *)der, (size_t)n });
	OPENSSL_free(der);
}

static void
save_session(const struct tls *t)
{
	auto_buf all = buf_new(RESUME_MAX);
	unsigned char *der = NULL;
	const STACK_OF(X509) *others = others_of(t);
	SSL_SESSION *session = SSL_get0_session(t->ssl);
	int n = session != NULL && SSL_SESSION_is_resumable(session) && is_strong(t)
		? i2d_SSL_SESSION(session, &der) : 0;
	if (n <= 0)
		return;
	buf_add(&all, (struct span){ (char *)der, (size_t)n });
	OPENSSL_clear_free(der, (size_t)n);
	for (int i = 0; i < sk_X509_num(others); i++)
		add_other(&all, sk_X509_value(others, i));
	if (all.err == 0)
		resume_save(&t->peer, buf_span(&all));
}

/* ---- the beginning -------------------------------------------------------------------------- */

static SSL_CTX *
make_context(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL); /* tlsclient_verify does it */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_dane_enable(ctx) > 0) /* for those that say so (dane.c) */
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* Made when it is first needed, in whatever thread. */
static bool
set_up(struct tls_setup *s)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&lock);
	if (s->ctx == NULL)
		s->ctx = make_context();
	bool ok = s->ctx != NULL;
	pthread_mutex_unlock(&lock);
	return ok;
}

static void
explain(struct buf *why, enum stream_result res)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	buf_reset(why);
	buf_puts(why, res == STREAM_TIMEOUT ? "timed out"
			: res == STREAM_EOF ? "connection closed by the host"
			: reason != NULL ? reason : "connection lost");
}

static bool
is_address(const char *name)
{
	struct netaddr a;
	return netaddr_parse(span_of(name), &a) == 0;
}

/* A connection before its handshake; NULL: out of memory. */
static struct tls *
new_connection(struct tls_setup *setup, int fd, const struct resume *peer, struct tls_how how)
{
	struct tls *t = set_up(setup) ? calloc(1, sizeof(*t)) : NULL;
	if (t == NULL)
		return NULL;
	t->setup = setup;
	t->peer = *peer;
	t->peer.weak = how.lenient;
	t->ssl = SSL_new(setup->ctx);
	bool named = !how.nameless && !is_address(peer->host);
	int oldest = how.lenient ? TLS1_VERSION : TLS1_2_VERSION;
	if (t->ssl != NULL && SSL_set_fd(t->ssl, fd) == 1 &&
		SSL_set_min_proto_version(t->ssl, oldest) == 1 &&
		(!named || SSL_set_tlsext_host_name(t->ssl, peer->host) == 1)) {
		SSL_set_security_level(t->ssl, how.lenient ? LENIENT : CAREFUL);
		if (how.legacy)
			SSL_set_options(t->ssl, SSL_OP_LEGACY_SERVER_CONNECT);
		portion_limit(t->ssl, &t->portion);
		return t;
	}
	tlsclient_free(t);
	return NULL;
}

/* A host that is ever ready, and never done, is late too. */
static enum stream_result
wait_for_host(int fd, short wants, int64_t deadline)
{
	int r = clock_left(deadline) != 0 ? wait_for(fd, wants, deadline, NULL) : -ETIMEDOUT;
	return r == 0 ? STREAM_OK : r == -ETIMEDOUT ? STREAM_TIMEOUT : STREAM_BROKEN;
}

/*
 * Did the host end the handshake in a way that may be about the name that it was told? Not all of
 * those who know none of that name say unrecognized_name; some close without a word.
 */
static bool
minds_name(const struct tls *t, enum stream_result res)
{
	static const int alerts[] = { SSL_R_TLSV1_UNRECOGNIZED_NAME,
		SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, SSL_R_TLSV1_ALERT_INTERNAL_ERROR,
		SSL_R_TLSV1_ALERT_ACCESS_DENIED };
	int reason = ERR_GET_REASON(ERR_peek_error());
	if (t == NULL || SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name) == NULL)
		return false;
	if (res == STREAM_EOF)
		return true;
	for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++)
		if (reason == alerts[i])
			return true;
	return false;
}

const char *
tlsclient_load(void)
{
	return openssl_load();
}

int
tlsclient_begin(struct tls_setup *setup, int fd, const struct resume *peer, struct tls_how how,
	int64_t deadline, struct tls **out, struct buf *why)
{
	const char *missing = tlsclient_load();
	if (missing != NULL) {
		buf_reset(why);
		buf_puts(why, missing);
		return -EPROTO;
	}
	struct tls *t = new_connection(setup, fd, peer, how);
	enum stream_result res = STREAM_OK;
	bool offered = t != NULL && how.resume && offer_session(t);
	while (t != NULL && res == STREAM_OK) {
		short wants;
		ERR_clear_error();
		portion_begin(&t->portion);
		int r = SSL_connect(t->ssl);
		if (r == 1) {
			*out = t;
			return 0;
		}
		res = why_not(t, r, &wants);
		if (res == STREAM_LATER)
			res = wait_for_host(fd, wants, deadline);
	}
	explain(why, res);
	bool minds = minds_name(t, res);
	tlsclient_free(t);
	if (offered)
		resume_forget(peer);
	return offered ? -EAGAIN : minds ? -ENOENT : -EPROTO;
}

/* ---- certificates --------------------------------------------------------------------------- */

/*
 * What is asked of a certificate beside a chain to an authority: its purpose, and the name (RFC
 * 9525).
 */
static bool
ask_for(X509_STORE_CTX *ctx, const char *name)
{
	X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_hostflags(p,
		X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	X509_VERIFY_PARAM_set_auth_level(p, CAREFUL);
	return X509_STORE_CTX_set_default(ctx, "ssl_server") == 1 &&
		X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
		(is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(p, name)
				  : X509_VERIFY_PARAM_set1_host(p, name, 0)) == 1;
}

/* Is it certain that what the host reads as one connection begins with our handshake (RFC 5746)? */
static bool
is_whole(const struct tls *t)
{
	return SSL_version(t->ssl) >= TLS1_3_VERSION ||
		SSL_get_secure_renegotiation_support(t->ssl) != 0;
}

/* What OpenSSL says of a certificate, in the words of reports on TLS. */
static enum tls_result
verdict_of(int error)
{
	switch (error) {
	case X509_V_OK:
		return TLS_RESULT_SUCCESS;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return TLS_RESULT_HOST_MISMATCH;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return TLS_RESULT_EXPIRED;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
	case X509_V_ERR_CERT_REVOKED:
		return TLS_RESULT_NOT_TRUSTED;
	default:
		return TLS_RESULT_VALIDATION;
	}
}

bool
tlsclient_verify(struct tls *t, const char *name, struct buf *why)
{
	X509 *leaf = SSL_get0_peer_certificate(t->ssl);
	STACK_OF(X509) *others = (STACK_OF(X509) *)(uintptr_t)others_of(t); /* is only looked at */
	X509_STORE *store = leaf != NULL ? trust_store(t->setup->authorities, leaf, others) : NULL;
	X509_STORE_CTX *ctx = store != NULL ? X509_STORE_CTX_new() : NULL;
	bool ok = ctx != NULL && name[0] != '\0' && is_whole(t) && is_strong(t) &&
		X509_STORE_CTX_init(ctx, store, leaf, others) == 1 &&
		ask_for(ctx, name);
	const char *reason = leaf == NULL ? "there is none"
		: name[0] == '\0' ? "no name" /* or OpenSSL would ask for none */
		: !is_whole(t) ? "its TLS is older than RFC 5746"
		: !is_strong(t) ? "its keys are weak"
		: store == NULL ? "delivery_ca cannot be read" : "out of memory";
	t->verdict = TLS_RESULT_VALIDATION;
	if (ok) {
		ok = X509_verify_cert(ctx) == 1;
		int error = X509_STORE_CTX_get_error(ctx);
		reason = X509_verify_cert_error_string(error);
		t->verdict = ok ? TLS_RESULT_SUCCESS : verdict_of(error);
	}
	if (!ok) {
		buf_reset(why);
		buf_printf(why, "not good for %s: %s", name, reason);
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return ok;
}

enum tls_result
tlsclient_verdict(const struct tls *t)
{
	return t->verdict;
}

enum dane_verdict
tlsclient_match(struct tls *t, const struct tlsa *records, const char *const *names,
	struct buf *why)
{
	X509 *leaf = SSL_get0_peer_certificate(t->ssl);
	STACK_OF(X509) *others = (STACK_OF(X509) *)(uintptr_t)others_of(t); /* is only looked at */
	if (leaf != NULL && tlsclient_is_strong(t))
		return dane_judge(t->setup->ctx, records, names, leaf, others, why);
	buf_reset(why);
	buf_printf(why, "DANE: %s", leaf == NULL ? "there is no certificate"
		: !is_whole(t) ? "its TLS is older than RFC 5746" : "its keys are weak");
	return DANE_BAD;
}

bool
tlsclient_is_strong(const struct tls *t)
{
	return is_whole(t) && is_strong(t);
}

/* ---- what else there is to know -------------------------------------------------------------- */

void
tlsclient_describe(const struct tls *t, struct buf *out)
{
	buf_printf(out, "%s %s%s", SSL_get_version(t->ssl),
		SSL_CIPHER_standard_name(SSL_get_current_cipher(t->ssl)),
		SSL_session_reused(t->ssl) ? ", resumed" : "");
}

bool
tlsclient_exporter(struct tls *t, uint8_t out[static TLS_EXPORTER])
{
	static const char label[] = "EXPORTER-Channel-Binding";
	return SSL_version(t->ssl) >= TLS1_3_VERSION &&
		SSL_export_keying_material(t->ssl, out, TLS_EXPORTER, label, sizeof(label) - 1,
			NULL, 0, 0) == 1;
}

void
tlsclient_end(struct tls *t)
{
	save_session(t);
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
}

bool
tlsclient_disown(const struct tls *t)
{
	if (SSL_session_reused(t->ssl) == 0)
		return false;
	resume_forget(&t->peer);
	return true;
}

void
tlsclient_free(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_free(t->ssl);
	sk_X509_pop_free(t->others, X509_free);
	free(t);
}

void
tlsclient_forget(struct tls_setup *setup)
{
	if (setup->ctx != NULL)
		SSL_CTX_free(setup->ctx);
	setup->ctx = NULL;
	cleanup_fd(&setup->authorities);
	setup->authorities = -1;
}
