#include "secrets/ticket.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/id.h"
#include "lib/tlsinfo.h"

#define CURRENT  TLS_TICKET_FILE
#define PREVIOUS "ticket-key.old"

/* A file of any other size or owner is not ours (K13). */
static bool
load(int dir, const char *name, struct ticket_key *key, int64_t *age)
{
	struct stat st;
	auto_fd fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
		st.st_size != (off_t)sizeof(*key))
		return false;
	*age = clock_wall() - (int64_t)st.st_mtime;
	return read(fd, key, sizeof(*key)) == (ssize_t)sizeof(*key);
}

/* Gives a key that was made its name, unless another one was quicker: then that is the key. */
static bool
publish(int dir, const char *name, struct ticket_key *key)
{
	int64_t age;
	if (linkat(dir, name, dir, CURRENT, 0) < 0 && !load(dir, CURRENT, key, &age))
		return renameat(dir, name, dir, CURRENT) == 0; /* what is there is no key */
	unlinkat(dir, name, 0);
	return true;
}

/* Makes a key under a name of its own and then gives it the right one. */
static bool
make(int dir, struct ticket_key *key)
{
	char name[ID_SIZE];
	if (getrandom(key, sizeof(*key), 0) != (ssize_t)sizeof(*key) || id_new(name) < 0)
		return false;
	auto_fd fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return false;
	if (write(fd, key, sizeof(*key)) == (ssize_t)sizeof(*key) && publish(dir, name, key))
		return true;
	unlinkat(dir, name, 0);
	return false;
}

int
ticket_keys(const char *directory, struct ticket_key keys[static TICKET_KEYS])
{
	int64_t age = 0, old = 0;
	auto_fd dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	bool usable = load(dir, CURRENT, &keys[0], &age);
	if (!usable || age > TICKET_LIFE || age < 0) {
		if (usable)
			renameat(dir, CURRENT, dir, PREVIOUS);
		if (!make(dir, &keys[0]))
			return 0;
	}
	return load(dir, PREVIOUS, &keys[1], &old) && old <= 2 * TICKET_LIFE ? 2 : 1;
}

/* The keys of this process. */
static struct {
	struct ticket_key v[TICKET_KEYS];
	int n;
} tickets;

/* OpenSSL asks for the key of a new ticket, or for that of one which came back. */
static int
use_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int making)
{
	int i = 0;
	if (making) {
		if (tickets.n == 0 ||
			RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return -1;
		memcpy(name, tickets.v[0].name, TICKET_NAME);
	} else {
		while (i < tickets.n && memcmp(name, tickets.v[i].name, TICKET_NAME) != 0)
			i++;
		if (i == tickets.n)
			return 0;
	}
	struct ticket_key *k = &tickets.v[i];
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof(k->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	if (EVP_MAC_CTX_set_params(mac, params) != 1 ||
		EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv, making) != 1)
		return -1;
	/*
	 * 2: and give the client a new one. In TLS 1.3 each is for one use (RFC 8446 section C.4),
	 * and what is sent takes the acknowledgement along that the client's first command may wait
	 * 40 ms for.
	 */
	return i == 0 && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

bool
ticket_offer(SSL_CTX *ctx, const char *directory)
{
	int n = ticket_keys(directory, tickets.v);
	tickets.n = n > 0 ? n : 0;
	if (tickets.n == 0)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, tickets.n > 0 ? 1 : 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, use_ticket) == 1;
}
