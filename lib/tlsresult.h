/*
 * tlsresult: what came of TLS with a host, in the words in which one reports it (RFC 8460 section
 * 4.3).
 */
#ifndef POSTERN_TLSRESULT_H
#define POSTERN_TLSRESULT_H

enum tls_result {
	TLS_RESULT_UNKNOWN, /* the conversation did not get as far; nothing to count */
	TLS_RESULT_SUCCESS, /* there is TLS, as it is asked for */

	/* of a session */
	TLS_RESULT_STARTTLS_NOT_SUPPORTED,
	TLS_RESULT_HOST_MISMATCH, /* the certificate is for other names */
	TLS_RESULT_EXPIRED,
	TLS_RESULT_NOT_TRUSTED,   /* ... of an authority that is not, or revoked */
	TLS_RESULT_VALIDATION,    /* any other trouble with TLS or the certificate */

	/* of DANE */
	TLS_RESULT_TLSA_INVALID,  /* not one record that can be used, or matches */
	TLS_RESULT_DNSSEC_INVALID, /* no validated answer */
	TLS_RESULT_DANE_REQUIRED, /* ours to ask for it, and it is not there */

	/* of MTA-STS */
	TLS_RESULT_STS_FETCH,     /* the policy could not be had, */
	TLS_RESULT_STS_INVALID,   /* is none, */
	TLS_RESULT_STS_WEBPKI,    /* or its HTTPS is not to be trusted */
	TLS_RESULTS
};

#endif
