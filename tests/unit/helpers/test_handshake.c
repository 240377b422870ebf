/*
 * handshake: when tls begins, what it is told of the client, and what a client may bind its AUTH to
 * (R70).
 */
#include "tests/unit/helpers/encrypted.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "helpers/libssl.h"

static SSL_CTX *server, *client;
static int pair[2]; /* the end of tls, and the session's */

static int
start(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	server = encrypted_server();
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	SSL_CTX_free(server);
	return 0;
}

static int
enter(void **state)
{
	(void)state;
	client = SSL_CTX_new(TLS_client_method());
	return client == NULL ? -1 : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static int
leave(void **state)
{
	(void)state;
	SSL_CTX_free(client);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

/* ---- may it begin? --------------------------------------------------------------------------- */

static void
test_agree(void **state)
{
	static const struct tlsgo go = { TLS_GO, "a.example[192.0.2.1]" };
	static const struct tlsgo odd = { TLS_GO, "a\r\nb" };
	static const struct tlsgo other = { TLS_READY, "a.example[192.0.2.1]" };
	static struct tlsgo full = { .word = TLS_GO };
	static char escaped[4 * TLS_NAME + 1];
	memset(full.name, '\n', sizeof(full.name));
	for (size_t i = 0; i < TLS_NAME; i++)
		memcpy(escaped + 4 * i, "\\x0a", 5);
	const struct {
		const void *said;
		size_t n;
		const char *name; /* NULL: it may not begin */
	} rows[] = {
		{ &go, sizeof(go), "a.example[192.0.2.1]" },
		{ &odd, sizeof(odd), "a\\x0d\\x0ab" },
		{ &full, sizeof(full), escaped },
		{ &other, sizeof(other), NULL },
		{ &go, sizeof(go) - 1, NULL },
		{ &go, 0, NULL },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char name[HANDSHAKE_NAME] = "nobody", octet = 0;
		int ends[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		assert_int_equal(send(ends[1], rows[i].said, rows[i].n, 0), rows[i].n);
		assert_int_equal(shutdown(ends[1], SHUT_WR), 0);
		assert_int_equal(handshake_agree(ends[0], name), rows[i].name != NULL);
		assert_string_equal(name, rows[i].name != NULL ? rows[i].name : "nobody");
		assert_int_equal(read(ends[1], &octet, 1), 1);
		assert_int_equal(octet, TLS_READY);
		close(ends[0]);
		close(ends[1]);
	}
}

static void
test_session_has_gone(void **state)
{
	char name[HANDSHAKE_NAME] = "";
	int ends[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	close(ends[1]);
	assert_false(handshake_agree(ends[0], name));
	close(ends[0]);
}

/* ---- the handshake --------------------------------------------------------------------------- */

/* Nobody waits for a client beyond the deadline. */
static void
test_silent(void **state)
{
	(void)state;
	struct encrypted e = encrypted_new(server, client);
	assert_false(handshake_make(e.server, clock_deadline(0)));
	assert_int_equal(errno, ETIMEDOUT);
	encrypted_free(&e);
}

static void
test_gone(void **state)
{
	char why[LIBSSL_WHY] = "";
	(void)state;
	struct encrypted e = encrypted_new(server, client);
	encrypted_hang_up(&e);
	assert_false(handshake_make(e.server, clock_deadline(SECONDS)));
	libssl_why(why);
	assert_true(why[0] != '\0');
	encrypted_free(&e);
}

static void
test_no_tls(void **state)
{
	static const char said[] = "EHLO client.example and more, as long as a record's head\r\n";
	char why[LIBSSL_WHY] = "";
	(void)state;
	struct encrypted e = encrypted_new(server, client);
	assert_int_equal(write(SSL_get_fd(e.client), said, strlen(said)), strlen(said));
	assert_false(handshake_make(e.server, clock_deadline(SECONDS)));
	libssl_why(why);
	assert_true(why[0] != '\0');
	encrypted_free(&e);
}

/* ---- what the session is told ---------------------------------------------------------------- */

static struct tlsinfo
told(const struct encrypted *e, bool binds)
{
	struct tlsinfo info;
	assert_true(handshake_tell(pair[0], e->server, binds));
	assert_int_equal(recv(pair[1], &info, sizeof(info), MSG_WAITALL), sizeof(info));
	assert_string_equal(info.version, SSL_get_version(e->client));
	assert_string_equal(info.cipher,
		SSL_CIPHER_standard_name(SSL_get_current_cipher(e->client)));
	assert_string_equal(info.client, "");
	return info;
}

/* The client's idea of it is the same. */
static void
assert_exporter(const struct encrypted *e, const struct tlsbinding *b)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	uint8_t want[TLS_EXPORTER];
	assert_true(b->safe);
	assert_int_equal(SSL_export_keying_material(e->client, want, sizeof(want), label,
		sizeof(label) - 1, NULL, 0, 0), 1);
	assert_memory_equal(b->exporter, want, sizeof(want));
}

static void
test_binding(void **state)
{
	(void)state;
	struct encrypted e = encrypted_new(server, client);
	encrypted_shake_hands(&e);
	assert_int_equal(SSL_version(e.client), TLS1_3_VERSION);
	struct tlsbinding b = told(&e, true).binding;
	assert_exporter(&e, &b);
	assert_false(b.has_unique); /* which is not defined there */
	b = told(&e, false).binding;
	assert_memory_equal(&b, &(struct tlsbinding){ 0 }, sizeof(b));
	encrypted_free(&e);
}

/* Before TLS 1.3; tls-unique is the first Finished message of the two. */
static void
test_unique(void **state)
{
	uint8_t want[TLS_UNIQUE];
	(void)state;
	SSL_SESSION *session = NULL;
	SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
	for (int resumed = 0; resumed < 2; resumed++) {
		struct encrypted e = encrypted_new(server, client);
		if (resumed)
			assert_int_equal(SSL_set_session(e.client, session), 1);
		encrypted_shake_hands(&e);
		assert_int_equal(SSL_session_reused(e.server), resumed);
		struct tlsbinding b = told(&e, true).binding;
		assert_exporter(&e, &b);
		assert_true(b.has_unique);
		assert_int_equal((resumed ? SSL_get_peer_finished : SSL_get_finished)(e.client,
			want, sizeof(want)), sizeof(want));
		assert_memory_equal(b.unique, want, sizeof(want));
		if (!resumed)
			session = SSL_get1_session(e.client);
		encrypted_free(&e);
	}
	SSL_SESSION_free(session);
}

/* Without the extended master secret (RFC 7627) two connections may have the same. */
static void
test_not_safe(void **state)
{
	(void)state;
	SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
	SSL_CTX_set_options(client, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	struct encrypted e = encrypted_new(server, client);
	encrypted_shake_hands(&e);
	struct tlsbinding b = told(&e, true).binding;
	assert_false(b.safe);
	assert_false(b.has_unique);
	encrypted_free(&e);
}

static void
test_nobody_to_tell(void **state)
{
	(void)state;
	struct encrypted e = encrypted_new(server, client);
	encrypted_shake_hands(&e);
	close(pair[1]);
	pair[1] = -1;
	assert_false(handshake_tell(pair[0], e.server, true));
	encrypted_free(&e);
}

#define PAIRED(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PAIRED(test_agree),
		PAIRED(test_session_has_gone),
		PAIRED(test_silent),
		PAIRED(test_gone),
		PAIRED(test_no_tls),
		PAIRED(test_binding),
		PAIRED(test_unique),
		PAIRED(test_not_safe),
		PAIRED(test_nobody_to_tell),
	};
	return cmocka_run_group_tests_name("handshake", tests, start, stop);
}
