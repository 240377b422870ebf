/* dane: whether a certificate is one of those that the DNS says (R80, B9). */
#include "tests/unit/unit.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "sending/tlsclient.h"

#define OPENSSL_BY_ITSELF
#include "sending/dane.h"

enum { TEXT = 500, DIGEST_MAX = 64 };

static SSL_CTX *ctx;
static X509 *authority, *leaf, *expired, *stranger;
static STACK_OF(X509) *with_authority, *alone;

static void
add_extension(X509 *x, X509 *issuer, int what, const char *value)
{
	X509V3_CTX v3;
	X509V3_set_ctx(&v3, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &v3, what, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* A certificate for `names`, or of an authority (NULL); good for so many seconds from now on. */
static X509 *
make(const char *subject, EVP_PKEY *key, X509 *issuer, EVP_PKEY *by, const char *names, long seconds)
{
	X509 *x = X509_new();
	assert_non_null(x);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -7200);
	X509_gmtime_adj(X509_getm_notAfter(x), seconds);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
		(const unsigned char *)subject, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer != NULL ? issuer : x));
	X509_set_pubkey(x, key);
	if (names != NULL) {
		add_extension(x, issuer, NID_subject_alt_name, names);
		add_extension(x, issuer, NID_ext_key_usage, "serverAuth");
	} else {
		add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE");
	}
	assert_true(X509_sign(x, by, EVP_sha256()) > 0);
	return x;
}

static int
enter(void **state)
{
	(void)state;
	enum { HOUR = 3600 };
	EVP_PKEY *ca = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	if (tlsclient_load() != NULL)
		return -1;
	ctx = SSL_CTX_new(TLS_client_method());
	assert_true(SSL_CTX_dane_enable(ctx) > 0);
	authority = make("ta", ca, NULL, ca, NULL, HOUR);
	leaf = make("leaf", key, authority, ca, "DNS:mx.example, DNS:*.wild.example", HOUR);
	expired = make("expired", key, authority, ca, "DNS:mx.example", -HOUR);
	stranger = make("stranger", other, NULL, other, "DNS:mx.example", HOUR);
	with_authority = sk_X509_new_null();
	alone = sk_X509_new_null();
	assert_true(sk_X509_push(with_authority, authority) > 0);
	EVP_PKEY_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	sk_X509_free(with_authority);
	sk_X509_free(alone);
	X509_free(authority);
	X509_free(leaf);
	X509_free(expired);
	X509_free(stranger);
	SSL_CTX_free(ctx);
	return 0;
}

/* A set with records that this certificate passes. The octets of each are malloced, and leaked here. */
static struct tlsa *
records_for(X509 *x, const int numbers[][3], size_t n)
{
	struct tlsa *t = calloc(1, sizeof(*t));
	assert_non_null(t);
	t->holders = 1;
	snprintf(t->base, sizeof(t->base), "mx.example");
	for (size_t i = 0; i < n; i++) {
		static const EVP_MD *(*const digests[])(void) = { NULL, EVP_sha256, EVP_sha512 };
		unsigned char *der = NULL;
		unsigned length = 0;
		int octets = numbers[i][1] == TLSA_KEY ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der)
						       : i2d_X509(x, &der);
		assert_true(octets > 0);
		if (numbers[i][2] != TLSA_FULL) {
			unsigned char *digest = OPENSSL_malloc(DIGEST_MAX);
			assert_int_equal(EVP_Digest(der, (size_t)octets, digest, &length,
				digests[numbers[i][2]](), NULL), 1);
			OPENSSL_free(der);
			der = digest;
			octets = (int)length;
		}
		t->v[t->n++] = (struct tlsa_record){ (uint8_t)numbers[i][0], (uint8_t)numbers[i][1],
			(uint8_t)numbers[i][2], (uint16_t)octets, der };
	}
	return t;
}

static void
free_records(struct tlsa *t)
{
	for (size_t i = 0; i < t->n; i++)
		OPENSSL_free((void *)(uintptr_t)t->v[i].data);
	free(t);
}

static enum dane_verdict
judge(struct tlsa *t, X509 *x, STACK_OF(X509) *others, const char *name, const char *next, char *said)
{
	const char *const names[] = { t->base, name, "", next, NULL };
	auto_buf why = buf_new(TEXT);
	enum dane_verdict v = dane_judge(ctx, t, names, x, others, &why);
	snprintf(said, TEXT, "%.*s", (int)why.n, why.n > 0 ? why.p : "");
	assert_int_equal(why.n == 0, v == DANE_GOOD);
	return v;
}

