#include "helpers/authcheck.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/credential.h"
#include "helpers/authority.h"
#include "helpers/claim.h"
#include "lib/cleanup.h"
#include "lib/limits.h"
#include "process/check.h"
#include "secrets/users.h"

static void
check_users(struct findings *f, const struct conf *conf)
{
	static struct claim looked; /* as conf has it, but where a credential is */
	auto_buf why = buf_new(LIMIT_COMMAND);
	const char *file = conf->auth.users;
	if (file == NULL)
		return;
	looked.conf.auth.users = strdup(file);
	if (credential_hidden(span_of(file)))
		check_warning(f, "auth_users %s: a credential can be looked at only where the unit "
			"runs", file);
	else if (credential_path(&looked.conf.auth.users, &why) < 0)
		check_fault(f, "auth_users %.*s", (int)why.n, why.p);
	else if (!claim_read_users(&looked))
		check_fault(f, "auth_users %s: %s; user %ld must be able to read it", file,
			strerror(errno), (long)geteuid());
	else if (users_first_secrets(claim_users(&looked)).n == 0)
		check_warning(f,
			"auth_users %s: there is no user in it; \"smtpd --hash NAME\" makes "
			"a line",
			file);
	else if (users_odd(claim_users(&looked)) != 0 && conf->auth.saslauthd == NULL &&
		conf->auth.dovecot == NULL)
		check_warning(f,
			"auth_users %s:%u: this is no secret, so the user cannot log in; \"smtpd "
			"--hash NAME\" makes a line",
			file, users_odd(claim_users(&looked)));
	else
		check_fine(f, "auth_users %s: it can be read, and there are users in it", file);
	check_secret(f, "auth_users", file, "guess its passwords at leisure");
}

static const struct check checks[] = { { check_users }, { authority_check } };

int
authcheck_run(const struct options *o, struct conf *conf)
{
	return check_all("auth", o, conf, NULL, checks, CHECKS(checks));
}
