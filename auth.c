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

#include "conf/credential.h"
#include "helpers/authcheck.h"
#include "helpers/authority.h"
#include "helpers/claim.h"
#include "helpers/dialogue.h"
#include "helpers/proof.h"
#include "lib/cleanup.h"
#include "process/await.h"
#include "process/check.h"
#include "process/launch.h"
#include "process/log.h"
#include "process/program.h"
#include "secrets/enrol.h"
#include "secrets/users.h"

static struct claim claim;

static Gsasl *library;

/* Reads the file, and has the library ready. EXIT_SUCCESS, or how to end. */
static int
prepare(struct claim *c)
{
	struct log_fields f = { .event = "auth" };
	char warm[16];
	if (!claim_read_users(c)) {
		log_event(LOG_ERR, &f, "auth_users %s: %s", c->conf.auth.users, strerror(errno));
		return EX_TEMPFAIL;
	}
	unsigned stray = users_stray_cr(claim_users(c));
	if (stray > 0) {
		log_event(LOG_ERR, &f, "auth_users %s:%u: a CR that ends no line",
			c->conf.auth.users, stray);
		return EX_TEMPFAIL;
	}
	authority_open(&c->conf);
	return gsasl_init(&library) == GSASL_OK && gsasl_nonce(warm, sizeof(warm)) == GSASL_OK
		? EXIT_SUCCESS : EX_SOFTWARE;
}

/* One exchange, locked in before the first octet is read. How to end. */
static int
answer(struct claim *c)
{
	struct log_fields f = { .event = "auth" };
	Gsasl_session *s;
	if (!program_lock_in(SANDBOX_HELPER, NULL, -1, &f))
		return EX_TEMPFAIL;
	if (recv(c->session, &c->hello, sizeof(c->hello), 0) != (ssize_t)sizeof(c->hello))
		return EXIT_SUCCESS;
	c->hello.mechanism[AUTH_MECHANISM - 1] = '\0';
	c->hello.client[LIMIT_ADDRESS] = '\0';
	gsasl_callback_set(library, proof_callback);
	gsasl_callback_hook_set(library, c);
	if (gsasl_server_start(library, c->hello.mechanism, &s) != GSASL_OK)
		return EX_SOFTWARE; /* the session offers only what there is */
	dialogue_run(c, s);
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
serve_all(struct claim *c)
{
	struct log_fields f = { .event = "auth" };
	int fds[REQUEST_FDS];
	await_begin();
	int r = prepare(c);
	while (r == EXIT_SUCCESS && await_client(fds, 1)) {
		c->session = fds[0];
		pid_t pid = fork();
		if (pid == 0) {
			close(LAUNCH_FIRST_FD);
			_exit(answer(c));
		}
		close(c->session);
		if (pid > 0 && !wait_for_end(pid))
			break; /* the next child would be like this one: let another auth come */
		if (pid < 0)
			log_event(LOG_ERR, &f, "cannot fork: %s", strerror(errno));
	}
	return r;
}

static int
serve(struct claim *c)
{
	int r = prepare(c);
	c->session = LAUNCH_FIRST_FD;
	return r == EXIT_SUCCESS ? answer(c) : r;
}

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
	int err = program_configure(&claim.conf, NULL, &o, unfit, "auth", &why);
	if (o.check)
		return err < 0 ? check_refuse("auth", &why) : authcheck_run(&o, &claim.conf);
	if (err == 0)
		err = credential_path(&claim.conf.auth.users, &why);
	if (err < 0)
		return program_refuse(&why);
	return o.wait ? serve_all(&claim) : serve(&claim);
}
