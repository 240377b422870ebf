/*
 * TLSA records as a hostile zone has them. The input stands behind the question of a packet whose
 * first octet says how many records it has; what is read is described, and a certificate compared
 * with it.
 */
#include <stdlib.h>

#include "dns/question.h"
#include "dns/tlsa.h"
#include "sending/tlsclient.h"

#define OPENSSL_BY_ITSELF
#include "sending/dane.h"

#include "fuzz.h"

enum { ROOM = 32768, WORDS = 400 };

static const dnsc_t name[] = "\3_25\4_tcp\2mx\7example";

static SSL_CTX *ctx;
static X509 *certificate;
static STACK_OF(X509) *alone;

/* A certificate that a record may be for: a fuzzer finds its digest in what it is compared with. */
static void
set_up(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	must(tlsclient_load() == NULL);
	ctx = SSL_CTX_new(TLS_client_method());
	must(ctx != NULL && key != NULL && SSL_CTX_dane_enable(ctx) > 0);
	certificate = X509_new();
	alone = sk_X509_new_null();
	must(certificate != NULL && alone != NULL);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	must(X509_sign(certificate, key, EVP_sha256()) > 0);
	EVP_PKEY_free(key);
}

static void
look_at(struct tlsa *t)
{
	static const char *const names[] = { "mx.example", "", NULL };
	struct buf words = buf_new(WORDS), why = buf_new(WORDS);
	bool usable = false;
	must(t->n > 0 && t->n <= TLSA_RECORDS_MAX);
	for (size_t i = 0; i < t->n; i++)
		usable = usable || tlsa_is_usable(&t->v[i]);
	must(usable == tlsa_has_usable(t));
	snprintf(t->base, sizeof(t->base), "mx.example");
	tlsa_describe(t, &words);
	must(words.n > 0 && words.n < WORDS);
	enum dane_verdict v = dane_judge(ctx, t, names, certificate, alone, &why);
	must(usable || v == DANE_UNUSABLE);
	buf_free(&words);
	buf_free(&why);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static dnsc_t packet[ROOM];
	struct question q;
	const char *trouble;
	size_t n = DNS_HSIZE;
	if (size < 1 || size > ROOM / 2)
		return 0;
	if (ctx == NULL)
		set_up();
	memset(packet, 0, DNS_HSIZE);
	packet[2] = DNS_HF1_QR;
	packet[5] = 1;
	packet[7] = data[0];
	memcpy(packet + n, name, sizeof(name));
	n += sizeof(name);
	dns_put16(packet + n, TLSA_TYPE);
	dns_put16(packet + n + 2, DNS_C_IN);
	memcpy(packet + n + 4, data + 1, size - 1);
	struct span exact = exact_copy(packet, n + 4 + size - 1);
	question_set(&q, name, TLSA_TYPE);
	answer_read(&q, (dnscc_t *)exact.p, (int)exact.n);
	free_copy(exact);
	if (q.said == SAID_RECORDS) {
		struct tlsa *t = tlsa_read(&q, &trouble);
		must(t != NULL || trouble != NULL);
		if (t != NULL)
			look_at(t);
		tlsa_drop(t);
	}
	free(q.packet);
	return 0;
}
