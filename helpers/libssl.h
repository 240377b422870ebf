/*
 * libssl: what OpenSSL says of a call that did not succeed, and whose memory it uses.
 */
#ifndef POSTERN_LIBSSL_H
#define POSTERN_LIBSSL_H

#include <openssl/ssl.h>
#include <stdbool.h>

enum { LIBSSL_WHY = 512 };

/*
 * Why it failed: the last of its errors, or errno, or, if that is 0, that the peer has gone.
 */
void libssl_why(char out[static LIBSSL_WHY]);

/* The event of poll(2) that OpenSSL wants behind a call that returned r; 0: it failed. */
short libssl_wanted(const SSL *ssl, int r);

/*
 * Has what OpenSSL frees go by our free, which overwrites it where lib/forget.h says so. Before any
 * other call of it; false: it was too late.
 */
bool libssl_forget_what_is_freed(void);

#endif
