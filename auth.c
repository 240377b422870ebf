/*
 * auth: finds out whether a client is who it says it is (RFC 4954), by libgsasl.
 *
 * smtpd's monitor starts it when the session asks, with one end of a pair of packet sockets whose
 * other end is the session (authwire.h). So neither the secrets nor the library are ever in the
 * process that parses SMTP. It reads its file, locks itself in, and answers one exchange.
 *
 *	auth --hash NAME    reads a password from standard input and prints a line for the file
 *
 * A name that is not there takes the same way as a wrong password: SCRAM gets a salt that is made
 * from the name, so it is the same each time. Secrets and responses are never logged.
 *
 * Exit status: 0; 75 the file cannot be read; 78 the configuration is wrong.
 */
#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <gsasl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/authwire.h"
#include "lib/cleanup.h"
#include "lib/conf.h"
#include "lib/credential.h"
#include "lib/launch.h"
#include "lib/log.h"
#include "lib/options.h"
#include "lib/sandbox.h"
#include "lib/stdfds.h"
#include "lib/users.h"

enum { ITERATIONS = 10000, SALT = 16, SEED = 256, HASH_MAX = 64, PASSWORD_MAX = 1024 };

static struct auth {
	struct conf conf;
	struct auth_hello hello;
	char *users;     /* text of the file */
	size_t length;
	struct user user; /* who was found, if `known` */
	bool known;
	bool trouble;     /* it could not be checked */
	char name[LIMIT_ADDRESS + 1];
} auth;

/* ---- secrets ---------------------------------------------------------------------------- */

struct keys {
	char salted[HASH_MAX], client[HASH_MAX], server[HASH_MAX], stored[HASH_MAX];
};

/* What SCRAM makes of a password (RFC 5802 section 3). */
static bool
derive(Gsasl_hash hash, const char *password, unsigned iterations, const char *salt, size_t n,
	struct keys *out)
{
	return gsasl_scram_secrets_from_password(hash, password, iterations, salt, n, out->salted,
		       out->client, out->server, out->stored) == GSASL_OK;
}

static bool
same(const char *a, const char *b, size_t n)
{
	unsigned char differs = 0;
	for (size_t i = 0; i < n; i++)
		differs |= (unsigned char)(a[i] ^ b[i]);
	return differs == 0;
}

static void
find_user(struct auth *a, const char *name)
{
	snprintf(a->name, sizeof(a->name), "%s", name);
	a->known = users_find((struct span){ a->users, a->length }, span_of(name), &a->user);
}

/* "iterations,salt,StoredKey,ServerKey" in parts. */
struct scram {
	char *iterations, *salt, *stored, *server;
};

static bool
split_scram(char *secret, struct scram *out)
{
	out->iterations = secret;
	char **part[] = { &out->salt, &out->stored, &out->server };
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		secret = strchr(secret, ',');
		if (secret == NULL)
			return false;
		*secret++ = '\0';
		*part[i] = secret;
	}
	return true;
}

/* For a name that is not there: what it would look like if it were. Nobody has its password. */
static void
pretend(const char *name, Gsasl_hash hash, char out[static USERS_SECRET])
{
	char stored[HASH_MAX], seed[SEED] = { 0 }, *seed64 = NULL, *salt64 = NULL, *key64 = NULL;
	struct keys k;
	size_t n;
	/* Made from the name and from what only this host knows: the text of the file. Base64,
	 * because not every octet may stand in a password. */
	for (size_t i = 0; i < auth.length; i++)
		seed[i % SEED] ^= auth.users[i];
	(void)gsasl_nonce(stored, sizeof(stored));
	if (gsasl_base64_to(seed, SEED, &seed64, &n) == GSASL_OK &&
		derive(hash, seed64, 1, name, strlen(name), &k) &&
		gsasl_base64_to(k.stored, SALT, &salt64, &n) == GSASL_OK &&
		gsasl_base64_to(stored, gsasl_hash_length(hash), &key64, &n) == GSASL_OK)
		snprintf(out, USERS_SECRET, "%d,%s,%s,%s", ITERATIONS, salt64, key64, key64);
	else
		out[0] = '\0';
	free(seed64);
	free(salt64);
	free(key64);
}

