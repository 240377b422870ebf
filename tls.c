/*
 * tls: speaks TLS with one client and hands what it decrypts to that client's session.
 *
 * smtpd's monitor starts it when the session asks (STARTTLS, or a listener that begins with TLS).
 * It gets two descriptors: the connection, and one end of a pair whose other end is the session. So
 * the private key and the TLS library are never in the process that parses SMTP, and a connection
 * that does not use TLS pays nothing for them.
 *
 * It reads its files, locks itself in (no file, no socket, no exec), says that it is ready, shakes
 * hands when the session tells it to, tells what came of it (struct tlsinfo), and then passes
 * octets on in both directions without looking at them. If a file cannot be used it ends before
 * that, and the session goes on in clear. A failed handshake is the end: the session reads nothing
 * and closes. An end of the connection without close_notify looks to the session like any lost
 * connection, so a message that was cut there is not queued (B13).
 *
 *	tls --wait     started beforehand, it serves one client after the other (await.h), and
 *	               forgets each: standby.h has what that means for those who come later
 *	tls --check    looks at certificates and keys
 *
 * Exit status: 0; 75 the files cannot be used; 76 the handshake failed; 78 the configuration is
 * wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/conf.h"
#include "helpers/context.h"
#include "helpers/handshake.h"
#include "helpers/libssl.h"
#include "helpers/pump.h"
#include "helpers/tlscheck.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/forget.h"
#include "process/await.h"
#include "process/check.h"
#include "process/launch.h"
#include "process/log.h"
#include "process/program.h"

/* The connection, and the end of the pair. */
static struct {
	int client, session;
} at = { LAUNCH_FIRST_FD, LAUNCH_SECOND_FD };

/* The client, for lines of the log: the session says so. Empty: not yet. */
static char client_name[HANDSHAKE_NAME];

static int
fail(const char *what, int status)
{
	char why[LIBSSL_WHY];
	struct log_fields f = { .event = "tls_failed" };
	bool known = client_name[0] != '\0';
	libssl_why(why);
	f.client = known ? client_name : NULL;
	log_event(status == EX_PROTOCOL ? LOG_INFO : LOG_ERR, &f, "%s: %s%s%s", what, why,
		known ? "; client " : "", client_name);
	return status;
}

/* One client, until it has gone. What the process ends with if there is no other. */
static int
converse(SSL *ssl, const struct conf *conf)
{
	if (ssl == NULL || SSL_set_fd(ssl, at.client) != 1)
		return fail("TLS", EX_TEMPFAIL);
	if (!handshake_agree(at.session, client_name))
		return EXIT_SUCCESS; /* the client has gone */
	/* Not before: until now the connection, with its flags, is the session's. */
	if (fcntl(at.client, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return fail("TLS", EX_TEMPFAIL);
	if (!handshake_make(ssl, clock_deadline(conf->tls.timeout)))
		return fail("TLS handshake", EX_PROTOCOL);
	if (handshake_tell(at.session, ssl, conf->auth.users != NULL))
		pump_run(ssl, at.session, conf->receive.timeout_command);
	return EXIT_SUCCESS;
}

static int
serve_client(SSL_CTX *ctx, const struct conf *conf)
{
	SSL *ssl = SSL_new(ctx);
	int status = converse(ssl, conf);
	SSL_free(ssl);
	return status;
}

/* Reads all files. NULL: it is in the log. */
static SSL_CTX *
prepare(const struct conf *conf)
{
	struct log_fields f = { .event = "certificate" };
	auto_buf why = buf_new(LIMIT_COMMAND);
	SSL_CTX *ctx = context_make(conf, &why);
	if (why.n > 0)
		log_event(LOG_ERR, &f, "%.*s%s", (int)why.n, why.p,
			ctx != NULL ? "; it goes on with the other certificates" : "");
	return ctx;
}

static int
serve(const struct conf *conf)
{
	struct log_fields f = { .event = "sandbox" };
	SSL_CTX *ctx = prepare(conf);
	/* Who keeps OpenSSL busy has it no longer than a session may last, and a parting. */
	alarm((unsigned)(conf->receive.timeout_session + conf->receive.timeout_command));
	if (ctx == NULL || !program_lock_in(SANDBOX_HELPER, NULL, -1, &f))
		return EX_TEMPFAIL;
	int status = serve_client(ctx, conf);
	SSL_CTX_free(ctx);
	return status;
}

/* ---- one client after the other ---------------------------------------------------------- */

/* What was of the client is gone when the next one comes, and so are its descriptors. */
static void
forget_client(void)
{
	close(at.client);
	close(at.session);
	explicit_bzero(client_name, sizeof(client_name));
	pump_forget();
	ERR_clear_error();
	forget_stack();
}

/*
 * Serves those that the monitor hands over (await.h). Sessions of TLS are in tickets alone, which
 * clients keep (ticket.h): nothing of them is here when their client has gone.
 */
static int
serve_all(const struct conf *conf)
{
	struct log_fields f = { .event = "sandbox" };
	int fds[REQUEST_FDS];
	await_begin();
	forget_what_is_freed();
	if (!libssl_forget_what_is_freed())
		return fail("TLS", EX_TEMPFAIL);
	SSL_CTX *ctx = prepare(conf);
	if (ctx == NULL || !program_lock_in(SANDBOX_WAITING, NULL, LAUNCH_FIRST_FD, &f))
		return EX_TEMPFAIL;
	while (await_client(fds, REQUEST_FDS)) {
		at.client = fds[0];
		at.session = fds[1];
		(void)serve_client(ctx, conf);
		forget_client();
	}
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	static struct conf conf;
	struct options o;
	auto_buf why = buf_new(LIMIT_COMMAND);

	if (!program_begin(&o, argc, argv))
		return EX_USAGE;
	const char *unfit = o.serve || o.wait || o.check ? NULL : "tls is started by smtpd";
	int err = program_configure(&conf, NULL, &o, unfit, "tls", &why);
	if (err == 0 && conf.tls.certificate == NULL) {
		buf_puts(&why, "tls_certificate is not set");
		err = -EINVAL;
	}
	if (o.check)
		return err < 0 ? check_refuse("tls", &why) : tlscheck_run(&o, &conf);
	if (err < 0)
		return program_refuse(&why);
	return o.wait ? serve_all(&conf) : serve(&conf);
}
