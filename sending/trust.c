#include "sending/trust.h"

#include <stdlib.h>

#include "lib/file.h"
#include "lib/limits.h"
#include "lib/span.h"

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END "-----END CERTIFICATE-----"

/* ---- one certificate of the file ---------------------------------------------------------- */

/* What stands between its lines, without base64. 0: nothing that it could be. */
static size_t
decode(struct span text, unsigned char *out)
{
	int n = 0, rest = 0;
	EVP_ENCODE_CTX *base64 = EVP_ENCODE_CTX_new();
	if (base64 == NULL)
		return 0;
	EVP_DecodeInit(base64);
	if (EVP_DecodeUpdate(base64, out, &n, (const unsigned char *)text.p, (int)text.n) < 0 ||
		EVP_DecodeFinal(base64, out + n, &rest) < 0)
		n = rest = 0;
	EVP_ENCODE_CTX_free(base64);
	return (size_t)(n + rest);
}

/* An element of DER of this kind: into it, or over it. False: it is another. */
static bool
step(const unsigned char **p, const unsigned char *end, int kind, int class, bool into)
{
	const unsigned char *q = *p;
	long length;
	int tag, found;
	int r = ASN1_get_object(&q, &length, &tag, &found, end - q);
	if ((r & 0x80) != 0 || tag != kind || found != class || length > end - q)
		return false;
	*p = into ? q : q + length;
	return true;
}

/* The subject (RFC 5280 section 4.1), without decoding the rest: keys are what takes long. */
static X509_NAME *
subject_of(const unsigned char *der, size_t n)
{
	const unsigned char *p = der, *end = der + n;
	if (!step(&p, end, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, true) || /* Certificate */
		!step(&p, end, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, true)) /* TBSCertificate */
		return NULL;
	(void)step(&p, end, 0, V_ASN1_CONTEXT_SPECIFIC, false); /* version */
	if (!step(&p, end, V_ASN1_INTEGER, V_ASN1_UNIVERSAL, false) || /* serial number */
		!step(&p, end, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, false) || /* signature */
		!step(&p, end, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, false) || /* issuer */
		!step(&p, end, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, false)) /* validity */
		return NULL;
	return d2i_X509_NAME(NULL, &p, end - p);
}

/* ---- those that are wanted ----------------------------------------------------------------- */

static bool
is_issuer(const X509_NAME *name, const X509 *leaf, const STACK_OF(X509) *others)
{
	if (X509_NAME_cmp(name, X509_get_issuer_name(leaf)) == 0)
		return true;
	for (int i = 0; i < sk_X509_num(others); i++)
		if (X509_NAME_cmp(name, X509_get_issuer_name(sk_X509_value(others, i))) == 0)
			return true;
	return false;
}

static void
add_if_issuer(X509_STORE *store, const unsigned char *der, size_t n, const X509 *leaf,
	const STACK_OF(X509) *others)
{
	const unsigned char *p = der;
	X509_NAME *name = subject_of(der, n);
	X509 *x = NULL;
	if (name != NULL && is_issuer(name, leaf, others))
		x = d2i_X509(NULL, &p, (long)n);
	if (x != NULL)
		(void)X509_STORE_add_cert(store, x);
	X509_free(x);
	X509_NAME_free(name);
}

/* The text between the next two lines of a certificate; *rest is what follows. False: no more. */
static bool
next_block(struct span *rest, struct span *block)
{
	const char *begin = memmem(rest->p, rest->n, BEGIN, strlen(BEGIN));
	if (begin == NULL)
		return false;
	*rest = span_from(begin + strlen(BEGIN), rest->p + rest->n);
	const char *end = memmem(rest->p, rest->n, END, strlen(END));
	if (end == NULL)
		return false;
	*block = span_from(rest->p, end);
	*rest = span_from(end + strlen(END), rest->p + rest->n);
	return true;
}

X509_STORE *
trust_store(int file, X509 *leaf, const STACK_OF(X509) *others)
{
	size_t n = 0;
	char *text = file_read(file, LIMIT_AUTHORITIES, &n);
	unsigned char *der = text != NULL ? malloc(n + 1) : NULL;
	X509_STORE *store = der != NULL ? X509_STORE_new() : NULL;
	struct span rest = { text, n }, block;
	while (store != NULL && next_block(&rest, &block))
		add_if_issuer(store, der, decode(block, der), leaf, others);
	free(der);
	free(text);
	return store;
}
