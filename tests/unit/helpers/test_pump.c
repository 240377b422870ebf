/*
 * pump: what a client says gets to its session and back, whoever leaves first, and nobody is waited
 * for too long (B13, I2).
 */
#include "tests/unit/helpers/encrypted.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/pump.h"

enum { LARGE = 512 * 1024 }; /* octets; more than all that lies between the two takes */

static char large[LARGE], got[LARGE];

static SSL_CTX *server, *client;
static struct encrypted e;
static int session; /* the other end of the pair */

/* ---- calls that the linker puts in the place of the libraries' -------------------------------- */

static atomic_int parted;  /* times that the end of TLS was to be said */
static atomic_bool blocked; /* there was no room for what is for the client */

int __wrap_SSL_shutdown(SSL *ssl);
int __real_SSL_shutdown(SSL *ssl);
int __wrap_poll(struct pollfd *p, nfds_t n, int ms);
int __real_poll(struct pollfd *p, nfds_t n, int ms);

int
__wrap_SSL_shutdown(SSL *ssl)
{
	int r = __real_SSL_shutdown(ssl);
	parted++;
	return r;
}

int
__wrap_poll(struct pollfd *p, nfds_t n, int ms)
{
	if (n == 2 && p[0].fd >= 0 && (p[0].events & POLLOUT) != 0)
		blocked = true;
	return __real_poll(p, n, ms);
}

/* ---- the one that pumps ---------------------------------------------------------------------- */

static struct {
	pthread_t thread;
	int session;
	int64_t patience;
} pumping;

static void *
pump(void *nothing)
{
	pump_run(e.server, pumping.session, pumping.patience);
	close(pumping.session);
	return nothing;
}

/* The session, whose end will have `patience` s. */
static void
make_session(int64_t patience)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	session = pair[1];
	pumping.session = pair[0];
	pumping.patience = patience;
}

static void
start_pumping(void)
{
	assert_int_equal(pthread_create(&pumping.thread, NULL, pump, NULL), 0);
}

/* It begins, behind a handshake; what the session leaves behind has `patience` s. */
static void
begin_pumping(int64_t patience)
{
	make_session(patience);
	start_pumping();
}

/* It has ended, whoever is still there. */
static void
end_pumping(void)
{
	assert_int_equal(pthread_join(pumping.thread, NULL), 0);
}

static int
enter(void **state)
{
	(void)state;
	e = encrypted_new(server, client);
	encrypted_shake_hands(&e);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	encrypted_free(&e);
	return 0;
}

