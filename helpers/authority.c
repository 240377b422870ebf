#include "helpers/authority.h"

#include <errno.h>
#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "process/log.h"
#include "secrets/checkpass.h"
#include "secrets/secret.h"

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

void
authority_open(const struct conf *conf)
{
	open_other(conf);
	if (other.err < 0)
		log_other(other.err);
}

bool
authority_is_named(void)
{
	return other.path != NULL;
}

/* As checkpass_dovecot; the file has what the user that Dovecot names may send. */
static int
ask_dovecot(struct claim *c, const char *name, const char *password, int64_t deadline)
{
	char plain[1 + LIMIT_ADDRESS + 1 + SECRET_PASSWORD], user[LIMIT_ADDRESS + 1];
	char *response = NULL;
	size_t n;
	int k = snprintf(plain, sizeof(plain), "%c%s%c%s", '\0', name, '\0', password);
	int r = gsasl_base64_to(plain, (size_t)k, &response, &n) != GSASL_OK
		? -ENOMEM
		: checkpass_dovecot(&other.stream, response, c->hello.secure, deadline, user);
	if (r > 0)
		claim_find_user(c, user);
	explicit_bzero(plain, sizeof(plain));
	free(response);
	return r;
}

/*
 * As checkpass_saslauthd; it may look at no realm, and does not say whom it took the name for. So a
 * name that the file does not have may be one that it has, and what that one may send counts.
 */
static int
ask_saslauthd(struct claim *c, const char *name, const char *password, int64_t deadline)
{
	int r = checkpass_saslauthd(&other.stream, name, password, deadline);
	if (r > 0 && !c->known)
		(void)users_namesake(claim_users(c), span_of(name), &c->user);
	return r;
}

bool
authority_ask(struct claim *c, const char *name, const char *password)
{
	int64_t deadline = clock_deadline(c->conf.receive.timeout_check);
	int r = other.err;
	if (strlen(name) > LIMIT_ADDRESS || strlen(password) >= SECRET_PASSWORD)
		return false;
	if (r == 0) {
		r = c->conf.auth.dovecot != NULL
			? ask_dovecot(c, name, password, deadline)
			: ask_saslauthd(c, name, password, deadline);
		if (r < 0)
			log_other(r);
	}
	explicit_bzero(&other.stream, sizeof(other.stream));
	c->trouble = r < 0;
	return r > 0;
}

void
authority_check(struct findings *f, const struct conf *conf)
{
	other.err = 0;
	open_other(conf);
	if (other.path != NULL && other.err < 0)
		check_warning(f, "%s %s: %s; does it run, and may user %ld connect to it?",
			other.key, other.path, strerror(-other.err), (long)geteuid());
}
