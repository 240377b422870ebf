/*
 * auth: finds out whether a client is who it says it is (RFC 4954), by libgsasl.
 *
 * smtpd's monitor starts it when the session asks, with one end of a pair of packet sockets whose
 * other end is the session (authwire.h). So neither the secrets nor the library are ever in the
 * process that parses SMTP. It reads its file, locks itself in, and answers one exchange.
 *
 *	auth --wait         started beforehand, it forks for one client after the other (await.h)
 *	auth --hash NAME    reads a password from standard input and prints a line for the file
 *	auth --check        looks at the file, and whether the other program can be asked
 *
 * A name that is not there takes the same way as a wrong password, or another program is asked
 * about it (checkpass.h). SCRAM gets a salt that is made from the name, so it is the same each
 * time. Secrets and responses are never logged.
 *
 * Exit status: 0; 75 the file cannot be read; 78 the configuration is wrong.
 */
#include <errno.h>
#include <gsasl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/credential.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/authwire.h"
#include "process/await.h"
#include "process/check.h"
#include "process/launch.h"
#include "process/log.h"
#include "process/program.h"
#include "secrets/checkpass.h"
#include "secrets/enrol.h"
#include "secrets/password.h"
#include "secrets/secret.h"
#include "secrets/users.h"

static struct auth {
	struct conf conf;
	struct auth_hello hello;
	char *users;     /* text of the file */
	size_t length;
	struct user user; /* the line of the file, if `known` */
	bool known;
	bool trouble;     /* it could not be checked */
	char name[LIMIT_ADDRESS + 1];
} auth;

static Gsasl *library;

/* ---- secrets ---------------------------------------------------------------------------- */

static struct span
users_text(const struct auth *a)
{
	return span_without_mark((struct span){ a->users, a->length });
}

static struct password_file
password_file(const struct auth *a)
{
	return (struct password_file){ users_text(a), a->conf.auth.case_sensitive == CONF_YES };
}

/* A name that is known is written as in the file from then on. */
static void
find_user(struct auth *a, const char *name)
{
	const struct password_file file = password_file(a);
	a->user = (struct user){ 0 };
	a->known = users_find(file.text, span_of(name), file.exact, &a->user);
	struct span found = a->known ? a->user.name : span_of(name);
	snprintf(a->name, sizeof(a->name), "%.*s", (int)found.n, found.p);
}

/* Takes what a check of a secret found; a spoilt line of the file is no fault of the client. */
static void
judge_secret(struct auth *a, const char *kind, int found)
{
	struct log_fields f = { .event = "auth" };
	a->known = found > 0;
	a->trouble = found < 0;
	if (found < 0)
		log_event(LOG_ERR, &f, "auth_users %s:%u: not a secret of %s", a->conf.auth.users,
			a->user.line, kind);
}

static int
give_scram(struct auth *a, Gsasl_session *s, Gsasl_property wanted)
{
	bool sha1 = strcmp(a->hello.mechanism, "SCRAM-SHA-1") == 0 ||
		strcmp(a->hello.mechanism, "SCRAM-SHA-1-PLUS") == 0;
	Gsasl_hash hash = sha1 ? GSASL_HASH_SHA1 : GSASL_HASH_SHA256;
	const struct password_file file = password_file(a);
	const char *name = gsasl_property_fast(s, GSASL_AUTHID);
	char secret[USERS_SECRET];
	struct scram parts = { 0 };
	if (name == NULL || a->trouble) /* it asks for each part */
		return GSASL_NO_CALLBACK;
	find_user(a, name);
	a->known = password_scram(&file, a->known ? &a->user : NULL, a->name, hash, secret);
	if (!secret_split(secret, hash, &parts)) {
		judge_secret(a, password_kind(hash), -EINVAL);
		return GSASL_NO_CALLBACK;
	}
	gsasl_property_set(s, GSASL_SCRAM_ITER, parts.iterations);
	gsasl_property_set(s, GSASL_SCRAM_SALT, parts.salt);
	gsasl_property_set(s, GSASL_SCRAM_STOREDKEY, parts.stored);
	gsasl_property_set(s, GSASL_SCRAM_SERVERKEY, parts.server);
	explicit_bzero(secret, sizeof(secret));
	return gsasl_property_fast(s, wanted) != NULL ? GSASL_OK : GSASL_NO_CALLBACK;
}

