/*
 * openssl: the functions of OpenSSL that relay calls, of libraries that are loaded by the process
 * which talks to hosts, and by no other.
 *
 * To load them costs more than all else that a relay begins with: 146 page faults, most of them for
 * tables full of pointers. A keeper has no use for them, nor who only looks whether mail is due.
 * Include this instead of OpenSSL's headers, and write calls as always.
 */
#ifndef POSTERN_OPENSSL_H
#define POSTERN_OPENSSL_H

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

#define OPENSSL_FUNCTIONS(F) \
	F(ASN1_get_object) F(BIO_get_callback_arg) F(BIO_set_callback_arg) \
	F(BIO_set_callback_ex) F(BIO_set_flags) F(CRYPTO_clear_free) F(CRYPTO_free) \
	F(ERR_clear_error) \
	F(ERR_peek_error) F(ERR_reason_error_string) F(EVP_DecodeFinal) F(EVP_DecodeInit) \
	F(EVP_DecodeUpdate) F(EVP_DigestFinal_ex) F(EVP_DigestInit_ex) F(EVP_DigestUpdate) \
	F(EVP_ENCODE_CTX_free) F(EVP_ENCODE_CTX_new) F(EVP_MD_CTX_free) F(EVP_MD_CTX_new) \
	F(EVP_PKEY_free) F(EVP_PKEY_get_security_bits) F(EVP_sha256) F(OPENSSL_init_crypto) \
	F(OPENSSL_sk_new_null) F(OPENSSL_sk_num) F(OPENSSL_sk_pop_free) F(OPENSSL_sk_push) \
	F(OPENSSL_sk_value) F(SSL_CIPHER_get_bits) F(SSL_CIPHER_standard_name) \
	F(SSL_CTX_ctrl) F(SSL_CTX_dane_enable) F(SSL_CTX_free) F(SSL_CTX_new) \
	F(SSL_CTX_set_options) F(SSL_CTX_set_verify) F(SSL_SESSION_free) \
	F(SSL_SESSION_is_resumable) F(SSL_connect) \
	F(SSL_ctrl) F(SSL_dane_enable) F(SSL_dane_set_flags) F(SSL_dane_tlsa_add) \
	F(SSL_get0_dane) F(SSL_export_keying_material) F(SSL_free) F(SSL_get0_peer_certificate) \
	F(SSL_get_current_cipher) F(SSL_get_error) F(SSL_get_peer_cert_chain) F(SSL_get_rbio) \
	F(SSL_get_servername) F(SSL_get_session) F(SSL_get_version) F(SSL_new) F(SSL_read_ex) \
	F(SSL_session_reused) F(SSL_set_fd) F(SSL_set_options) F(SSL_set_security_level) \
	F(SSL_set_session) F(SSL_shutdown) F(SSL_version) F(SSL_write_ex) \
	F(TLS_client_method) F(X509_NAME_cmp) F(X509_NAME_free) F(X509_STORE_CTX_free) \
	F(X509_STORE_CTX_get0_param) F(X509_STORE_CTX_get_error) F(X509_STORE_CTX_init) \
	F(X509_STORE_CTX_new) F(X509_STORE_CTX_set0_dane) F(X509_STORE_CTX_set_default) \
	F(X509_STORE_add_cert) F(X509_STORE_free) F(X509_STORE_new) \
	F(X509_VERIFY_PARAM_add1_host) F(X509_VERIFY_PARAM_set1_host) \
	F(X509_VERIFY_PARAM_set1_ip_asc) F(X509_VERIFY_PARAM_set_auth_level) \
	F(X509_VERIFY_PARAM_set_flags) F(X509_VERIFY_PARAM_set_hostflags) F(X509_free) \
	F(X509_get_issuer_name) F(X509_verify_cert) F(X509_verify_cert_error_string) \
	F(d2i_SSL_SESSION) F(d2i_X509) F(d2i_X509_NAME) F(i2d_SSL_SESSION) F(i2d_X509)

struct openssl {
#define DECLARE(name) __typeof__(name) *name;
	OPENSSL_FUNCTIONS(DECLARE)
#undef DECLARE
} __attribute__((aligned(4096))); /* a page of its own, which is made read-only */

/* Filled by openssl_load, and read-only from then on. */
extern struct openssl openssl;

/*
 * Loads the libraries, once; before the process is locked in, and before any call. NULL, or what
 * went wrong.
 */
const char *openssl_load(void);

