#include "delivery/courier.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "dns/tlsa.h"
#include "lib/cleanup.h"
#include "lib/wait.h"

enum {
	STACK = 256 * 1024, /* octets; 28 KiB were in use after TLS with a certificate verified */
	WHY_SIZE = 1024,
};

static void *
run(void *courier)
{
	struct courier *c = courier;
	wait_until_told(c->turn.told);
	hands_sign(c->relay->hands, c->turn.number);
	c->relay->visit(c);
	return NULL;
}

static size_t
size_of(const struct relay *r)
{
	return sizeof(struct courier) + (size_t)(r->common.relay.window_messages + 1) *
		sizeof(struct flight);
}

struct courier *
courier_new(struct relay *r, int number)
{
	/* Its buffers take memory only when they are used. */
	struct courier *c = mmap(NULL, size_of(r), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c == MAP_FAILED)
		return NULL;
	c->relay = r;
	c->link.fd = -1;
	c->why = buf_new(WHY_SIZE);
	c->flights = (struct flights){ .v = (struct flight *)(void *)(c + 1),
		.n = r->common.relay.window_messages + 1 };
	c->turn.number = number;
	c->turn.told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->turn.told >= 0)
		return c;
	munmap(c, size_of(r));
	return NULL;
}

int
courier_start(struct courier *c)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r = pthread_attr_init(&attr);
	if (r != 0)
		return -r;
	(void)pthread_attr_setstacksize(&attr, STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&c->thread, &attr, run, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	c->started = r == 0;
	return -r;
}

void
courier_free(struct courier *c)
{
	if (c->started)
		pthread_join(c->thread, NULL);
	cleanup_fd(&c->turn.told);
	exchanger_free(c->turn.offer);
	exchanger_drop(&c->to);
	tlsa_drop(c->tlsa);
	buf_free(&c->why);
	buf_free(&c->link.text);
	munmap(c, size_of(c->relay));
}