/* ---- other programs that know passwords -------------------------------------------------- */

/* The one that is asked about names the file does not know. */
static struct {
	const char *key, *path; /* in the configuration; NULL: there is none */
	struct stream stream;
	int err;                /* why it cannot be asked, or 0 */
} other;

static void
log_other(int err)
{
	struct log_fields f = { .event = "auth" };
	log_event(LOG_ERR, &f, "%s %s: %s", other.key, other.path, strerror(-err));
}

static void
open_other(const struct conf *conf)
{
	bool dovecot = conf->auth.dovecot != NULL;
	other.key = dovecot ? "auth_dovecot" : "auth_saslauthd";
	other.path = dovecot ? conf->auth.dovecot : conf->auth.saslauthd;
	if (other.path == NULL)
		return;
	other.err = checkpass_open(&other.stream, other.path, conf->receive.timeout_check);
}

/* As checkpass_dovecot; the file has what the user that Dovecot names may send. */
static int
ask_dovecot(struct auth *a, const char *name, const char *password, int64_t deadline)
{
	char plain[1 + LIMIT_ADDRESS + 1 + SECRET_PASSWORD], user[LIMIT_ADDRESS + 1];
	char *response = NULL;
	size_t n;
	int k = snprintf(plain, sizeof(plain), "%c%s%c%s", '\0', name, '\0', password);
	int r = gsasl_base64_to(plain, (size_t)k, &response, &n) != GSASL_OK
		? -ENOMEM
		: checkpass_dovecot(&other.stream, response, a->hello.secure, deadline, user);
	if (r > 0)
		find_user(a, user);
	explicit_bzero(plain, sizeof(plain));
	free(response);
	return r;
}

/*
 * As checkpass_saslauthd; it may look at no realm, and does not say whom it took the name for. So a
 * name that the file does not have may be one that it has, and what that one may send counts.
 */
static int
ask_saslauthd(struct auth *a, const char *name, const char *password, int64_t deadline)
{
	int r = checkpass_saslauthd(&other.stream, name, password, deadline);
	if (r > 0 && !a->known)
		(void)users_namesake(users_text(a), span_of(name), &a->user);
	return r;
}

static bool
ask_other(struct auth *a, const char *name, const char *password)
{
	int64_t deadline = clock_deadline(a->conf.receive.timeout_check);
	int r = other.err;
	if (strlen(name) > LIMIT_ADDRESS || strlen(password) >= SECRET_PASSWORD)
		return false;
	if (r == 0) {
		r = a->conf.auth.dovecot != NULL
			? ask_dovecot(a, name, password, deadline)
			: ask_saslauthd(a, name, password, deadline);
		if (r < 0)
			log_other(r);
	}
	explicit_bzero(&other.stream, sizeof(other.stream));
	a->trouble = r < 0;
	return r > 0;
}

/* ---- libgsasl asks ----------------------------------------------------------------------- */

/* To the client it is like a wrong password. */
static void
log_odd(const struct auth *a)
{
	struct log_fields f = { .event = "auth" };
	log_event(LOG_WARNING, &f, "auth_users %s:%u: this is no secret, so the user cannot log in",
		a->conf.auth.users, a->user.line);
}

