/*
 * trust: which authorities may have signed a host's certificate?
 *
 * They stand in one PEM file, which is opened before the process locks itself in and read when the
 * first certificate is to be judged. A system has about 150 of them, and to decode them all takes
 * OpenSSL 30 ms; so only those are decoded whose names the certificates in question give as their
 * issuers.
 */
#ifndef POSTERN_TRUST_H
#define POSTERN_TRUST_H

#include "sending/openssl.h"

/*
 * A store of the authorities in `file` (an fd; its offset does not matter) that are named as
 * issuers of `leaf` or of the others that came with it (may be NULL). Freed by the caller. NULL:
 * the file cannot be read.
 */
X509_STORE *trust_store(int file, X509 *leaf, const STACK_OF(X509) *others);

#endif