static int
give_scram(struct auth *a, Gsasl_session *s, Gsasl_property wanted)
{
	bool sha1 = strncmp(a->hello.mechanism, "SCRAM-SHA-1", 11) == 0 &&
		a->hello.mechanism[11] != '2';
	const char *name = gsasl_property_fast(s, GSASL_AUTHID);
	char secret[USERS_SECRET];
	struct scram parts = { 0 };
	if (name == NULL)
		return GSASL_NO_CALLBACK;
	find_user(a, name);
	if (!a->known ||
		!users_secret(&a->user, sha1 ? "{SCRAM-SHA-1}" : "{SCRAM-SHA-256}", secret)) {
		a->known = false;
		pretend(name, sha1 ? GSASL_HASH_SHA1 : GSASL_HASH_SHA256, secret);
	}
	if (!split_scram(secret, &parts))
		return GSASL_NO_CALLBACK;
	gsasl_property_set(s, GSASL_SCRAM_ITER, parts.iterations);
	gsasl_property_set(s, GSASL_SCRAM_SALT, parts.salt);
	gsasl_property_set(s, GSASL_SCRAM_STOREDKEY, parts.stored);
	gsasl_property_set(s, GSASL_SCRAM_SERVERKEY, parts.server);
	explicit_bzero(secret, sizeof(secret));
	return gsasl_property_fast(s, wanted) != NULL ? GSASL_OK : GSASL_NO_CALLBACK;
}

static bool
check_scram(char *secret, const char *password)
{
	struct scram parts = { 0 };
	char *salt = NULL, *want = NULL, *prepared = NULL;
	struct keys have;
	size_t salt_n = 0, want_n = 0;
	bool ok = split_scram(secret, &parts) &&
		gsasl_saslprep(password, 0, &prepared, NULL) == GSASL_OK &&
		gsasl_base64_from(parts.salt, strlen(parts.salt), &salt, &salt_n) == GSASL_OK &&
		gsasl_base64_from(parts.stored, strlen(parts.stored), &want, &want_n) == GSASL_OK &&
		want_n == gsasl_hash_length(GSASL_HASH_SHA256) &&
		derive(GSASL_HASH_SHA256, prepared, (unsigned)strtoul(parts.iterations, NULL, 10),
			salt, salt_n, &have) &&
		same(have.stored, want, want_n);
	explicit_bzero(&have, sizeof(have));
	free(salt);
	free(want);
	free(prepared);
	return ok;
}

static bool
check_crypt(const char *secret, const char *password)
{
	struct crypt_data data = { 0 };
	const char *have = crypt_r(password, secret, &data);
	bool ok = have != NULL && have[0] != '*' && strlen(have) == strlen(secret) &&
		same(have, secret, strlen(have));
	explicit_bzero(&data, sizeof(data));
	return ok;
}

/* ---- other programs that know passwords -------------------------------------------------- */

/* Octets of a text with its length in front, as saslauthd wants it. */
static bool
put_counted(int fd, const char *text)
{
	size_t n = strlen(text);
	unsigned char head[2] = { (unsigned char)(n >> 8), (unsigned char)n };
	return n < PASSWORD_MAX && send(fd, head, sizeof(head), MSG_NOSIGNAL) == 2 &&
		(n == 0 || send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n);
}

/* Connected before the process locked itself in. Less than 0: not configured, or it cannot be asked,
 * and then writing to it fails. */
static int saslauthd = -1;

static int
open_saslauthd(const char *path, int64_t seconds)
{
	const struct timeval patience = { .tv_sec = (time_t)seconds };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)); /* and to connect */
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	int err = errno;
	close(fd);
	return -err;
}