static int
check_password(struct auth *a, Gsasl_session *s)
{
	const char *name = gsasl_property_fast(s, GSASL_AUTHID);
	const char *password = gsasl_property_fast(s, GSASL_PASSWORD);
	const struct password_file file = password_file(a);
	const char *kind = NULL;
	if (name == NULL || password == NULL)
		return GSASL_AUTHENTICATION_ERROR;
	find_user(a, name);
	int found = a->known ? password_check(&a->user, password, &kind) : -ENOENT;
	if (found != -ENOENT) {
		judge_secret(a, kind, found);
	} else if (other.path != NULL) {
		a->known = ask_other(a, name, password);
	} else {
		password_check_nobody(&file, a->name, password);
		if (a->known && users_is_odd(&a->user))
			log_odd(a);
		a->known = false;
	}
	return a->known ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

/* The certificate was verified by tls; what remains is whether the file has the name in it. */
static int
check_external(struct auth *a)
{
	find_user(a, a->hello.client);
	return a->hello.client[0] != '\0' && a->known ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

static int
give_binding(const struct auth *a, Gsasl_session *s, Gsasl_property wanted)
{
	const struct tlsbinding *b = &a->hello.binding;
	bool unique = wanted == GSASL_CB_TLS_UNIQUE;
	char *text = NULL;
	size_t n;
	if (!b->safe || (unique && !b->has_unique))
		return GSASL_NO_CALLBACK;
	int r = gsasl_base64_to((const char *)(unique ? b->unique : b->exporter),
		unique ? sizeof(b->unique) : sizeof(b->exporter), &text, &n);
	if (r == GSASL_OK)
		r = gsasl_property_set(s, wanted, text);
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
	case GSASL_CB_TLS_UNIQUE:
		return give_binding(a, s, wanted);
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

static int session = LAUNCH_FIRST_FD; /* our end of the pair */

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
	return send(session, &out, auth_text_size(n + k), MSG_NOSIGNAL) >= 0;
}

static bool
hear(struct auth_text *in)
{
	ssize_t n = recv(session, in, sizeof(*in), 0);
	if (n <= (ssize_t)auth_text_size(0))
		return false;
	in->text[(size_t)n - auth_text_size(0) - 1] = '\0';
	return true;
}

static bool
same_name(const struct auth *a, const char *x, const char *y)
{
	return password_file(a).exact ? strcmp(x, y) == 0 : span_ieq(span_of(x), span_of(y));
}

/*
 * A client speaks for itself only, by whatever mechanism: under the name that it gave or the one
 * that Dovecot has for it.
 */
static bool
for_itself(const struct auth *a, Gsasl_session *s)
{
	const char *whom = gsasl_property_fast(s, GSASL_AUTHZID);
	const char *given = gsasl_property_fast(s, GSASL_AUTHID);
	return whom == NULL || whom[0] == '\0' || same_name(a, whom, a->name) ||
		(given != NULL && same_name(a, whom, given));
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

/* Tells the session how it ended. */
static void
decide(const struct auth *a, enum auth_result result)
{
	char senders[AUTH_SENDERS] = "";
	struct log_fields f = { .event = "auth" };
	if (a->known && a->user.senders.n >= sizeof(senders)) {
		result = AUTH_TROUBLE; /* a list that is cut would let too little through */
		log_event(LOG_ERR, &f, "auth_users %s:%u: senders of more than %d octets",
			a->conf.auth.users, a->user.line, AUTH_SENDERS - 1);
	} else if (a->known && a->user.senders.n > 0) {
		memcpy(senders, a->user.senders.p, a->user.senders.n);
	}
	(void)say(result, a->name, senders);
}

/*
 * What LOGIN asks for, "Username:" and "Password:". Clients compare (Outlook, Thunderbird): of any
 * other text they make nothing, or another question.
 */
static const char *const login_asks[] = { "VXNlcm5hbWU6", "UGFzc3dvcmQ6" };

/* The challenge to send in place of the library's; `n` were sent before it. */
static const char *
challenge_text(const struct auth *a, const char *out, size_t n)
{
	if (strcmp(a->hello.mechanism, "LOGIN") == 0 &&
		n < sizeof(login_asks) / sizeof(login_asks[0]))
		return login_asks[n];
	return out != NULL ? out : "";
}

/*
 * Hears the first response that the library is to have; *asked is how many challenges of LOGIN are
 * answered by it. False: it is over before it began.
 */
static bool
begin_exchange(const struct auth *a, Gsasl_session *s, struct auth_text *in, size_t *asked)
{
	bool client_first = strcmp(a->hello.mechanism, "LOGIN") != 0;
	if (!hear(in))
		return false;
	/* An empty challenge asks for the initial response. */
	if (!in->given && client_first && (!say(AUTH_CHALLENGE, "", "") || !hear(in)))
		return false;
	if (in->given && in->text[0] == '\0' && strcmp(a->hello.mechanism, "EXTERNAL") != 0) {
		/* libgsasl would take it for no response at all */
		(void)say(AUTH_BAD_TEXT, "", "");
		return false;
	}
	*asked = 0;
	if (in->given && !client_first) { /* the name, which libgsasl asks for nevertheless */
		char *out = NULL;
		(void)gsasl_step64(s, "", &out);
		gsasl_free(out);
		*asked = 1;
	}
	return true;
}

/* One response is all there is to PLAIN, and libgsasl would change what it holds (password.h). */
static void
decide_plain(const struct auth *a, Gsasl_session *s, const char *response)
{
	int r = password_of_plain(s, response);
	decide(a, result_of(a, s,
		r == GSASL_OK ? gsasl_callback(NULL, s, GSASL_VALIDATE_SIMPLE) : r));
}

/* Steps until it is decided; closes by ending. */
static void
exchange(struct auth *a, Gsasl_session *s)
{
	static struct auth_text in;
	size_t asked;
	if (!begin_exchange(a, s, &in, &asked))
		return;
	if (strcmp(a->hello.mechanism, "PLAIN") == 0) {
		decide_plain(a, s, in.text);
		return;
	}
	for (;; asked++) {
		char *out = NULL;
		int r = gsasl_step64(s, in.text, &out);
		bool more = r == GSASL_NEEDS_MORE ||
			    (r == GSASL_OK && out != NULL && out[0] != '\0');
		bool said = !more || say(AUTH_CHALLENGE, challenge_text(a, out, asked), "");
		gsasl_free(out);
		if (!more) {
			decide(a, result_of(a, s, r));
			return;
		}
		if (!said || !hear(&in))
			return;
		if (r == GSASL_OK) { /* the client only confirmed the last challenge */
			decide(a, in.text[0] == '\0' ? result_of(a, s, r) : AUTH_BAD_TEXT);
			return;
		}
	}
}

static bool
read_users(struct auth *a)
{
	const char *file = a->conf.auth.users;
	int r = file != NULL ? users_read(file, &a->users, &a->length) : 0;
	errno = -r;
	return r == 0;
}

/* Reads the file, and has the library ready. EXIT_SUCCESS, or how to end. */
static int
prepare(struct auth *a)
{
	struct log_fields f = { .event = "auth" };
	char warm[16];
	if (!read_users(a)) {
		log_event(LOG_ERR, &f, "auth_users %s: %s", a->conf.auth.users, strerror(errno));
		return EX_TEMPFAIL;
	}
	unsigned stray = users_stray_cr(users_text(a));
	if (stray > 0) {
		log_event(LOG_ERR, &f, "auth_users %s:%u: a CR that ends no line",
			a->conf.auth.users, stray);
		return EX_TEMPFAIL;
	}
	open_other(&a->conf);
	if (other.err < 0)
		log_other(other.err);
	return gsasl_init(&library) == GSASL_OK && gsasl_nonce(warm, sizeof(warm)) == GSASL_OK
		? EXIT_SUCCESS : EX_SOFTWARE;
}

/* One exchange, locked in before the first octet is read. How to end. */
static int
answer(struct auth *a)
{
	struct log_fields f = { .event = "auth" };
	Gsasl_session *s;
	if (!program_lock_in(SANDBOX_HELPER, NULL, -1, &f))
		return EX_TEMPFAIL;
	if (recv(session, &a->hello, sizeof(a->hello), 0) != (ssize_t)sizeof(a->hello))
		return EXIT_SUCCESS;
	a->hello.mechanism[AUTH_MECHANISM - 1] = '\0';
	a->hello.client[LIMIT_ADDRESS] = '\0';
	gsasl_callback_set(library, callback);
	gsasl_callback_hook_set(library, a);
	if (gsasl_server_start(library, a->hello.mechanism, &s) != GSASL_OK)
		return EX_SOFTWARE; /* the session offers only what there is */
	exchange(a, s);
	gsasl_finish(s);
	gsasl_done(library);
	return EXIT_SUCCESS;
}

/* ---- one client after the other ---------------------------------------------------------- */

/* Waits for the child that has the client. False: it was ended by a signal. */
static bool
wait_for_end(pid_t pid)
{
	struct log_fields f = { .event = "auth" };
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		log_event(LOG_ERR, &f, "auth %ld ended by signal %d", (long)pid, WTERMSIG(status));
	return !WIFSIGNALED(status);
}

/*
 * Serves those that the monitor hands over (await.h), each in a child, which alone hears the
 * client, with the memory that this process has: it costs a quarter of a start. So what a client
 * says is in no process that another one talks to; nor is it here.
 */
static int
serve_all(struct auth *a)
{
	struct log_fields f = { .event = "auth" };
	int fds[REQUEST_FDS];
	await_begin();
	int r = prepare(a);
	while (r == EXIT_SUCCESS && await_client(fds, 1)) {
		session = fds[0];
		pid_t pid = fork();
		if (pid == 0) {
			close(LAUNCH_FIRST_FD);
			_exit(answer(a));
		}
		close(session);
		if (pid > 0 && !wait_for_end(pid))
			break; /* the next child would be like this one: let another auth come */
		if (pid < 0)
			log_event(LOG_ERR, &f, "cannot fork: %s", strerror(errno));
	}
	return r;
}

static int
serve(struct auth *a)
{
	int r = prepare(a);
	return r == EXIT_SUCCESS ? answer(a) : r;
}

/* ---- what the operator asks -------------------------------------------------------------- */

static void
check_users(struct findings *f, const struct conf *conf)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	const char *file = conf->auth.users;
	if (file == NULL)
		return;
	if (credential_hidden(span_of(file)))
		check_warning(f, "auth_users %s: a credential can be looked at only where the unit "
			"runs", file);
	else if (credential_path(&auth.conf.auth.users, &why) < 0)
		check_fault(f, "auth_users %.*s", (int)why.n, why.p);
	else if (!read_users(&auth))
		check_fault(f, "auth_users %s: %s; user %ld must be able to read it", file,
			strerror(errno), (long)geteuid());
	else if (users_first_secrets(users_text(&auth)).n == 0)
		check_warning(f,
			"auth_users %s: there is no user in it; \"smtpd --hash NAME\" makes "
			"a line",
			file);
	else if (users_odd(users_text(&auth)) != 0 && conf->auth.saslauthd == NULL &&
		conf->auth.dovecot == NULL)
		check_warning(f,
			"auth_users %s:%u: this is no secret, so the user cannot log in; \"smtpd "
			"--hash NAME\" makes a line",
			file, users_odd(users_text(&auth)));
	else
		check_fine(f, "auth_users %s: it can be read, and there are users in it", file);
	check_secret(f, "auth_users", file, "guess its passwords at leisure");
}

/* It may be started later than this is asked. */
static void
check_other_program(struct findings *f, const struct conf *conf)
{
	other.err = 0;
	open_other(conf);
	if (other.path != NULL && other.err < 0)
		check_warning(f, "%s %s: %s; does it run, and may user %ld connect to it?",
			other.key, other.path, strerror(-other.err), (long)geteuid());
}

static const struct check checks[] = { { check_users }, { check_other_program } };

/* ---- start ------------------------------------------------------------------------------ */

int
main(int argc, char **argv)
{
	struct options o;
	auto_buf why = buf_new(LIMIT_COMMAND);

	if (!program_begin(&o, argc, argv))
		return EX_USAGE;
	if (o.hash != NULL)
		return enrol_user(o.hash);
	const char *unfit = o.serve || o.wait || o.check ? NULL : "auth is started by smtpd";
	int err = program_configure(&auth.conf, NULL, &o, unfit, "auth", &why);
	if (o.check)
		return err < 0 ? check_refuse("auth", &why)
			       : check_all("auth", &o, &auth.conf, NULL, checks, CHECKS(checks));
	if (err == 0)
		err = credential_path(&auth.conf.auth.users, &why);
	if (err < 0)
		return program_refuse(&why);
	return o.wait ? serve_all(&auth) : serve(&auth);
}
