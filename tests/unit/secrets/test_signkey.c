/*
 * signkey: which keys sign, and that what they sign, and the digest of it that mail/dkim.c makes, is
 * what the examples of RFC 8463 and RFC 6376 say.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "lib/cleanup.h"
#include "mail/dkim.h"
#include "mail/encode.h"
#include "secrets/signkey.h"

/* RFC 8463 appendix A: the key, what it signs (SHA-256 of the canonical header), the signature. */
static const char example_key[] = "-----BEGIN PRIVATE KEY-----\n"
	"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
	"-----END PRIVATE KEY-----\n";
static const uint8_t example_hash[SIGN_HASH] = { 0x48, 0xce, 0x9a, 0x2c, 0x71, 0x0e, 0xce, 0x17,
	0x10, 0xff, 0x15, 0x69, 0x96, 0xb8, 0x36, 0xa7, 0xf4, 0x54, 0x70, 0xe4, 0x3e, 0xfe, 0x56,
	0x43, 0x07, 0x4d, 0x6e, 0x16, 0x90, 0xed, 0x62, 0xe7 };
static const char example_signature[] =
	"/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus"
	"Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==";

static char path[] = "/tmp/signkey-XXXXXX";

static void
write_text(const char *text)
{
	auto_file f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

static void
write_key(EVP_PKEY *key)
{
	auto_file f = fopen(path, "w");
	assert_non_null(key);
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	EVP_PKEY_free(key);
}

static void
test_ed25519(void **state)
{
	(void)state;
	uint8_t out[SIGN_SIGNATURE];
	auto_buf why = buf_new(512), text = buf_new(512);
	write_text(example_key);
	EVP_PKEY *key = signkey_read(path, &why);
	assert_non_null(key);
	assert_int_equal(signkey_algorithm(key), DKIM_ED25519);
	uint32_t n = signkey_sign(key, example_hash, out);
	assert_int_equal(n, 64);
	encode_base64_text(&text, (struct span){ (const char *)out, n });
	assert_true(span_eq(buf_span(&text), span_of(example_signature)));
	EVP_PKEY_free(key);
}

/* PKCS #1 v1.5 with SHA-256 (RFC 8301): what anybody verifies like that. */
static void
test_rsa(void **state)
{
	(void)state;
	uint8_t out[SIGN_SIGNATURE];
	auto_buf why = buf_new(512);
	write_key(EVP_RSA_gen(2048));
	EVP_PKEY *key = signkey_read(path, &why);
	assert_non_null(key);
	assert_int_equal(signkey_algorithm(key), DKIM_RSA);
	uint32_t n = signkey_sign(key, example_hash, out);
	assert_int_equal(n, 256);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_verify(ctx, out, n, example_hash, SIGN_HASH), 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
}

static void
refuse(const char *wrong)
{
	auto_buf why = buf_new(512), want = buf_new(512);
	buf_printf(&want, "%s: %s", path, wrong);
	assert_null(signkey_read(path, &why));
	if (!span_starts(buf_span(&why), buf_span(&want)))
		fail_msg("%.*s", (int)why.n, why.p);
}

static void
test_unfit(void **state)
{
	(void)state;
	write_text("");
	refuse("there is no private key in it");
	write_text("-----BEGIN PRIVATE KEY-----\nabcd\n-----END PRIVATE KEY-----\n");
	refuse("there is no private key in it");
	write_key(EVP_RSA_gen(1024));
	refuse("RSA with fewer than 2048 bits");
	write_key(EVP_EC_gen("P-256"));
	refuse("the key is neither RSA nor Ed25519");
	EVP_PKEY *key = EVP_RSA_gen(2048);
	FILE *f = fopen(path, "w");
	assert_int_equal(PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(),
		(const unsigned char *)"x", 1, NULL, NULL), 1);
	fclose(f);
	EVP_PKEY_free(key);
	refuse("there is no private key in it");
	unlink(path);
	refuse("No such file");
}

/* ---- the messages of the appendices ------------------------------------------------------- */

static EVP_MD_CTX *digest;

static void
digest_begin(void)
{
	assert_int_equal(EVP_DigestInit_ex(digest, EVP_sha256(), NULL), 1);
}

static void
digest_add(void *unused, struct span piece)
{
	(void)unused;
	assert_int_equal(EVP_DigestUpdate(digest, piece.p, piece.n), 1);
}

static void
digest_end(uint8_t out[static SIGN_HASH])
{
	assert_int_equal(EVP_DigestFinal_ex(digest, out, NULL), 1);
}

static void
assert_base64(const uint8_t *octets, size_t n, const char *want)
{
	auto_buf text = buf_new(512);
	encode_base64_text(&text, (struct span){ (const char *)octets, n });
	if (!span_eq(buf_span(&text), span_of(want)))
		fail_msg("%.*s", (int)text.n, text.p);
}

/* With a key of 1024 bits, too, which no file may have. */
static void
assert_signs(const char *pem, const uint8_t hash[static SIGN_HASH], const char *want)
{
	uint8_t out[SIGN_SIGNATURE];
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	assert_non_null(key);
	assert_base64(out, signkey_sign(key, hash, out), want);
	EVP_PKEY_free(key);
	BIO_free(bio);
}

/* Both RFCs have this message, and say what the digest of its body is. */
#define FIELDS "From: Joe SixPack <joe@football.example.com>\r\n" \
	"To: Suzie Q <suzie@shopping.example.net>\r\nSubject: Is dinner ready?\r\n" \
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n" \
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
#define BODY "Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n"
#define BODY_HASH "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="

