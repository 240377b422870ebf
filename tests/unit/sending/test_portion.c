/*
 * portion: no call of OpenSSL is kept by a host that sends nothing but what is for OpenSSL alone
 * (R29, B11).
 *
 * Both sides are here, and what they say lies in memory, so that all of it has come before it is
 * read.
 */
#include "tests/unit/unit.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#define OPENSSL_BY_ITSELF
#include "sending/openssl.h"
#include "sending/portion.h"

enum {
	TICKETS = 3000,   /* of more than 200 octets each */
	RECORD = 16384,   /* octets, at most */
	ROUND_TRIPS = 10, /* more than a handshake has */
};

struct pair {
	SSL_CTX *of_client, *of_server;
	SSL *client, *server;
	BIO *to_client;
	struct portion portion;
};

static void
certify(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	assert_true(key != NULL && x != NULL);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(x);
	EVP_PKEY_free(key);
}

/* A pipe that says "later" where it is empty. */
static BIO *
make_pipe(void)
{
	BIO *b = BIO_new(BIO_s_mem());
	assert_non_null(b);
	BIO_set_mem_eof_return(b, -1);
	assert_int_equal(BIO_up_ref(b), 1); /* each side frees it */
	return b;
}

static void
shake_hands(struct pair *p)
{
	for (int i = 0; i < ROUND_TRIPS; i++) {
		portion_begin(&p->portion);
		(void)SSL_do_handshake(p->client);
		(void)SSL_do_handshake(p->server);
	}
	assert_true(SSL_is_init_finished(p->client) && SSL_is_init_finished(p->server));
	assert_int_equal(SSL_version(p->client), TLS1_3_VERSION);
}

static void
begin(struct pair *p)
{
	*p = (struct pair){ .of_client = SSL_CTX_new(TLS_client_method()),
		.of_server = SSL_CTX_new(TLS_server_method()) };
	BIO *to_server = make_pipe();
	assert_null(openssl_load());
	certify(p->of_server);
	assert_int_equal(SSL_CTX_set_num_tickets(p->of_server, 0), 1);
	p->client = SSL_new(p->of_client);
	p->server = SSL_new(p->of_server);
	p->to_client = make_pipe();
	SSL_set_bio(p->client, p->to_client, to_server);
	SSL_set_bio(p->server, to_server, p->to_client);
	SSL_set_connect_state(p->client);
	SSL_set_accept_state(p->server);
	portion_limit(p->client, &p->portion);
	shake_hands(p);
}

static void
end(struct pair *p)
{
	SSL_free(p->client);
	SSL_free(p->server);
	SSL_CTX_free(p->of_client);
	SSL_CTX_free(p->of_server);
}

static void
send_tickets(struct pair *p, int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(SSL_new_session_ticket(p->server), 1);
	assert_int_equal(SSL_do_handshake(p->server), 1);
}

/* Each call comes back after a portion, and what is meant for us is there in the end. */
static void
test_tickets(void **state)
{
	(void)state;
	struct pair p;
	char c = '\0';
	size_t calls = 0, got = 0;
	begin(&p);
	send_tickets(&p, TICKETS);
	assert_int_equal(SSL_write_ex(p.server, "x", 1, &got), 1);
	size_t all = BIO_ctrl_pending(p.to_client);
	assert_true(all > (size_t)4 * PORTION);
	for (int r = 0; r == 0; calls++) {
		size_t before = BIO_ctrl_pending(p.to_client);
		portion_begin(&p.portion);
		r = SSL_read_ex(p.client, &c, 1, &got);
		assert_true(before - BIO_ctrl_pending(p.to_client) < PORTION + RECORD);
		if (r == 0)
			assert_int_equal(SSL_get_error(p.client, r), SSL_ERROR_WANT_READ);
	}
	assert_int_equal(c, 'x');
	assert_true(calls > all / (PORTION + RECORD));
	end(&p);
}

/* What is meant for us comes as it always did: a record with each call. */
static void
test_records(void **state)
{
	(void)state;
	static char octets[RECORD];
	struct pair p;
	size_t got = 0;
	begin(&p);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(SSL_write_ex(p.server, octets, sizeof(octets), &got), 1);
		assert_int_equal(got, sizeof(octets));
	}
	for (int i = 0; i < 8; i++) {
		portion_begin(&p.portion);
		assert_int_equal(SSL_read_ex(p.client, octets, sizeof(octets), &got), 1);
		assert_int_equal(got, sizeof(octets));
	}
	assert_int_equal(BIO_ctrl_pending(p.to_client), 0);
	end(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_records),
	};
	return cmocka_run_group_tests_name("portion", tests, NULL, NULL);
}
