/*
 * signer: the other end of sign, which has the keys of DKIM (lib/signwire.h).
 *
 * One question at a time: couriers wait for each other here, a millisecond at most for each key of
 * RSA. Once sign does not answer it is not asked any more: what needs it waits until there is
 * another one (signer_renew).
 */
#ifndef POSTERN_SIGNER_H
#define POSTERN_SIGNER_H

#include <pthread.h>

#include "conf/conf.h"
#include "conf/dkimkeys.h"

struct signer {
	struct dkimkeys keys;
	bool blind;           /* they could not be read: any mail may be to be signed */
	struct sign_hello hello;
	enum conf_dkim_missing missing;
	int64_t lifetime;     /* s; 0: signatures have no end */
	pthread_mutex_t large; /* of who has a long header in memory (signature.c) */
	pthread_mutex_t lock;  /* of what follows */
	int fd;               /* -1: there is no sign */
	_Atomic bool lost;    /* ... and it was missed */
};

/*
 * Reads the table of keys and hears which of them sign has; *s owns `fd` from then on (-1: sign
 * could not be started). 0, or -EINVAL with the reason in *why; then no key can be used.
 */
int signer_begin(struct signer *s, const struct conf_dkim *conf, int fd, struct buf *why);

/* Octets of the signature; -errno: there is none, now. */
int signer_ask(struct signer *s, size_t key, const uint8_t hash[static SIGN_HASH],
	uint8_t out[static SIGN_SIGNATURE]);

/* Was sign missed since this was last asked? */
bool signer_take_loss(struct signer *s);

/*
 * Another sign is there, and has read its keys; *s owns `fd` from then on. 0, or -EINVAL: it has
 * not the table that we have, or has ended, and is let go. Does not wait.
 */
int signer_renew(struct signer *s, int fd);

void signer_end(struct signer *s);

#endif
