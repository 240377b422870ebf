#include "helpers/tlscheck.h"

#include <limits.h>
#include <stdio.h>

#include "conf/credential.h"
#include "helpers/context.h"
#include "lib/cleanup.h"
#include "lib/limits.h"
#include "process/check.h"
#include "secrets/certificate.h"

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
	} else if (context_use_next(ctx, &one, &its, &why) < 0) {
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
	if (ctx != NULL && !context_set_client_ca(ctx, conf, &why))
		check_fault(f, "%.*s", (int)why.n, why.p);
	SSL_CTX_free(ctx);
}

static const struct check checks[] = { { check_certificates }, { check_client_ca } };

int
tlscheck_run(const struct options *o, struct conf *conf)
{
	return check_all("tls", o, conf, NULL, checks, CHECKS(checks));
}