#ifndef OPENSSL_BY_ITSELF /* in openssl.c, where these are but names */
#define ASN1_get_object openssl.ASN1_get_object
#define BIO_get_callback_arg openssl.BIO_get_callback_arg
#define BIO_set_callback_arg openssl.BIO_set_callback_arg
#define BIO_set_callback_ex openssl.BIO_set_callback_ex
#define BIO_set_flags openssl.BIO_set_flags
#define CRYPTO_clear_free openssl.CRYPTO_clear_free
#define CRYPTO_free openssl.CRYPTO_free
#define ERR_clear_error openssl.ERR_clear_error
#define ERR_peek_error openssl.ERR_peek_error
#define ERR_reason_error_string openssl.ERR_reason_error_string
#define EVP_DecodeFinal openssl.EVP_DecodeFinal
#define EVP_DecodeInit openssl.EVP_DecodeInit
#define EVP_DecodeUpdate openssl.EVP_DecodeUpdate
#define EVP_DigestFinal_ex openssl.EVP_DigestFinal_ex
#define EVP_DigestInit_ex openssl.EVP_DigestInit_ex
#define EVP_DigestUpdate openssl.EVP_DigestUpdate
#define EVP_ENCODE_CTX_free openssl.EVP_ENCODE_CTX_free
#define EVP_ENCODE_CTX_new openssl.EVP_ENCODE_CTX_new
#define EVP_MD_CTX_free openssl.EVP_MD_CTX_free
#define EVP_MD_CTX_new openssl.EVP_MD_CTX_new
#define EVP_PKEY_free openssl.EVP_PKEY_free
#define EVP_PKEY_get_security_bits openssl.EVP_PKEY_get_security_bits
#define EVP_sha256 openssl.EVP_sha256
#define OPENSSL_init_crypto openssl.OPENSSL_init_crypto
#define OPENSSL_sk_new_null openssl.OPENSSL_sk_new_null
#define OPENSSL_sk_num openssl.OPENSSL_sk_num
#define OPENSSL_sk_pop_free openssl.OPENSSL_sk_pop_free
#define OPENSSL_sk_push openssl.OPENSSL_sk_push
#define OPENSSL_sk_value openssl.OPENSSL_sk_value
#define SSL_CIPHER_get_bits openssl.SSL_CIPHER_get_bits
#define SSL_CIPHER_standard_name openssl.SSL_CIPHER_standard_name
#define SSL_CTX_ctrl openssl.SSL_CTX_ctrl
#define SSL_CTX_dane_enable openssl.SSL_CTX_dane_enable
#define SSL_CTX_free openssl.SSL_CTX_free
#define SSL_CTX_new openssl.SSL_CTX_new
#define SSL_CTX_set_options openssl.SSL_CTX_set_options
#define SSL_CTX_set_verify openssl.SSL_CTX_set_verify
#define SSL_SESSION_free openssl.SSL_SESSION_free
#define SSL_SESSION_is_resumable openssl.SSL_SESSION_is_resumable
#define SSL_connect openssl.SSL_connect
#define SSL_ctrl openssl.SSL_ctrl
#define SSL_dane_enable openssl.SSL_dane_enable
#define SSL_dane_set_flags openssl.SSL_dane_set_flags
#define SSL_dane_tlsa_add openssl.SSL_dane_tlsa_add
#define SSL_export_keying_material openssl.SSL_export_keying_material
#define SSL_free openssl.SSL_free
#define SSL_get0_dane openssl.SSL_get0_dane
#define SSL_get0_peer_certificate openssl.SSL_get0_peer_certificate
#define SSL_get_current_cipher openssl.SSL_get_current_cipher
#define SSL_get_error openssl.SSL_get_error
#define SSL_get_peer_cert_chain openssl.SSL_get_peer_cert_chain
#define SSL_get_rbio openssl.SSL_get_rbio
#define SSL_get_servername openssl.SSL_get_servername
#define SSL_get_session openssl.SSL_get_session
#define SSL_get_version openssl.SSL_get_version
#define SSL_new openssl.SSL_new
#define SSL_read_ex openssl.SSL_read_ex
#define SSL_session_reused openssl.SSL_session_reused
#define SSL_set_fd openssl.SSL_set_fd
#define SSL_set_options openssl.SSL_set_options
#define SSL_set_security_level openssl.SSL_set_security_level
#define SSL_set_session openssl.SSL_set_session
#define SSL_shutdown openssl.SSL_shutdown
#define SSL_version openssl.SSL_version
#define SSL_write_ex openssl.SSL_write_ex
#define TLS_client_method openssl.TLS_client_method
#define X509_NAME_cmp openssl.X509_NAME_cmp
#define X509_NAME_free openssl.X509_NAME_free
#define X509_STORE_CTX_free openssl.X509_STORE_CTX_free
#define X509_STORE_CTX_get0_param openssl.X509_STORE_CTX_get0_param
#define X509_STORE_CTX_get_error openssl.X509_STORE_CTX_get_error
#define X509_STORE_CTX_init openssl.X509_STORE_CTX_init
#define X509_STORE_CTX_new openssl.X509_STORE_CTX_new
#define X509_STORE_CTX_set0_dane openssl.X509_STORE_CTX_set0_dane
#define X509_STORE_CTX_set_default openssl.X509_STORE_CTX_set_default
#define X509_STORE_add_cert openssl.X509_STORE_add_cert
#define X509_STORE_free openssl.X509_STORE_free
#define X509_STORE_new openssl.X509_STORE_new
#define X509_VERIFY_PARAM_add1_host openssl.X509_VERIFY_PARAM_add1_host
#define X509_VERIFY_PARAM_set1_host openssl.X509_VERIFY_PARAM_set1_host
#define X509_VERIFY_PARAM_set1_ip_asc openssl.X509_VERIFY_PARAM_set1_ip_asc
#define X509_VERIFY_PARAM_set_auth_level openssl.X509_VERIFY_PARAM_set_auth_level
#define X509_VERIFY_PARAM_set_flags openssl.X509_VERIFY_PARAM_set_flags
#define X509_VERIFY_PARAM_set_hostflags openssl.X509_VERIFY_PARAM_set_hostflags
#define X509_free openssl.X509_free
#define X509_get_issuer_name openssl.X509_get_issuer_name
#define X509_verify_cert openssl.X509_verify_cert
#define X509_verify_cert_error_string openssl.X509_verify_cert_error_string
#define d2i_SSL_SESSION openssl.d2i_SSL_SESSION
#define d2i_X509 openssl.d2i_X509
#define d2i_X509_NAME openssl.d2i_X509_NAME
#define i2d_SSL_SESSION openssl.i2d_SSL_SESSION
#define i2d_X509 openssl.i2d_X509
#endif

#endif
