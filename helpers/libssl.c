#include "helpers/libssl.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
libssl_why(char out[static LIBSSL_WHY])
{
	unsigned long e = ERR_peek_last_error();
	if (e == 0)
		snprintf(out, LIBSSL_WHY, "%s", errno != 0 ? strerror(errno) : "connection closed");
	else
		snprintf(out, LIBSSL_WHY, "%s", ERR_reason_error_string(e));
}

short
libssl_wanted(const SSL *ssl, int r)
{
	int want = SSL_get_error(ssl, r);
	return want == SSL_ERROR_WANT_READ ? POLLIN : want == SSL_ERROR_WANT_WRITE ? POLLOUT : 0;
}

/* OpenSSL's memory, so that what it frees is overwritten as what we free is (forget.h). */
static void *
take(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(n);
}

static void *
take_more(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return realloc(p, n);
}

static void
give_back(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

bool
libssl_forget_what_is_freed(void)
{
	return CRYPTO_set_mem_functions(take, take_more, give_back) == 1;
}
