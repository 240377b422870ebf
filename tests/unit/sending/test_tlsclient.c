/*
 * tlsclient: whom a certificate is good for, also when a connection turns to another target; and
 * connections that several threads begin at once.
 */
#include "tests/unit/sending/sent.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/clock.h"
#include "sending/link.h"
#include "sending/tlsclient.h"

#define OPENSSL_BY_ITSELF
#include "sending/openssl.h"
#include "sending/portion.h"

#define NAMES "DNS:a.example, DNS:b.example, DNS:*.wild.example, IP:192.0.2.1"

/* ---- a host that has TLS ------------------------------------------------------------------- */

static SSL_CTX *server;                 /* of all hosts */
static struct tls_setup setup;          /* its certificate is an authority's */

static void
add_extension(X509 *x, int what, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, what, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* A certificate for NAMES that its key has signed itself. */
static X509 *
make_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();
	assert_non_null(x);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME *name = X509_get_subject_name(x);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"subject.example",
		-1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	add_extension(x, NID_subject_alt_name, NAMES);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static int
enter(void **state)
{
	(void)state;
	char *text;
	signal(SIGPIPE, SIG_IGN);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = make_certificate(key);
	server = SSL_CTX_new(TLS_server_method());
	assert_true(SSL_CTX_use_certificate(server, x) == 1 && SSL_CTX_use_PrivateKey(server, key) == 1);
	BIO *pem = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(pem, x);
	long n = BIO_get_mem_data(pem, &text);
	setup = (struct tls_setup){ .authorities = memfd_create("ca", MFD_CLOEXEC) };
	assert_int_equal(write(setup.authorities, text, (size_t)n), n);
	BIO_free(pem);
	X509_free(x);
	EVP_PKEY_free(key);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	tlsclient_forget(&setup);
	assert_null(setup.ctx);
	assert_int_equal(setup.authorities, -1);
	SSL_CTX_free(server);
	return 0;
}

/* Shakes hands, and listens until the other side has ended. */
static void *
be_host(void *fd)
{
	char octets[100];
	SSL *ssl = SSL_new(server);
	SSL_set_fd(ssl, (int)(intptr_t)fd);
	if (SSL_accept(ssl) == 1)
		while (SSL_read(ssl, octets, sizeof(octets)) > 0)
			;
	SSL_free(ssl);
	close((int)(intptr_t)fd);
	return NULL;
}

/* One connection, with the host's thread. */
struct connection {
	int fd;
	pthread_t host;
	struct tls *tls;
	struct buf why;
};

static int
begin(struct connection *c)
{
	const struct resume peer = { .dir = -1, .host = "a.example" };
	int fd[2];
	c->why = buf_new(1000);
	c->tls = NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0 ||
		fcntl(fd[0], F_SETFL, O_NONBLOCK) < 0 ||
		pthread_create(&c->host, NULL, be_host, (void *)(intptr_t)fd[1]) != 0)
		return -EIO;
	c->fd = fd[0];
	return tlsclient_begin(&setup, c->fd, &peer, (struct tls_how){ 0 }, clock_deadline(60),
		&c->tls, &c->why);
}

static void
end(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	pthread_join(c->host, NULL);
	tlsclient_free(c->tls);
	buf_free(&c->why);
}

/* ---- names --------------------------------------------------------------------------------- */

static const struct {
	const char *target;
	bool good;
} names[] = {
	{ "a.example", true },
	{ "b.example", true },
	{ "B.Example", true },
	{ "x.wild.example", true },
	{ "192.0.2.1", true },
	{ "c.example", false },
	{ "x.a.example", false },
	{ "wild.example", false },
	{ "y.x.wild.example", false },
	{ "192.0.2.2", false },
	{ "subject.example", false }, /* a subject is no name (RFC 9525) */
	{ "", false },
};

static void
test_names(void **state)
{
	(void)state;
	struct connection c;
	assert_int_equal(begin(&c), 0);
	for (size_t i = 0; i < ROWS(names); i++)
		if (tlsclient_verify(c.tls, names[i].target, &c.why) != names[i].good)
			fail_msg("%s: %.*s", names[i].target, (int)c.why.n, c.why.p);
	end(&c);
}

/* Nobody is trusted without an authority. */
static void
test_no_authority(void **state)
{
	(void)state;
	struct connection c;
	int kept = setup.authorities;
	assert_int_equal(begin(&c), 0);
	setup.authorities = -1;
	assert_false(tlsclient_verify(c.tls, "a.example", &c.why));
	setup.authorities = memfd_create("none", MFD_CLOEXEC);
	assert_false(tlsclient_verify(c.tls, "a.example", &c.why));
	close(setup.authorities);
	setup.authorities = kept;
	assert_true(tlsclient_verify(c.tls, "a.example", &c.why));
	end(&c);
}

/* ---- more than is taken in at once --------------------------------------------------------- */

