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
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/credential.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/forget.h"
#include "lib/tlsinfo.h"
#include "lib/wait.h"
#include "process/await.h"
#include "process/check.h"
#include "process/launch.h"
#include "process/log.h"
#include "process/program.h"
#include "secrets/certificate.h"
#include "secrets/ticket.h"

enum { PUMP_SIZE = 16 * 1024, WHY_SIZE = 512 }; /* one TLS record */

/* TLS 1.2 with forward secrecy and AEAD only; TLS 1.3 has nothing else. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"
/* For printers and cameras that will never be updated: whatever the library still knows. */
#define CIPHERS_LEGACY "DEFAULT:@SECLEVEL=0"

/* ---- set-up ----------------------------------------------------------------------------- */

static void
openssl_why(char out[static WHY_SIZE])
{
	unsigned long e = ERR_peek_last_error();
	if (e == 0)
		snprintf(out, WHY_SIZE, "%s", errno != 0 ? strerror(errno) : "connection closed");
	else
		snprintf(out, WHY_SIZE, "%s", ERR_reason_error_string(e));
}

static void
add_openssl_why(struct buf *why, const char *what)
{
	char text[WHY_SIZE];
	openssl_why(text);
	buf_printf(why, "%s: %s", what, text);
}

/*
 * A ticket of another kind of listener is no ticket here (B16): one that asks for other
 * certificates of clients, or asked before the file of their signers changed, has verified
 * something else.
 */
static bool
set_kind(SSL_CTX *ctx, const struct conf *conf)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct stat st = { 0 };
	const char *file = conf->tls.client_ca != NULL ? conf->tls.client_ca : "";
	auto_buf kind = buf_new(PUMP_SIZE);
	(void)stat(file, &st);
	buf_printf(&kind, "postern %s %lld %lld", file, (long long)st.st_mtime,
		(long long)st.st_size);
	return kind.err == 0 && EVP_Digest(kind.p, kind.n, digest, &n, EVP_sha256(), NULL) == 1 &&
		SSL_CTX_set_session_id_context(ctx, digest, n) == 1;
}

static int
any_certificate(int ok, X509_STORE_CTX *store)
{
	(void)ok; /* whether it was verified is asked afterwards */
	(void)store;
	return 1;
}

static bool
set_client_ca(SSL_CTX *ctx, const struct conf *conf, struct buf *why)
{
	if (conf->tls.client_ca == NULL)
		return true;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, any_certificate);
	SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(conf->tls.client_ca));
	if (SSL_CTX_load_verify_file(ctx, conf->tls.client_ca) == 1)
		return true;
	int err = access(conf->tls.client_ca, R_OK) < 0 ? errno : 0;
	buf_printf(why, "%stls_client_ca %s", why->n > 0 ? "; " : "", conf->tls.client_ca);
	if (err != 0) /* of which OpenSSL says "system lib" */
		buf_printf(why, ": %s", strerror(err));
	else
		add_openssl_why(why, "");
	return false;
}

/* The next path of a list, which may be a credential: a text to be freed. NULL: see *why. */
static char *
next_path(struct span *list, struct buf *why)
{
	struct span word = span_word(list, " \t,");
	char *path = strndup(word.p, word.n);
	if (path != NULL && credential_path(&path, why) == 0)
		return path;
	free(path);
	return NULL;
}

/* Uses the next certificate with its key. 0, or -EINVAL with the reason in *why. */
static int
use_next(SSL_CTX *ctx, struct span *certificates, struct span *keys, struct buf *why)
{
	char *certificate = next_path(certificates, why), *key = next_path(keys, why);
	int r = certificate != NULL && key != NULL
		? certificate_use(ctx, certificate, key, why) : -EINVAL;
	free(certificate);
	free(key);
	return r;
}

/*
 * As many as can be used: a client that the others are good for should have TLS. False: there is
 * none. What is wrong with each of the rest is in *why.
 */
static bool
use_certificates(SSL_CTX *ctx, const struct conf *conf, struct buf *why)
{
	struct span certificates = span_of(conf->tls.certificate), keys = span_of(conf->tls.key);
	bool any = false;
	for (size_t n = span_words(certificates); n > 0; n--) {
		auto_buf wrong = buf_new(LIMIT_COMMAND);
		if (use_next(ctx, &certificates, &keys, &wrong) == 0)
			any = true;
		else
			buf_printf(why, "%s%.*s", why->n > 0 ? "; " : "", (int)wrong.n, wrong.p);
	}
	return any;
}

