/*
 * ticket: the keys of TLS session tickets, shared by processes that each serve one connection.
 *
 * Two files in the runtime directory: the key in use, and the one before, which still opens old
 * tickets. Whoever finds none makes one; of two that do so at once both have that of the first.
 * Whoever finds the key too old makes a new one, and two that do that at once lose some old
 * tickets, which costs those clients a full handshake.
 */
#ifndef POSTERN_TICKET_H
#define POSTERN_TICKET_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	TICKET_NAME = 16,              /* octets; finds the key of a ticket (RFC 5077 section 4) */
	TICKET_LIFE = 12 * 3600,       /* s until a key is replaced */
	TICKET_KEYS = 2,
};

struct ticket_key {
	uint8_t name[TICKET_NAME], aes[32], mac[32];
};

/*
 * Fills `keys`, the one in use first. How many there are (0: none could be read or made, so there
 * are no tickets), or -errno for a directory that cannot be opened.
 */
int ticket_keys(const char *directory, struct ticket_key keys[static TICKET_KEYS]);

/*
 * Has connections of ctx resumed by tickets with these keys, if there are some. False: no memory.
 */
bool ticket_offer(SSL_CTX *ctx, const char *directory);

#endif