/* A chain of more than a portion, and about as long as OpenSSL takes any. */
static void
test_long_chain(void **state)
{
	(void)state;
	enum { OCTETS = 80 * 1024 };
	struct connection c;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	assert_true((size_t)OCTETS > PORTION);
	for (int n = 0; n < OCTETS;) {
		X509 *x = make_certificate(key);
		n += i2d_X509(x, NULL);
		assert_int_equal(SSL_CTX_add_extra_chain_cert(server, x), 1);
	}
	EVP_PKEY_free(key);
	if (begin(&c) != 0)
		fail_msg("%.*s", (int)c.why.n, c.why.p);
	assert_true(tlsclient_verify(c.tls, "a.example", &c.why));
	assert_false(tlsclient_verify(c.tls, "c.example", &c.why));
	end(&c);
}

/* ---- a connection that turns to another target --------------------------------------------- */

static struct link l; /* large */

/* What was proved for one target, and done for it, counts for that one alone. */
static void
test_turn(void **state)
{
	(void)state;
	struct connection c;
	assert_int_equal(begin(&c), 0);
	l.terms = patient_terms();
	l.fd = c.fd;
	l.proof.tls = c.tls;
	/* A yes is no yes for the next one, and a no is no no. */
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < ROWS(names); i++) {
			l.flow.answered = 3;
			l.flow.about = REFUSAL_US;
			l.flow.heeded = REFUSAL_FALLBACK;
			link_turn_to(&l, names[i].target, "d.example");
			assert_int_equal(l.proof.trust, TRUST_UNKNOWN);
			assert_string_equal(l.terms.target, names[i].target);
			assert_string_equal(l.terms.domain, "d.example");
			assert_false(link_was_of_use(&l));
			assert_int_equal(l.flow.about, 0);
			assert_int_equal(l.flow.heeded, 0);
			assert_int_equal(link_judge(&l), names[i].good);
			assert_int_equal(link_judge(&l), names[i].good);
		}
	/* The connection is the same. */
	assert_int_equal(l.fd, c.fd);
	assert_ptr_equal(l.proof.tls, c.tls);
	assert_string_equal(l.terms.name, "mx");
	link_turn_to(&l, "a.example", NULL);
	assert_null(l.terms.domain);
	assert_true(link_judge(&l));
	/* In clear there is nothing to judge. */
	l.proof.tls = NULL;
	link_turn_to(&l, "a.example", NULL);
	assert_false(link_judge(&l));
	l.fd = -1;
	end(&c);
}

/* ---- threads ------------------------------------------------------------------------------- */

enum { THREADS = 8, TIMES = 5, LATER = 200 };

const char *__real_openssl_load(void);
const char *__wrap_openssl_load(void);

/* Contexts that were made, and whether who makes one waits for another who does, LATER ms at most. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	int made;
	bool waits;
} making = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static SSL_CTX *
make_context(const SSL_METHOD *method)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += LATER * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&making.lock);
	making.made++;
	pthread_cond_broadcast(&making.more);
	while (making.waits && making.made < 2 &&
		pthread_cond_timedwait(&making.more, &making.lock, &until) == 0)
		;
	pthread_mutex_unlock(&making.lock);
	return SSL_CTX_new(method);
}

const char *
__wrap_openssl_load(void)
{
	const char *missing = __real_openssl_load();
	pthread_mutex_lock(&making.lock);
	if (openssl.SSL_CTX_new != make_context) {
		assert_int_equal(mprotect(&openssl, sizeof(openssl), PROT_READ | PROT_WRITE), 0);
		openssl.SSL_CTX_new = make_context;
	}
	pthread_mutex_unlock(&making.lock);
	return missing;
}

/* What a thread found. */
struct user {
	pthread_t thread;
	int begun, good, bad;
};

static void *
use(void *user)
{
	struct user *u = user;
	for (int i = 0; i < TIMES; i++) {
		struct connection c = { .fd = -1 };
		u->begun += begin(&c) == 0;
		u->good += c.tls != NULL && tlsclient_verify(c.tls, "b.example", &c.why);
		u->bad += c.tls != NULL && tlsclient_verify(c.tls, "c.example", &c.why);
		end(&c);
	}
	return NULL;
}

/* What all connections have in common is made once, whoever comes first. */
static void
test_threads(void **state)
{
	(void)state;
	struct user users[THREADS] = { { .begun = 0 } };
	assert_null(setup.ctx);
	making.made = 0;
	making.waits = true;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&users[i].thread, NULL, use, &users[i]), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(users[i].thread, NULL), 0);
	making.waits = false;
	assert_int_equal(making.made, 1);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(users[i].begun, TIMES);
		assert_int_equal(users[i].good, TIMES);
		assert_int_equal(users[i].bad, 0);
	}
}

#define HOSTED(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTED(test_names),
		HOSTED(test_no_authority),
		HOSTED(test_long_chain),
		HOSTED(test_turn),
		HOSTED(test_threads),
	};
	return cmocka_run_group_tests_name("tlsclient", tests, NULL, NULL);
}
