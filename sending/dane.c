#include "sending/dane.h"

enum { CAREFUL = 2 }; /* OpenSSL's security level: 112 bits */

/*
 * OpenSSL keeps records with a connection; this one is never made. Those that it cannot use are
 * left out: of a whole certificate or key it says so itself. How many are left.
 */
static int
add_records(SSL *ssl, const struct tlsa *t)
{
	int n = 0;
	for (size_t i = 0; i < t->n; i++) {
		const struct tlsa_record *r = &t->v[i];
		if (tlsa_is_usable(r) && SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching,
			r->data, r->n) == 1)
			n++;
	}
	return n;
}

/* Names are looked at for usage 2 alone. */
static bool
add_names(X509_VERIFY_PARAM *p, const char *const *names)
{
	int n = 0;
	X509_VERIFY_PARAM_set_hostflags(p,
		X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	for (; *names != NULL; names++)
		if (**names != '\0') {
			if (X509_VERIFY_PARAM_add1_host(p, *names, 0) != 1)
				return false;
			n++;
		}
	return n > 0; /* or OpenSSL would ask for none */
}

static bool
compare(SSL *ssl, const char *const *names, X509 *leaf, STACK_OF(X509) *others, const char **reason)
{
	X509_STORE *nobody = X509_STORE_new(); /* no authority is ours */
	X509_STORE_CTX *ctx = nobody != NULL ? X509_STORE_CTX_new() : NULL;
	bool ok = ctx != NULL && X509_STORE_CTX_init(ctx, nobody, leaf, others) == 1 &&
		X509_STORE_CTX_set_default(ctx, "ssl_server") == 1;
	*reason = "out of memory";
	if (ok) {
		X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(ctx);
		X509_VERIFY_PARAM_set_auth_level(p, CAREFUL);
		X509_STORE_CTX_set0_dane(ctx, SSL_get0_dane(ssl));
		ok = add_names(p, names);
	}
	if (ok) {
		ok = X509_verify_cert(ctx) == 1;
		*reason = X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(nobody);
	return ok;
}

enum dane_verdict
dane_judge(SSL_CTX *ctx, const struct tlsa *records, const char *const *names, X509 *leaf,
	STACK_OF(X509) *others, struct buf *why)
{
	const char *reason = "out of memory";
	SSL *ssl = SSL_new(ctx);
	bool begun = ssl != NULL && SSL_dane_enable(ssl, records->base) > 0;
	if (begun)
		(void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	int n = begun ? add_records(ssl, records) : 0;
	bool good = n > 0 && compare(ssl, names, leaf, others, &reason);
	SSL_free(ssl);
	if (begun && n == 0)
		reason = "no record can be used";
	if (!good) {
		buf_reset(why);
		buf_puts(why, "DANE: ");
		tlsa_describe(records, why);
		buf_printf(why, ": %s", reason);
	}
	return good ? DANE_GOOD : begun && n == 0 ? DANE_UNUSABLE : DANE_BAD;
}
