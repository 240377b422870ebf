/*
 * pump: what a client says by TLS goes to its session in clear, and what the session says goes to
 * the client. Nobody looks at it here.
 */
#ifndef POSTERN_PUMP_H
#define POSTERN_PUMP_H

#include <openssl/ssl.h>
#include <stdint.h>

/*
 * Passes octets on until the session closes; the client is at SSL_get_fd(ssl), which does not
 * block. The session has the deadlines; what it leaves behind has `patience` seconds. A session
 * that has sent its last reply but still reads (stream_linger) goes on getting what the client
 * sends. That the client is gone looks to the session like the end, with close_notify or without.
 */
void pump_run(SSL *ssl, int session, int64_t patience);

/* Nothing of what was passed on is in memory any more. */
void pump_forget(void);

#endif