/* Everything that needs a file. NULL: the reason is in *why, as is what is done without. */
static SSL_CTX *
make_context(const struct conf *conf, struct buf *why)
{
	bool legacy = conf->tls.legacy;
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL) {
		add_openssl_why(why, "TLS");
		return NULL;
	}
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_dh_auto(ctx, 1);
	SSL_CTX_set_read_ahead(ctx, 1); /* else the head of each record is read by itself */
	if (SSL_CTX_set_min_proto_version(ctx, legacy ? TLS1_VERSION : TLS1_2_VERSION) != 1 ||
		SSL_CTX_set_cipher_list(ctx, legacy ? CIPHERS_LEGACY : CIPHERS) != 1 ||
		!set_kind(ctx, conf) || !ticket_offer(ctx, conf->who.runtime))
		add_openssl_why(why, "TLS");
	else if (use_certificates(ctx, conf, why) && set_client_ca(ctx, conf, why))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* ---- the connection --------------------------------------------------------------------- */

/* The connection, and the end of the pair. */
static struct {
	int client, session;
} at = { LAUNCH_FIRST_FD, LAUNCH_SECOND_FD };

/* The event of poll(2) that OpenSSL wants behind a call that returned r; 0: it failed. */
static short
wanted(const SSL *ssl, int r)
{
	int want = SSL_get_error(ssl, r);
	return want == SSL_ERROR_WANT_READ ? POLLIN : want == SSL_ERROR_WANT_WRITE ? POLLOUT : 0;
}

/* Waits until the connection is ready for what OpenSSL wants. */
static bool
wait_for_peer(SSL *ssl, int r, int64_t deadline)
{
	short events = wanted(ssl, r);
	if (events == 0)
		return false;
	int err = wait_for(at.client, events, deadline, NULL);
	if (err < 0)
		errno = -err;
	return err == 0;
}

static bool
shake_hands(SSL *ssl, int64_t deadline)
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

/* The client, for lines of the log: the session says so. Empty: not yet. */
static char client_name[4 * TLS_NAME + 8];

/* The session tells the client to begin only when it knows that we can (tlsinfo.h). */
static bool
agree_with_session(void)
{
	static const char ready = TLS_READY;
	struct tlsgo said;
	bool go = send(at.session, &ready, 1, MSG_NOSIGNAL) == 1 &&
		recv(at.session, &said, sizeof(said), MSG_WAITALL) == (ssize_t)sizeof(said) &&
		said.word == TLS_GO;
	if (go)
		buf_escape_text(client_name, sizeof(client_name),
			(struct span){ said.name, strnlen(said.name, sizeof(said.name)) });
	return go;
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

/* What AUTH is bound to is made only where there are users who may ask for it (offers.c). */
static bool
tell_session(SSL *ssl, const struct conf *conf)
{
	struct tlsinfo info = { 0 };
	snprintf(info.version, sizeof(info.version), "%s", SSL_get_version(ssl));
	snprintf(info.cipher, sizeof(info.cipher), "%s",
		SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl)));
	certificate_client(ssl, info.client, sizeof(info.client));
	if (conf->auth.users != NULL)
		bind_to(ssl, &info.binding);
	return send(at.session, &info, sizeof(info), MSG_NOSIGNAL) == (ssize_t)sizeof(info);
}

/* Octets on their way in one direction. */
struct flow {
	size_t head, tail;
	bool over;   /* nothing more comes */
	short waits; /* for what poll(2) is to say before it is read from again; 0: nothing */
	char octets[PUMP_SIZE];
};

static struct flow in, out;

static bool
flow_empty(const struct flow *f)
{
	return f->head == f->tail;
}

static void
flow_fill(struct flow *f, ssize_t n)
{
	f->head = 0;
	f->tail = (size_t)n;
}

static bool
flow_may_read(const struct flow *f)
{
	return flow_empty(f) && !f->over && f->waits == 0;
}

/* What poll(2) is to be asked for it. */
static short
flow_wants(const struct flow *f)
{
	return flow_empty(f) && !f->over ? f->waits : 0;
}

/* What must be waited for before more can be moved. */
struct wants {
	short peer, session; /* poll events */
	bool more;           /* nothing: go on */
};

