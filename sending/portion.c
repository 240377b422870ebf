#include "sending/portion.h"

/* Is asked before each read, where less than 1 is its result, and hears what it brought. */
static long
count(BIO *b, int what, const char *argument, size_t size, int number, long more, int r,
	size_t *done)
{
	struct portion *p = (struct portion *)(void *)BIO_get_callback_arg(b);
	(void)argument;
	(void)size;
	(void)number;
	(void)more;
	if (what == (BIO_CB_READ | BIO_CB_RETURN) && r > 0)
		p->left -= *done < p->left ? *done : p->left;
	if (what != BIO_CB_READ || p->left > 0)
		return r;
	BIO_set_flags(b, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
	return -1;
}

void
portion_limit(SSL *ssl, struct portion *p)
{
	BIO *below = SSL_get_rbio(ssl);
	portion_begin(p);
	BIO_set_callback_arg(below, (char *)p);
	BIO_set_callback_ex(below, count);
}

void
portion_begin(struct portion *p)
{
	p->left = PORTION;
}