static bool
check_saslauthd(struct auth *a, const char *name, const char *password)
{
	char reply[4]; /* a length of two octets, and "OK" or "NO" of what comes */
	const char *at = strchr(name, '@');
	char user[LIMIT_ADDRESS + 1];
	snprintf(user, sizeof(user), "%.*s", at != NULL ? (int)(at - name) : (int)strlen(name), name);
	if (!put_counted(saslauthd, user) || !put_counted(saslauthd, password) ||
		!put_counted(saslauthd, "smtp") || !put_counted(saslauthd, at != NULL ? at + 1 : "")) {
		a->trouble = true;
		return false;
	}
	a->trouble = recv(saslauthd, reply, sizeof(reply), MSG_WAITALL) != (ssize_t)sizeof(reply);
	return !a->trouble && memcmp(reply + 2, "OK", 2) == 0;
}

/* ---- libgsasl asks ----------------------------------------------------------------------- */

static int
check_password(struct auth *a, Gsasl_session *s)
{
	const char *name = gsasl_property_fast(s, GSASL_AUTHID);
	const char *password = gsasl_property_fast(s, GSASL_PASSWORD);
	char secret[USERS_SECRET];
	if (name == NULL || password == NULL)
		return GSASL_AUTHENTICATION_ERROR;
	find_user(a, name);
	if (a->known && users_secret(&a->user, "{SCRAM-SHA-256}", secret)) {
		a->known = check_scram(secret, password);
	} else if (a->known && users_secret(&a->user, "$", secret)) {
		a->known = check_crypt(secret, password);
	} else if (a->conf.auth_saslauthd != NULL) {
		a->known = check_saslauthd(a, name, password);
	} else { /* as long as the others */
		pretend(name, GSASL_HASH_SHA256, secret);
		(void)check_scram(secret, password);
		a->known = false;
		a->trouble = a->conf.auth_saslauthd != NULL; /* it might have known */
	}
	explicit_bzero(secret, sizeof(secret));
	return a->known ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

/* The certificate was verified by tls; here it is only asked whether we know who it names. */
static int
check_external(struct auth *a)
{
	find_user(a, a->hello.client);
	return a->hello.client[0] != '\0' && a->known ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

static int
give_binding(const struct auth *a, Gsasl_session *s)
{
	char *text = NULL;
	size_t n;
	if (!a->hello.secure)
		return GSASL_NO_CALLBACK;
	int r = gsasl_base64_to((const char *)a->hello.exporter, TLS_EXPORTER, &text, &n);
	if (r == GSASL_OK)
		r = gsasl_property_set(s, GSASL_CB_TLS_EXPORTER, text);
	free(text);
	return r;
}

static int
callback(Gsasl *ctx, Gsasl_session *s, Gsasl_property wanted)
{
	struct auth *a = gsasl_callback_hook_get(ctx);
	switch (wanted) {
	case GSASL_VALIDATE_SIMPLE:
		return check_password(a, s);
	case GSASL_VALIDATE_EXTERNAL:
		return check_external(a);
	case GSASL_CB_TLS_EXPORTER:
		return give_binding(a, s);
	case GSASL_SCRAM_ITER:
	case GSASL_SCRAM_SALT:
	case GSASL_SCRAM_STOREDKEY:
	case GSASL_SCRAM_SERVERKEY:
		return give_scram(a, s, wanted);
	default:
		return GSASL_NO_CALLBACK;
	}
}

/* ---- the exchange ------------------------------------------------------------------------ */

static bool
say(enum auth_result result, const char *text, const char *more)
{
	static struct auth_text out;
	out.result = result;
	size_t n = strlen(text) + 1, k = strlen(more) + 1;
	if (n + k > sizeof(out.text))
		return false;
	memcpy(out.text, text, n);
	memcpy(out.text + n, more, k);
	return send(LAUNCH_FIRST_FD, &out, auth_text_size(n + k), MSG_NOSIGNAL) >= 0;
}

static bool
hear(struct auth_text *in)
{
	ssize_t n = recv(LAUNCH_FIRST_FD, in, sizeof(*in), 0);
	if (n <= (ssize_t)auth_text_size(0))
		return false;
	in->text[(size_t)n - auth_text_size(0) - 1] = '\0';
	return true;
}

/* Whoever is known speaks for itself only, by whatever mechanism. */
static bool
for_itself(const struct auth *a, Gsasl_session *s)
{
	const char *other = gsasl_property_fast(s, GSASL_AUTHZID);
	return other == NULL || other[0] == '\0' || strcmp(other, a->name) == 0;
}

static enum auth_result
result_of(const struct auth *a, Gsasl_session *s, int r)
{
	if (a->trouble)
		return AUTH_TROUBLE;
	if (r == GSASL_OK)
		return a->known && for_itself(a, s) ? AUTH_DONE : AUTH_REFUSED;
	return r == GSASL_BASE64_ERROR || r == GSASL_MECHANISM_PARSE_ERROR ? AUTH_BAD_TEXT
									   : AUTH_REFUSED;
}

/* The last word. */
static void
decide(const struct auth *a, enum auth_result result)
{
	char senders[USERS_SECRET] = "";
	if (a->known && a->user.senders.n >= sizeof(senders))
		result = AUTH_TROUBLE; /* a list that is cut would let too little through */
	else if (a->known && a->user.senders.n > 0)
		memcpy(senders, a->user.senders.p, a->user.senders.n);
	(void)say(result, a->name, senders);
}

/* Steps until it is decided; closes by ending. */
static void
exchange(struct auth *a, Gsasl_session *s)
{
	static struct auth_text in;
	bool client_first = strcmp(a->hello.mechanism, "LOGIN") != 0;
	if (!hear(&in))
		return;
	if (!in.given && client_first) { /* an empty challenge asks for the initial response */
		if (!say(AUTH_CHALLENGE, "", "") || !hear(&in))
			return;
	}
	if (in.given && in.text[0] == '\0' && strcmp(a->hello.mechanism, "EXTERNAL") != 0) {
		(void)say(AUTH_BAD_TEXT, "", ""); /* libgsasl would take it for no response at all */
		return;
	}
	if (in.given && !client_first) { /* the name, which libgsasl asks for nevertheless */
		char *asked = NULL;
		(void)gsasl_step64(s, "", &asked);
		gsasl_free(asked);
	}
	for (;;) {
		char *out = NULL;
		int r = gsasl_step64(s, in.text, &out);
		bool more = r == GSASL_NEEDS_MORE || (r == GSASL_OK && out != NULL && out[0] != '\0');
		bool said = !more || say(AUTH_CHALLENGE, out != NULL ? out : "", "");
		gsasl_free(out);
		if (!more) {
			decide(a, result_of(a, s, r));
			return;
		}
		if (!said || !hear(&in))
			return;
		if (r == GSASL_OK) { /* it only confirmed our last word */
			decide(a, in.text[0] == '\0' ? result_of(a, s, r) : AUTH_BAD_TEXT);
			return;
		}
	}
}

static bool
read_users(struct auth *a)
{
	struct stat st;
	if (a->conf.auth_users == NULL)
		return true;
	auto_fd fd = open(a->conf.auth_users, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	if (st.st_size > USERS_MAX) {
		errno = EFBIG;
		return false;
	}
	a->users = malloc((size_t)st.st_size + 1);
	ssize_t n = a->users != NULL ? read(fd, a->users, (size_t)st.st_size) : -1;
	a->length = n > 0 ? (size_t)n : 0;
	if (n >= 0)
		a->users[n] = '\0';
	return n >= 0;
}

static int
serve(struct auth *a)
{
	struct log_fields f = { .event = "auth" };
	char warm[SALT];
	Gsasl *ctx;
	Gsasl_session *s;
	if (!read_users(a)) {
		log_event(LOG_ERR, &f, "auth_users %s: %s", a->conf.auth_users, strerror(errno));
		return EX_TEMPFAIL;
	}
	if (a->conf.auth_saslauthd != NULL) {
		saslauthd = open_saslauthd(a->conf.auth_saslauthd, a->conf.timeout_check);
		if (saslauthd < 0)
			log_event(LOG_ERR, &f, "auth_saslauthd %s: %s", a->conf.auth_saslauthd,
				strerror(-saslauthd));
	}
	if (gsasl_init(&ctx) != GSASL_OK || gsasl_nonce(warm, sizeof(warm)) != GSASL_OK)
		return EX_SOFTWARE;
	int r = sandbox_enter(SANDBOX_HELPER, -1);
	if (r < 0 && r != -ENOSYS) {
		log_event(LOG_ERR, &f, "cannot lock myself in: %s", strerror(-r));
		return EX_TEMPFAIL;
	}
	if (recv(LAUNCH_FIRST_FD, &a->hello, sizeof(a->hello), 0) != (ssize_t)sizeof(a->hello))
		return EXIT_SUCCESS;
	a->hello.mechanism[AUTH_MECHANISM - 1] = '\0';
	a->hello.client[LIMIT_ADDRESS] = '\0';
	gsasl_callback_set(ctx, callback);
	gsasl_callback_hook_set(ctx, a);
	if (gsasl_server_start(ctx, a->hello.mechanism, &s) != GSASL_OK)
		return EX_SOFTWARE; /* the session offers only what there is */
	exchange(a, s);
	gsasl_finish(s);
	gsasl_done(ctx);
	return EXIT_SUCCESS;
}

/* ---- a line for the file ------------------------------------------------------------------ */

static bool
print_secret(const char *kind, Gsasl_hash hash, const char *password)
{
	char salt[SALT];
	struct keys k;
	char *text[3] = { NULL };
	size_t n, size = gsasl_hash_length(hash);
	bool ok = getrandom(salt, sizeof(salt), 0) == (ssize_t)sizeof(salt) &&
		derive(hash, password, ITERATIONS, salt, sizeof(salt), &k) &&
		gsasl_base64_to(salt, sizeof(salt), &text[0], &n) == GSASL_OK &&
		gsasl_base64_to(k.stored, size, &text[1], &n) == GSASL_OK &&
		gsasl_base64_to(k.server, size, &text[2], &n) == GSASL_OK;
	if (ok)
		printf("%s%d,%s,%s,%s", kind, ITERATIONS, text[0], text[1], text[2]);
	for (int i = 0; i < 3; i++)
		free(text[i]);
	return ok;
}

static int
hash(const char *name)
{
	char password[PASSWORD_MAX], *prepared = NULL;
	if (name[0] == '\0' || name[0] == '#' || strpbrk(name, ":\n\r") != NULL) {
		fputs("auth: not a name for the file\n", stderr);
		return EX_USAGE;
	}
	if (fgets(password, sizeof(password), stdin) == NULL)
		return EX_NOINPUT;
	size_t n = strcspn(password, "\r\n");
	password[n] = '\0';
	if (n == 0 || n == sizeof(password) - 1 ||
		gsasl_saslprep(password, 0, &prepared, NULL) != GSASL_OK) {
		fputs("auth: the password is empty, too long, or holds what no password may\n", stderr);
		return EX_DATAERR;
	}
	printf("%s:", name);
	bool ok = print_secret("{SCRAM-SHA-256}", GSASL_HASH_SHA256, prepared);
	putchar(' ');
	ok = ok && print_secret("{SCRAM-SHA-1}", GSASL_HASH_SHA1, prepared);
	putchar('\n');
	explicit_bzero(password, sizeof(password));
	free(prepared);
	return ok ? EXIT_SUCCESS : EX_SOFTWARE;
}

int
main(int argc, char **argv)
{
	struct options o;
	struct log_fields f = { .event = "failed" };
	auto_buf why = buf_new(LIMIT_COMMAND);

	stdfds_fill();
	if (argc < 1)
		return EX_USAGE;
	signal(SIGPIPE, SIG_IGN);
	options_parse(&o, argc, argv);
	if (o.hash != NULL)
		return hash(o.hash);
	int err = o.wrong != NULL || !o.serve ? -EINVAL : conf_load(&auth.conf, &o.conf, &why);
	log_open(err == 0 ? auth.conf.log : LOG_TO_AUTO, "auth", journal_send);
	if (err == 0)
		err = credential_find(&auth.conf, &why);
	if (err < 0) {
		log_event(LOG_ERR, &f, "%s%.*s", o.serve ? "" : "auth is started by smtpd; ",
			(int)why.n, why.n > 0 ? why.p : "");
		return EXIT_CONFIG;
	}
	return serve(&auth);
}
