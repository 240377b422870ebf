#include "helpers/handshake.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "helpers/libssl.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "lib/wait.h"
#include "secrets/certificate.h"

bool
handshake_agree(int session, char name[static HANDSHAKE_NAME])
{
	static const char ready = TLS_READY;
	struct tlsgo said;
	bool go = send(session, &ready, 1, MSG_NOSIGNAL) == 1 &&
		recv(session, &said, sizeof(said), MSG_WAITALL) == (ssize_t)sizeof(said) &&
		said.word == TLS_GO;
	if (go)
		buf_escape_text(name, HANDSHAKE_NAME,
			(struct span){ said.name, strnlen(said.name, sizeof(said.name)) });
	return go;
}

/* Waits until the connection is ready for what OpenSSL wants. */
static bool
wait_for_peer(SSL *ssl, int r, int64_t deadline)
{
	short events = libssl_wanted(ssl, r);
	if (events == 0)
		return false;
	int err = wait_for(SSL_get_fd(ssl), events, deadline, NULL);
	if (err < 0)
		errno = -err;
	return err == 0;
}

bool
handshake_make(SSL *ssl, int64_t deadline)
{
	for (;;) {
		ERR_clear_error();
		errno = 0;
		int r = SSL_accept(ssl);
		if (r == 1)
			return true;
		if (!wait_for_peer(ssl, r, deadline))
			return false;
	}
}

/*
 * Before TLS 1.3 neither binding is safe without the extended master secret (RFC 7627). tls-unique
 * is the first Finished message: the client's, or ours where the session was resumed.
 */
static void
bind_to(SSL *ssl, struct tlsbinding *out)
{
	static const char label[] = "EXPORTER-Channel-Binding"; /* RFC 9266 */
	bool old = SSL_version(ssl) < TLS1_3_VERSION;
	out->safe = (!old || SSL_get_extms_support(ssl) == 1) &&
		SSL_export_keying_material(ssl, out->exporter, sizeof(out->exporter), label,
			sizeof(label) - 1, NULL, 0, 0) == 1;
	if (!old || !out->safe)
		return;
	size_t n = SSL_session_reused(ssl)
		? SSL_get_finished(ssl, out->unique, sizeof(out->unique))
		: SSL_get_peer_finished(ssl, out->unique, sizeof(out->unique));
	out->has_unique = n == sizeof(out->unique);
}

bool
handshake_tell(int session, SSL *ssl, bool binds)
{
	struct tlsinfo info = { 0 };
	snprintf(info.version, sizeof(info.version), "%s", SSL_get_version(ssl));
	snprintf(info.cipher, sizeof(info.cipher), "%s",
		SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl)));
	certificate_client(ssl, info.client, sizeof(info.client));
	if (binds)
		bind_to(ssl, &info.binding);
	return send(session, &info, sizeof(info), MSG_NOSIGNAL) == (ssize_t)sizeof(info);
}