/* OpenSSL may have read more than it gives at once. */
static void
read_peer(SSL *ssl)
{
	ERR_clear_error();
	int r = SSL_read(ssl, in.octets, sizeof(in.octets));
	if (r > 0) {
		flow_fill(&in, r);
		in.waits = SSL_has_pending(ssl) == 1 ? 0 : POLLIN;
		return;
	}
	in.waits = wanted(ssl, r);
	if (in.waits == 0) {
		/* close_notify, or lost: both are the end for the session */
		in.over = true;
		shutdown(at.session, SHUT_WR);
	}
}

/* One step towards the session. When it reads no more, what it said before still goes out. */
static void
pump_in(SSL *ssl, struct wants *w)
{
	if (flow_may_read(&in))
		read_peer(ssl);
	w->peer |= flow_wants(&in);
	if (flow_empty(&in))
		return;
	ssize_t n = send(at.session, in.octets + in.head, in.tail - in.head,
		MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN) {
		w->session |= POLLOUT;
	} else if (n < 0) {
		in.head = in.tail;
		in.over = true;
	} else {
		in.head += (size_t)n;
	}
	w->more = w->more || n > 0;
}

/* What it says at once, as far as there is room. */
static void
read_session(void)
{
	ssize_t n = recv(at.session, out.octets, sizeof(out.octets), MSG_DONTWAIT);
	if (n > 0)
		flow_fill(&out, n);
	else
		out.over = n == 0 || errno != EAGAIN;
	out.waits = POLLIN;
}

/* One step towards the client. False: the connection is gone. */
static bool
pump_out(SSL *ssl, struct wants *w)
{
	if (flow_may_read(&out))
		read_session();
	w->session |= flow_wants(&out);
	if (flow_empty(&out))
		return true;
	ERR_clear_error();
	int r = SSL_write(ssl, out.octets + out.head, (int)(out.tail - out.head));
	if (r > 0)
		out.head += (size_t)r;
	short events = r > 0 ? 0 : wanted(ssl, r);
	w->peer |= events;
	w->more = w->more || r > 0;
	return r > 0 || events != 0;
}

/*
 * Waits for what was wanted. *left: the session has ended, which is seen whatever was wanted: until
 * then it is the session that waits for nobody too long. False: nothing more can happen.
 */
static bool
wait_for_more(const struct wants *w, bool parting, bool *left, int64_t deadline)
{
	struct pollfd p[] = {
		{ .fd = w->peer != 0 ? at.client : -1, .events = w->peer },
		{ .fd = w->session != 0 || parting || !*left ? at.session : -1,
			.events = w->session },
	};
	int n = poll(p, 2, clock_left(deadline));
	if (p[0].revents != 0)
		in.waits = 0;
	if ((p[1].revents & ~POLLOUT) != 0)
		out.waits = 0;
	*left = *left || (p[1].revents & POLLHUP) != 0;
	return n != 0 && !(parting && (p[1].revents & POLLHUP) != 0);
}

/*
 * Passes octets on until the session closes. The session has the deadlines; the one here is for
 * what it leaves behind. A session that has sent its last reply but still reads (stream_linger)
 * goes on getting what the client sends.
 */
static void
pump(SSL *ssl, int64_t patience)
{
	int64_t deadline = CLOCK_NEVER;
	bool parting = false, left = false;
	in.head = in.tail = out.head = out.tail = 0;
	in.over = out.over = false;
	in.waits = 0; /* what the client said behind its handshake may have been read with that */
	out.waits = POLLIN;
	do {
		struct wants w = { 0 };
		pump_in(ssl, &w);
		if (!pump_out(ssl, &w))
			return;
		if ((out.over || left) && deadline == CLOCK_NEVER)
			deadline = clock_deadline(patience);
		if (out.over && flow_empty(&out) && !parting) {
			ERR_clear_error();
			(void)SSL_shutdown(ssl);
			(void)shutdown(at.client, SHUT_WR);
			parting = true;
		}
		if (!w.more && !wait_for_more(&w, parting, &left, deadline))
			return;
	} while (!parting || !in.over);
}

/* ---- what the operator asks -------------------------------------------------------------- */