/* Each kind of record, of a certificate that passes it and of one that does not. */
static void
test_kinds(void **state)
{
	(void)state;
	char said[TEXT];
	for (int usage = 0; usage < 4; usage++)
		for (int selector = 0; selector < 2; selector++)
			for (int matching = 0; matching < 3; matching++) {
				const int numbers[1][3] = { { usage, selector, matching } };
				bool ta = usage == TLSA_TA;
				struct tlsa *t = records_for(ta ? authority : leaf, numbers, 1);
				enum dane_verdict good = usage < TLSA_TA ? DANE_UNUSABLE : DANE_GOOD;
				enum dane_verdict bad = usage < TLSA_TA ? DANE_UNUSABLE : DANE_BAD;
				assert_int_equal(judge(t, leaf, with_authority, "", "", said), good);
				assert_int_equal(judge(t, stranger, with_authority, "", "", said), bad);
				if (usage < TLSA_TA)
					assert_non_null(strstr(said, "no record can be used"));
				/* dates: of what an authority has signed, and of that alone */
				if (selector == TLSA_KEY || ta)
					assert_int_equal(judge(t, expired, with_authority, "", "", said),
						ta ? DANE_BAD : good);
				free_records(t);
			}
}

/* Names matter for usage 2: the base's, or one of the mail's. */
static void
test_names(void **state)
{
	(void)state;
	static const struct {
		const char *base, *name, *next;
		bool good;
	} rows[] = {
		{ "mx.example", "d.example", "", true },
		{ "end.example", "d.example", "", false },
		{ "end.example", "mx.example", "", true },
		{ "end.example", "d.example", "mx.example", true },
		{ "end.example", "a.wild.example", "", true },
		{ "end.example", "a.b.wild.example", "", false },
		{ "end.example", "leaf", "", false }, /* a subject is no name */
	};
	for (int usage = TLSA_TA; usage <= TLSA_EE; usage++)
		for (size_t i = 0; i < ROWS(rows); i++) {
			const int numbers[1][3] = { { usage, 0, 1 } };
			char said[TEXT];
			struct tlsa *t = records_for(usage == TLSA_TA ? authority : leaf, numbers, 1);
			snprintf(t->base, sizeof(t->base), "%s", rows[i].base);
			bool good = judge(t, leaf, with_authority, rows[i].name, rows[i].next, said) ==
				DANE_GOOD;
			assert_int_equal(good, rows[i].good || usage == TLSA_EE);
			if (!good)
				assert_non_null(strstr(said, "hostname mismatch"));
			free_records(t);
		}
}

/* An authority that is not sent along, but stands whole in the record; one that is nowhere. */
static void
test_without_authority(void **state)
{
	(void)state;
	static const struct {
		int numbers[1][3];
		enum dane_verdict verdict;
	} rows[] = {
		{ { { 2, 0, 0 } }, DANE_GOOD },
		{ { { 2, 1, 0 } }, DANE_GOOD },
		{ { { 2, 0, 1 } }, DANE_BAD },
		{ { { 3, 1, 1 } }, DANE_BAD }, /* the record is of the authority */
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		char said[TEXT];
		struct tlsa *t = records_for(authority, rows[i].numbers, 1);
		if (judge(t, leaf, alone, "", "", said) != rows[i].verdict)
			fail_msg("%zu: %s", i, said);
		free_records(t);
	}
}

/* One of several is enough; what cannot be used is passed by, and one that says nothing is nothing. */
static void
test_several(void **state)
{
	(void)state;
	static const int several[3][3] = { { 1, 0, 1 }, { 3, 0, 0 }, { 3, 1, 1 } };
	char said[TEXT];
	struct tlsa *t = records_for(leaf, several, 3);
	assert_int_equal(judge(t, leaf, alone, "", "", said), DANE_GOOD);
	assert_int_equal(judge(t, stranger, alone, "", "", said), DANE_BAD);
	assert_string_equal(said, "DANE: 1 0 1 and 3 0 0 and 3 1 1 of mx.example: "
		"no matching DANE TLSA records");
	t->v[2].n--; /* B9 */
	assert_int_equal(judge(t, leaf, alone, "", "", said), DANE_GOOD);
	t->v[1].n--; /* it is no certificate now */
	assert_int_equal(judge(t, leaf, alone, "", "", said), DANE_UNUSABLE);
	free_records(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_without_authority),
		cmocka_unit_test(test_several),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}
