#include "sending/signer.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"

enum {
	TIMEOUT_READY = 30,  /* s, for sign to read its keys: a thousand of them, on a slow host */
	TIMEOUT_ANSWER = 30, /* s, for a signature: RSA of 8192 bits, on a slow host that is busy */
};

/*
 * Until it says something. 0 or -errno. Not as the waits of wait.h: a courier that is to give way
 * would leave sign, whose answer is as good as there, and with it the mail of all others.
 */
static int
wait_for_sign(int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;
	do
		r = poll(&p, 1, clock_left(deadline));
	while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : r < 0 ? -errno : -ETIMEDOUT;
}

/* One message of a known size. 0 or -errno. */
static int
hear(int fd, void *out, size_t size, int64_t seconds)
{
	int r = wait_for_sign(fd, clock_deadline(seconds));
	if (r < 0)
		return r;
	ssize_t n = recv(fd, out, size, MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EPIPE;
}

static void
let_go(struct signer *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

int
signer_begin(struct signer *s, const struct conf_dkim *conf, int fd, struct buf *why)
{
	*s = (struct signer){ .missing = conf->missing, .lifetime = conf->lifetime, .fd = fd,
		.large = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER };
	int r = dkimkeys_read(&s->keys, conf->keys, why);
	s->blind = r < 0;
	if (r == 0 && fd >= 0)
		r = hear(fd, &s->hello, sizeof(s->hello), TIMEOUT_READY);
	if (r == 0 && fd >= 0 && (s->hello.sum != s->keys.sum || s->hello.keys != s->keys.n)) {
		buf_printf(why, "%s: it was changed just now", conf->keys);
		r = -EINVAL;
	} else if (r < 0 && why->n == 0) {
		buf_puts(why, "sign has no keys for us; see its lines in the log");
		r = -EINVAL;
	}
	if (r < 0 || fd < 0) {
		s->hello = (struct sign_hello){ 0 };
		let_go(s);
	}
	return r;
}

/* With the lock. As signer_ask. */
static int
ask(struct signer *s, const struct sign_question *q, struct sign_reply *r)
{
	if (s->fd < 0)
		return -ENOTCONN;
	if (send(s->fd, q, sizeof(*q), MSG_NOSIGNAL) != (ssize_t)sizeof(*q))
		return -EPIPE;
	return hear(s->fd, r, sizeof(*r), TIMEOUT_ANSWER);
}

int
signer_ask(struct signer *s, size_t key, const uint8_t hash[static SIGN_HASH],
	uint8_t out[static SIGN_SIGNATURE])
{
	struct sign_question q = { .key = (uint32_t)key };
	struct sign_reply r = { .n = 0 };
	memcpy(q.hash, hash, SIGN_HASH);
	pthread_mutex_lock(&s->lock);
	int err = ask(s, &q, &r);
	if (err < 0) {
		let_go(s); /* a late answer would be taken for that to the next question */
		s->lost = true;
	}
	pthread_mutex_unlock(&s->lock);
	if (err < 0)
		return err;
	if (r.n == 0 || r.n > SIGN_SIGNATURE)
		return -EBADMSG;
	memcpy(out, r.signature, r.n);
	return (int)r.n;
}

bool
signer_take_loss(struct signer *s)
{
	return atomic_exchange(&s->lost, false);
}

/* Which keys can be used stays as it was: others look at that meanwhile. */
int
signer_renew(struct signer *s, int fd)
{
	struct sign_hello hello;
	int r = hear(fd, &hello, sizeof(hello), 0);
	if (r < 0 || hello.sum != s->keys.sum || hello.keys != s->keys.n) {
		close(fd);
		return -EINVAL;
	}
	pthread_mutex_lock(&s->lock);
	let_go(s);
	s->fd = fd;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

void
signer_end(struct signer *s)
{
	dkimkeys_free(&s->keys);
	let_go(s);
}