/* A client that insists on TLS insists on a good certificate; to others any is better than none. */
static void
check_life(struct findings *f, const struct conf *conf, SSL_CTX *ctx, struct span file)
{
	enum { DAY = 86400 };
	int64_t from, until;
	bool needed = conf->tls.mode == TLS_REQUIRED || conf->tls.mode == TLS_IMPLICIT;
	certificate_life(ctx, &from, &until);
	if (until >= 0 && from <= 0) {
		if (until < CERTIFICATE_SOON)
			check_warning(f, "tls_certificate %.*s: it expires in %lld days; renew it",
				(int)file.n, file.p, (long long)(until / DAY));
		else
			check_fine(f, "tls_certificate %.*s: it is good for %lld days",
				(int)file.n, file.p, (long long)(until / DAY));
		return;
	}
	(needed ? check_fault : check_warning)(f, "tls_certificate %.*s: it %s; renew it, or set "
		"the clock", (int)file.n, file.p, until < 0 ? "has expired" : "is not valid yet");
}

static void
check_mode(struct findings *f, struct span key)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%.*s", (int)key.n, key.p);
	check_secret(f, "tls_key", path, "pass for this host");
}

/* One of them, and its key, which are added to ctx. */
static void
check_certificate(struct findings *f, const struct conf *conf, SSL_CTX *ctx, struct span file,
	struct span key)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	struct span one = file, its = key;
	if (credential_hidden(file) || credential_hidden(key)) {
		check_warning(f,
			"tls_certificate %.*s, tls_key %.*s: a credential can be looked at "
			"only where the unit runs",
			(int)file.n, file.p, (int)key.n, key.p);
	} else if (use_next(ctx, &one, &its, &why) < 0) {
		check_fault(f, "%.*s", (int)why.n, why.n > 0 ? why.p : "");
	} else {
		check_mode(f, key);
		check_life(f, conf, ctx, file);
		if (!certificate_has_chain(ctx, conf->relay.ca))
			check_warning(f,
				"tls_certificate %.*s: nobody in %s has signed it, and those "
				"between are not in the file; append their certificates",
				(int)file.n, file.p, conf->relay.ca);
	}
}

static void
check_certificates(struct findings *f, const struct conf *conf)
{
	struct span files = span_of(conf->tls.certificate), keys = span_of(conf->tls.key);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	for (struct span file; ctx != NULL && (file = span_word(&files, " \t,")).n > 0;)
		check_certificate(f, conf, ctx, file, span_word(&keys, " \t,"));
	SSL_CTX_free(ctx);
}

static void
check_client_ca(struct findings *f, const struct conf *conf)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (ctx != NULL && !set_client_ca(ctx, conf, &why))
		check_fault(f, "%.*s", (int)why.n, why.p);
	SSL_CTX_free(ctx);
}

static const struct check checks[] = { { check_certificates }, { check_client_ca } };

/* ---- start ------------------------------------------------------------------------------ */

static int
fail(const char *what, int status)
{
	char why[WHY_SIZE];
	struct log_fields f = { .event = "tls_failed" };
	bool known = client_name[0] != '\0';
	openssl_why(why);
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
	if (!agree_with_session())
		return EXIT_SUCCESS; /* the client has gone */
	/* Not before: until now the connection, with its flags, is the session's. */
	if (fcntl(at.client, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return fail("TLS", EX_TEMPFAIL);
	if (!shake_hands(ssl, clock_deadline(conf->tls.timeout)))
		return fail("TLS handshake", EX_PROTOCOL);
	if (tell_session(ssl, conf))
		pump(ssl, conf->receive.timeout_command);
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
	SSL_CTX *ctx = make_context(conf, &why);
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

/* OpenSSL's memory, so that what it frees is overwritten as what we free is (forget.h). */
static void *
take(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(n);
}

static void *
take_more(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return realloc(p, n);
}

static void
give_back(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/* What was of the client is gone when the next one comes, and so are its descriptors. */
static void
forget_client(void)
{
	close(at.client);
	close(at.session);
	explicit_bzero(client_name, sizeof(client_name));
	explicit_bzero(&in, sizeof(in));
	explicit_bzero(&out, sizeof(out));
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
	if (CRYPTO_set_mem_functions(take, take_more, give_back) != 1)
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
		return err < 0 ? check_refuse("tls", &why)
			       : check_all("tls", &o, &conf, NULL, checks, CHECKS(checks));
	if (err < 0)
		return program_refuse(&why);
	return o.wait ? serve_all(&conf) : serve(&conf);
}
