/*
 * context: which certificates are used, what is done without, and what else is agreed on with a
 * client (B16).
 */
#include "tests/unit/helpers/encrypted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helpers/context.h"

static char directory[] = "/tmp/postern-context-XXXXXX";
static char good[64], other[64], absent[64], empty[64]; /* files in it; the first two are pairs */

static void
write_pair(const char *path, EVP_PKEY *key)
{
	assert_non_null(key);
	write_certificate_to(path, key);
	auto_file f = fopen(path, "a");
	write_key(f, key);
	EVP_PKEY_free(key);
}

static int
start(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(good, sizeof(good), "%s/good", directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	snprintf(absent, sizeof(absent), "%s/absent", directory);
	snprintf(empty, sizeof(empty), "%s/empty", directory);
	write_pair(good, EVP_EC_gen("P-256"));
	write_pair(other, EVP_RSA_gen(2048)); /* another kind: a client chooses */
	auto_file f = fopen(empty, "w");
	return f == NULL ? -1 : 0;
}

static int
stop(void **state)
{
	const char *const names[] = { "good", "other", "empty", "ticket-key", "ticket-key.old" };
	char path[64];
	(void)state;
	for (size_t i = 0; i < ROWS(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		(void)unlink(path);
	}
	return rmdir(directory);
}

static struct conf
conf_of(char *certificates, char *keys)
{
	struct conf c = { .who.runtime = directory, .tls.certificate = certificates,
		.tls.key = keys };
	return c;
}

/* ---- certificates ---------------------------------------------------------------------------- */

/* Each word of the two lists is one of these files. */
static void
test_certificates(void **state)
{
	static const struct {
		const char *certificates, *keys; /* g: good, o: other, a: absent */
		bool usable;
		int wrong; /* how many cannot be used */
	} rows[] = {
		{ "g", "g", true, 0 },
		{ "go", "go", true, 0 },
		{ "ga", "ga", true, 1 },
		{ "ag", "ag", true, 1 },
		{ "a", "a", false, 1 },
		{ "go", "og", false, 2 }, /* keys of others */
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char lists[2][3 * sizeof(good)] = { "", "" };
		for (int l = 0; l < 2; l++)
			for (const char *w = l == 0 ? rows[i].certificates : rows[i].keys; *w; w++)
				snprintf(lists[l] + strlen(lists[l]), sizeof(good) + 1, "%s ",
					*w == 'g' ? good : *w == 'o' ? other : absent);
		struct conf c = conf_of(lists[0], lists[1]);
		auto_buf why = buf_new(LIMIT_COMMAND);
		SSL_CTX *ctx = context_make(&c, &why);
		if ((ctx != NULL) != rows[i].usable)
			fail_msg("row %zu: %.*s", i, (int)why.n, why.n > 0 ? why.p : "");
		SSL_CTX_free(ctx);
		int wrong = 0;
		for (struct span rest = buf_span(&why); rest.n > 0; wrong++) {
			const char *next = memmem(rest.p, rest.n, "; tls_", 6);
			rest = next != NULL ? span_skip(rest, (size_t)(next + 2 - rest.p))
					    : (struct span){ rest.p, 0 };
		}
		if (wrong != rows[i].wrong)
			fail_msg("row %zu: %.*s", i, (int)why.n, why.n > 0 ? why.p : "");
	}
}

/* Whoever names signers of clients wants to know who they are: without them there is no TLS. */
static void
test_client_ca(void **state)
{
	char *const files[] = { good, absent, empty };
	(void)state;
	for (size_t i = 0; i < ROWS(files); i++) {
		char want[128];
		struct conf c = conf_of(good, good);
		c.tls.client_ca = files[i];
		auto_buf why = buf_new(LIMIT_COMMAND);
		SSL_CTX *ctx = context_make(&c, &why);
		assert_int_equal(ctx != NULL, files[i] == good);
		if (ctx != NULL)
			assert_int_equal(SSL_CTX_get_verify_mode(ctx), SSL_VERIFY_PEER);
		SSL_CTX_free(ctx);
		snprintf(want, sizeof(want), "tls_client_ca %s: %s", files[i],
			files[i] == absent ? "No such file or directory" : "");
		assert_int_equal(why.n == 0, files[i] == good);
		assert_true(why.n == 0 || span_istarts(buf_span(&why), span_of(want)));
	}
	/* it stands behind what is wrong with certificates */
	char certificates[3 * sizeof(good)];
	snprintf(certificates, sizeof(certificates), "%s %s", absent, good);
	char keys[3 * sizeof(good)];
	snprintf(keys, sizeof(keys), "%s %s", good, good);
	struct conf c = conf_of(certificates, keys);
	c.tls.client_ca = absent;
	auto_buf why = buf_new(LIMIT_COMMAND);
	assert_null(context_make(&c, &why));
	assert_non_null(memmem(why.p, why.n, "; tls_client_ca ", 16));
}

/* ---- what is agreed on ----------------------------------------------------------------------- */

/* Forward secrecy and AEAD, unless old machines are to be served. */
static void
test_ciphers(void **state)
{
	(void)state;
	struct conf c = conf_of(good, good);
	auto_buf why = buf_new(LIMIT_COMMAND);
	SSL_CTX *ctx = context_make(&c, &why);
	assert_non_null(ctx);
	assert_int_equal(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
	STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx);
	assert_true(sk_SSL_CIPHER_num(all) > 0);
	for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);
		int kx = SSL_CIPHER_get_kx_nid(cipher);
		assert_true(SSL_CIPHER_is_aead(cipher));
		assert_true(kx == NID_kx_ecdhe || kx == NID_kx_dhe || kx == NID_kx_any);
	}
	SSL_CTX_free(ctx);
	c.tls.legacy = CONF_YES;
	ctx = context_make(&c, &why);
	assert_non_null(ctx);
	assert_int_equal(SSL_CTX_get_min_proto_version(ctx), TLS1_VERSION);
	SSL_CTX_free(ctx);
	assert_int_equal(why.n, 0);
}