static int
start(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	server = encrypted_server();
	SSL_CTX_set_mode(server, /* as that of context.c */
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	client = SSL_CTX_new(TLS_client_method());
	return server == NULL || client == NULL ? -1 : 0;
}

static int
stop(void **state)
{
	(void)state;
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	return 0;
}

/* ---- both ends ------------------------------------------------------------------------------- */

static void
client_says(const char *text)
{
	assert_int_equal(SSL_write(e.client, text, (int)strlen(text)), (int)strlen(text));
}

static void
session_says(const char *text)
{
	assert_int_equal(send(session, text, strlen(text), 0), strlen(text));
}

static void
client_hears(const char *text)
{
	char said[64] = "";
	for (size_t n = 0; n < strlen(text);) {
		int k = SSL_read(e.client, said + n, (int)(sizeof(said) - 1 - n));
		assert_true(k > 0);
		n += (size_t)k;
	}
	assert_string_equal(said, text);
}

static void
session_hears(const char *text)
{
	char said[64] = "";
	assert_int_equal(recv(session, said, strlen(text), MSG_WAITALL), strlen(text));
	assert_string_equal(said, text);
}

static void
session_hears_the_end(void)
{
	char octet;
	assert_int_equal(recv(session, &octet, 1, 0), 0);
}

/* By close_notify, so that it knows that nothing was cut off. */
static void
client_hears_the_end(void)
{
	char octet;
	int r = SSL_read(e.client, &octet, 1);
	assert_int_equal(SSL_get_error(e.client, r), SSL_ERROR_ZERO_RETURN);
}

/* ---- what goes over -------------------------------------------------------------------------- */

static void
test_both_ways(void **state)
{
	(void)state;
	begin_pumping(SECONDS);
	session_says("220 hello\r\n");
	client_hears("220 hello\r\n");
	client_says("EHLO x\r\n");
	session_hears("EHLO x\r\n");
	session_says("250 x\r\n");
	client_hears("250 x\r\n");
	close(session);
	end_pumping();
}

/* What the client said behind its handshake may have been read with that. */
static void
test_said_before(void **state)
{
	(void)state;
	char octet;
	client_says("EHLO x\r\n");
	assert_true(SSL_peek(e.server, &octet, 1) == 1);
	begin_pumping(SECONDS);
	session_hears("EHLO x\r\n");
	close(session);
	end_pumping();
}

/* ---- what is for OpenSSL alone --------------------------------------------------------------- */

static struct {
	int updates; /* of the client's keys, so far */
	int before;  /* ... when the session was first heard; -1: it was not */
} seen;

static void
look(int written, int version, int type, const void *octets, size_t n, SSL *ssl, void *argument)
{
	const unsigned char *first = octets;
	(void)version;
	(void)ssl;
	(void)argument;
	if (n == 0)
		return;
	if (!written && type == SSL3_RT_HANDSHAKE && first[0] == SSL3_MT_KEY_UPDATE)
		seen.updates++;
	if (written && type == SSL3_RT_INNER_CONTENT_TYPE && seen.before < 0 &&
		first[0] == SSL3_RT_APPLICATION_DATA)
		seen.before = seen.updates;
}

/* The client says that it has new keys, so many times, and all of that is there at once. */
static void
renew_keys(int times)
{
	const int room = 1024 * 1024;
	int fd = SSL_get_fd(e.client);
	BIO *all = BIO_new(BIO_s_mem()), *below = SSL_get_rbio(e.client);
	char *octets;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	assert_int_equal(BIO_up_ref(all), 1);
	assert_int_equal(BIO_up_ref(below), 1);
	SSL_set0_wbio(e.client, all);
	for (int i = 0; i < times; i++) {
		assert_int_equal(SSL_key_update(e.client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(e.client), 1);
	}
	SSL_set0_wbio(e.client, below);
	long n = BIO_get_mem_data(all, &octets);
	assert_int_equal(send(fd, octets, (size_t)n, MSG_DONTWAIT), n);
	BIO_free(all);
}

/* B11: a client that says nothing else, and that for ever, keeps nobody from hearing its session. */
static void
test_new_keys(void **state)
{
	(void)state;
	enum { TIMES = 5000 }; /* 27 octets each: two portions */
	seen.updates = 0;
	seen.before = -1;
	SSL_set_msg_callback(e.server, look);
	renew_keys(TIMES);
	make_session(SECONDS);
	session_says("220 hello\r\n");
	start_pumping();
	client_hears("220 hello\r\n");
	client_says("EHLO x\r\n");
	session_hears("EHLO x\r\n");
	close(session);
	end_pumping();
	assert_int_equal(seen.updates, TIMES);
	assert_in_range(seen.before, 1, TIMES - 1);
}

/* ---- more than there is room for on the way -------------------------------------------------- */

static void *
say_much(void *nothing)
{
	for (size_t n = 0; n < sizeof(large);) {
		ssize_t k = send(session, large + n, sizeof(large) - n, 0);
		if (k <= 0)
			break;
		n += (size_t)k;
	}
	(void)shutdown(session, SHUT_WR);
	return nothing;
}

static void
test_much(void **state)
{
	pthread_t thread;
	(void)state;
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)(i % 251);
	begin_pumping(SECONDS);
	assert_int_equal(pthread_create(&thread, NULL, say_much, NULL), 0);
	size_t n = 0;
	for (int k = 1; n < sizeof(got) && k > 0; n += k > 0 ? (size_t)k : 0)
		k = SSL_read(e.client, got + n, (int)(sizeof(got) - n));
	assert_int_equal(n, sizeof(got));
	assert_memory_equal(got, large, sizeof(got));
	client_hears_the_end();
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(session);
	end_pumping();
}

/*
 * It is told that it was all, though there was no room for that when the session had said it. Which
 * length leaves none is the kernel's matter: so all are tried, as far as there is room.
 */
static void
test_no_room_for_the_end(void **state)
{
	enum { STEP = 1024, ROOM = 8 * 1024 };
	bool fits = true, met = false;
	for (int n = STEP; fits; n += STEP) {
		(void)leave(state);
		(void)enter(state);
		assert_int_equal(setsockopt(SSL_get_fd(e.server), SOL_SOCKET, SO_SNDBUF, &(int){ ROOM },
			sizeof(int)), 0);
		parted = 0;
		blocked = false;
		begin_pumping(SECONDS);
		assert_int_equal(send(session, large, (size_t)n, 0), n);
		close(session);
		while (parted == 0 && !blocked)
			(void)sched_yield();
		fits = parted > 0;
		for (int k = 0, r; k < n; k += r) {
			r = SSL_read(e.client, got, n - k);
			assert_true(r > 0);
		}
		client_hears_the_end();
		end_pumping();
		met = met || (fits && blocked);
	}
	assert_true(met);
}

static void *
write_much(void *nothing)
{
	for (size_t n = 0; n < sizeof(large);) {
		int k = SSL_write(e.client, large + n, (int)(sizeof(large) - n));
		if (k <= 0)
			break;
		n += (size_t)k;
	}
	(void)SSL_shutdown(e.client);
	return nothing;
}

static void
test_much_of_client(void **state)
{
	pthread_t thread;
	(void)state;
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)(i % 241);
	begin_pumping(SECONDS);
	assert_int_equal(pthread_create(&thread, NULL, write_much, NULL), 0);
	assert_int_equal(recv(session, got, sizeof(got), MSG_WAITALL), sizeof(got));
	assert_memory_equal(got, large, sizeof(got));
	session_hears_the_end();
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(session);
	end_pumping();
}

