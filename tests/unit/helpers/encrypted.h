/* encrypted: a client and a server in one process, which speak TLS with each other. */
#ifndef POSTERN_ENCRYPTED_H
#define POSTERN_ENCRYPTED_H

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "helpers/handshake.h"
#include "lib/clock.h"
#include "tests/unit/selfsigned.h"

enum { SECONDS = 60 };

struct encrypted {
	SSL *server, *client; /* at the ends of a pair; the server's does not block */
};

/* A context with a certificate that signs itself. */
static inline SSL_CTX *
encrypted_server(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = sign_itself(key);
	SSL_CTX *server = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(server, certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server, key), 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return server;
}

/* Before they shake hands. */
static inline struct encrypted
encrypted_new(SSL_CTX *server, SSL_CTX *client)
{
	struct encrypted e = { SSL_new(server), SSL_new(client) };
	int fd[2];
	assert_true(e.server != NULL && e.client != NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(fcntl(fd[0], F_SETFL, O_RDWR | O_NONBLOCK), 0);
	assert_int_equal(SSL_set_fd(e.server, fd[0]), 1);
	assert_int_equal(SSL_set_fd(e.client, fd[1]), 1);
	return e;
}

static inline void *
encrypted_connect(void *client)
{
	(void)SSL_connect(client);
	return NULL;
}

static inline void
encrypted_shake_hands(const struct encrypted *e)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, encrypted_connect, e->client), 0);
	assert_true(handshake_make(e->server, clock_deadline(SECONDS)));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(SSL_is_init_finished(e->client), 1);
}

/* The client's end alone. */
static inline void
encrypted_hang_up(struct encrypted *e)
{
	if (e->client == NULL)
		return;
	close(SSL_get_fd(e->client));
	/* or its session would count as bad, and could not be resumed */
	SSL_set_shutdown(e->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(e->client);
	e->client = NULL;
}

static inline void
encrypted_free(struct encrypted *e)
{
	encrypted_hang_up(e);
	close(SSL_get_fd(e->server));
	SSL_free(e->server);
}

#endif