static SSL_CTX *
made(const struct conf *c)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	SSL_CTX *ctx = context_make(c, &why);
	assert_non_null(ctx);
	return ctx;
}

/* Is a session resumed at `second` that a client has got at `first`? Frees both. */
static bool
is_resumed(SSL_CTX *first, SSL_CTX *second)
{
	SSL_CTX *at[] = { first, second }, *client = SSL_CTX_new(TLS_client_method());
	SSL_SESSION *session = NULL;
	bool resumed = false;
	SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION); /* the ticket is there at once */
	for (int i = 0; i < 2; i++) {
		struct encrypted e = encrypted_new(at[i], client);
		if (session != NULL)
			assert_int_equal(SSL_set_session(e.client, session), 1);
		encrypted_shake_hands(&e);
		resumed = SSL_session_reused(e.server) == 1;
		assert_true(i == 1 || !resumed);
		if (i == 0)
			session = SSL_get1_session(e.client);
		encrypted_free(&e);
		SSL_CTX_free(at[i]);
	}
	SSL_SESSION_free(session);
	SSL_CTX_free(client);
	return resumed;
}

/* B16: whom one kind of listener has verified, another one has not. */
static void
test_kinds(void **state)
{
	(void)state;
	struct conf plain = conf_of(good, good), asks = plain, others = plain;
	asks.tls.client_ca = good;
	others.tls.client_ca = other;
	assert_true(is_resumed(made(&plain), made(&plain)));
	assert_true(is_resumed(made(&asks), made(&asks)));
	assert_false(is_resumed(made(&plain), made(&asks)));
	assert_false(is_resumed(made(&asks), made(&plain)));
	assert_false(is_resumed(made(&asks), made(&others)));
}

/* ... nor has the same one, before its file of signers changed. */
static void
test_file_that_changed(void **state)
{
	static const struct timespec then[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	(void)state;
	struct conf asks = conf_of(good, good);
	asks.tls.client_ca = other;
	SSL_CTX *before = made(&asks);
	assert_int_equal(utimensat(AT_FDCWD, other, then, 0), 0);
	assert_false(is_resumed(before, made(&asks)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_client_ca),
		cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_file_that_changed),
	};
	return cmocka_run_group_tests_name("context", tests, start, stop);
}