/* ---- who leaves first ------------------------------------------------------------------------ */

/* The session hears the end, and may still answer. */
static void
test_client_ends(void **state)
{
	(void)state;
	begin_pumping(SECONDS);
	client_says("QUIT\r\n");
	(void)SSL_shutdown(e.client);
	session_hears("QUIT\r\n");
	session_hears_the_end();
	session_says("221 bye\r\n");
	client_hears("221 bye\r\n");
	close(session);
	client_hears_the_end();
	end_pumping();
}

/* Without close_notify it is the end all the same. */
static void
test_client_is_lost(void **state)
{
	(void)state;
	begin_pumping(SECONDS);
	client_says("DATA\r\n");
	encrypted_hang_up(&e);
	session_hears("DATA\r\n");
	session_hears_the_end();
	close(session);
	end_pumping();
}

/* What the session said last gets there, and then it is the end for a client that stays. */
static void
test_session_ends(void **state)
{
	(void)state;
	begin_pumping(SECONDS);
	session_says("421 bye\r\n");
	close(session);
	end_pumping();
	client_hears("421 bye\r\n");
	client_hears_the_end();
}

/* A session that has said its last, but reads on (stream_linger). */
static void
test_session_lingers(void **state)
{
	(void)state;
	begin_pumping(SECONDS);
	session_says("552 too large\r\n");
	assert_int_equal(shutdown(session, SHUT_WR), 0);
	client_hears("552 too large\r\n");
	client_hears_the_end();
	client_says("more");
	session_hears("more");
	encrypted_hang_up(&e);
	session_hears_the_end();
	end_pumping(); /* though the session is there */
	close(session);
}

/* I2: whoever reads nothing is left by us, some time after the session. */
static void
test_client_reads_nothing(void **state)
{
	(void)state;
	ssize_t n;
	/* what the client need not read for the rest to go out */
	assert_int_equal(setsockopt(SSL_get_fd(e.server), SOL_SOCKET, SO_SNDBUF, &(int){ 1 },
		sizeof(int)), 0);
	begin_pumping(0);
	while ((n = send(session, large, sizeof(large), MSG_DONTWAIT)) > 0)
		;
	assert_true(n < 0 && errno == EAGAIN);
	close(session);
	end_pumping();
}

#define ENCRYPTED(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ENCRYPTED(test_both_ways),
		ENCRYPTED(test_said_before),
		ENCRYPTED(test_new_keys),
		ENCRYPTED(test_much),
		ENCRYPTED(test_no_room_for_the_end),
		ENCRYPTED(test_much_of_client),
		ENCRYPTED(test_client_ends),
		ENCRYPTED(test_client_is_lost),
		ENCRYPTED(test_session_ends),
		ENCRYPTED(test_session_lingers),
		ENCRYPTED(test_client_reads_nothing),
	};
	return cmocka_run_group_tests_name("pump", tests, start, stop);
}