static struct dkim message;

static void
read_message(const char *text)
{
	uint8_t hash[SIGN_HASH];
	digest_begin();
	dkim_begin(&message, digest_add, NULL);
	dkim_feed(&message, span_of(text));
	dkim_end(&message);
	digest_end(hash);
	assert_base64(hash, SIGN_HASH, BODY_HASH);
}

/*
 * RFC 8463 appendix A.3. It signs the five fields once more than they are there, in the order in
 * which we do, and the names of h= stand in the field itself: so all of it is made by our code.
 */
static const struct {
	const char *key, *field, *want;
} signatures[] = {
	{ example_key,
		"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
		" d=football.example.com; i=@football.example.com;\r\n"
		" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
		" subject : date : message-id : from : subject : date;\r\n"
		" bh=" BODY_HASH ";\r\n b=",
		example_signature },
	{ "-----BEGIN RSA PRIVATE KEY-----\n"
	  "MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi\n"
	  "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM\n"
	  "KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB\n"
	  "AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm\n"
	  "6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe\n"
	  "zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy\n"
	  "6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc\n"
	  "uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy\n"
	  "WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd\n"
	  "WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a\n"
	  "licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst\n"
	  "o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe\n"
	  "uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL\n"
	  "-----END RSA PRIVATE KEY-----\n",
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
		" d=football.example.com; i=@football.example.com;\r\n"
		" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
		" date : message-id : from : subject : date;\r\n"
		" bh=" BODY_HASH ";\r\n b=",
		"F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3"
		"DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz"
		"dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=" },
};

static void
test_rfc8463(void **state)
{
	(void)state;
	uint8_t hash[SIGN_HASH];
	read_message(FIELDS "\r\n" BODY);
	for (size_t i = 0; i < ROWS(signatures); i++) {
		digest_begin();
		dkim_signed(&message, span_of(signatures[i].field), digest_add, NULL);
		digest_end(hash);
		assert_signs(signatures[i].key, hash, signatures[i].want);
	}
	dkim_free(&message);
}

/*
 * RFC 6376 appendix A.2, with the key of appendix C. Its forms are "simple", which we do not have:
 * its body is canonical in both, so bh= is ours, and b= is what our key makes of its header as it
 * stands. The form of the header is not ours, nor are the names that it signs (Received).
 */
static const char received[] = "Received: from client1.football.example.com  [192.0.2.1]\r\n"
	"      by submitserver.example.com with SUBMISSION;\r\n"
	"      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n" FIELDS;
static const char simple[] = "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
	"      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
	"      h=Received : From : To : Subject : Date : Message-ID;\r\n"
	"      bh=" BODY_HASH ";\r\n      b=;";
static const char simple_key[] = "-----BEGIN RSA PRIVATE KEY-----\n"
	"MIICXwIBAAKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFC\n"
	"jxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gb\n"
	"to/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB\n"
	"AoGBALmn+XwWk7akvkUlqb+dOxyLB9i5VBVfje89Teolwc9YJT36BGN/l4e0l6QX\n"
	"/1//6DWUTB3KI6wFcm7TWJcxbS0tcKZX7FsJvUz1SbQnkS54DJck1EZO/BLa5ckJ\n"
	"gAYIaqlA9C0ZwM6i58lLlPadX/rtHb7pWzeNcZHjKrjM461ZAkEA+itss2nRlmyO\n"
	"n1/5yDyCluST4dQfO8kAB3toSEVc7DeFeDhnC1mZdjASZNvdHS4gbLIA1hUGEF9m\n"
	"3hKsGUMMPwJBAPW5v/U+AWTADFCS22t72NUurgzeAbzb1HWMqO4y4+9Hpjk5wvL/\n"
	"eVYizyuce3/fGke7aRYw/ADKygMJdW8H/OcCQQDz5OQb4j2QDpPZc0Nc4QlbvMsj\n"
	"7p7otWRO5xRa6SzXqqV3+F0VpqvDmshEBkoCydaYwc2o6WQ5EBmExeV8124XAkEA\n"
	"qZzGsIxVP+sEVRWZmW6KNFSdVUpk3qzK0Tz/WjQMe5z0UunY9Ax9/4PVhp/j61bf\n"
	"eAYXunajbBSOLlx4D+TunwJBANkPI5S9iylsbLs6NkaMHV6k5ioHBBmgCak95JGX\n"
	"GMot/L2x0IYyMLAz6oLWh2hm7zwtb0CgOrPo1ke44hFYnfc=\n"
	"-----END RSA PRIVATE KEY-----\n";

static void
test_rfc6376(void **state)
{
	(void)state;
	uint8_t hash[SIGN_HASH];
	char text[1024];
	snprintf(text, sizeof(text), "%s\r\n%s", received, BODY);
	read_message(text);
	dkim_free(&message);
	digest_begin();
	digest_add(NULL, span_of(received));
	digest_add(NULL, span_of(simple));
	digest_end(hash);
	assert_signs(simple_key, hash,
		"AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB"
		"4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut"
		"KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV4bmp/YzhwvcubU4=");
	write_text(simple_key);
	refuse("RSA with fewer than 2048 bits");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ed25519),
		cmocka_unit_test(test_rsa),
		cmocka_unit_test(test_unfit),
		cmocka_unit_test(test_rfc8463),
		cmocka_unit_test(test_rfc6376),
	};
	close(mkstemp(path));
	digest = EVP_MD_CTX_new();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	EVP_MD_CTX_free(digest);
	unlink(path);
	return failed;
}
