#include "helpers/proof.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/authority.h"
#include "helpers/claim.h"
#include "process/log.h"
#include "secrets/password.h"
#include "secrets/secret.h"

/* Takes what a check of a secret found; a spoilt line of the file is no fault of the client. */
static void
judge_secret(struct claim *c, const char *kind, int found)
{
	struct log_fields f = { .event = "auth" };
	c->known = found > 0;
	c->trouble = found < 0;
	if (found < 0)
		log_event(LOG_ERR, &f, "auth_users %s:%u: not a secret of %s", c->conf.auth.users,
			c->user.line, kind);
}

static int
give_scram(struct claim *c, Gsasl_session *s, Gsasl_property wanted)
{
	bool sha1 = strcmp(c->hello.mechanism, "SCRAM-SHA-1") == 0 ||
		strcmp(c->hello.mechanism, "SCRAM-SHA-1-PLUS") == 0;
	Gsasl_hash hash = sha1 ? GSASL_HASH_SHA1 : GSASL_HASH_SHA256;
	const struct password_file file = claim_file(c);
	const char *name = gsasl_property_fast(s, GSASL_AUTHID);
	char secret[USERS_SECRET];
	struct scram parts = { 0 };
	if (name == NULL || c->trouble) /* it asks for each part */
		return GSASL_NO_CALLBACK;
	claim_find_user(c, name);
	c->known = password_scram(&file, c->known ? &c->user : NULL, c->name, hash, secret);
	if (!secret_split(secret, hash, &parts)) {
		judge_secret(c, password_kind(hash), -EINVAL);
		return GSASL_NO_CALLBACK;
	}
	gsasl_property_set(s, GSASL_SCRAM_ITER, parts.iterations);
	gsasl_property_set(s, GSASL_SCRAM_SALT, parts.salt);
	gsasl_property_set(s, GSASL_SCRAM_STOREDKEY, parts.stored);
	gsasl_property_set(s, GSASL_SCRAM_SERVERKEY, parts.server);
	explicit_bzero(secret, sizeof(secret));
	return gsasl_property_fast(s, wanted) != NULL ? GSASL_OK : GSASL_NO_CALLBACK;
}

/* To the client it is like a wrong password. */
static void
log_odd(const struct claim *c)
{
	struct log_fields f = { .event = "auth" };
	log_event(LOG_WARNING, &f, "auth_users %s:%u: this is no secret, so the user cannot log in",
		c->conf.auth.users, c->user.line);
}

static int
check_password(struct claim *c, Gsasl_session *s)
{
	const char *name = gsasl_property_fast(s, GSASL_AUTHID);
	const char *password = gsasl_property_fast(s, GSASL_PASSWORD);
	const struct password_file file = claim_file(c);
	const char *kind = NULL;
	if (name == NULL || password == NULL)
		return GSASL_AUTHENTICATION_ERROR;
	claim_find_user(c, name);
	int found = c->known ? password_check(&c->user, password, &kind) : -ENOENT;
	if (found != -ENOENT) {
		judge_secret(c, kind, found);
	} else if (authority_is_named()) {
		c->known = authority_ask(c, name, password);
	} else {
		password_check_nobody(&file, c->name, password);
		if (c->known && users_is_odd(&c->user))
			log_odd(c);
		c->known = false;
	}
	return c->known ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

/* The certificate was verified by tls; what remains is whether the file has the name in it. */
static int
check_external(struct claim *c)
{
	claim_find_user(c, c->hello.client);
	return c->hello.client[0] != '\0' && c->known ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

static int
give_binding(const struct claim *c, Gsasl_session *s, Gsasl_property wanted)
{
	const struct tlsbinding *b = &c->hello.binding;
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

int
proof_callback(Gsasl *ctx, Gsasl_session *s, Gsasl_property wanted)
{
	struct claim *c = gsasl_callback_hook_get(ctx);
	switch (wanted) {
	case GSASL_VALIDATE_SIMPLE:
		return check_password(c, s);
	case GSASL_VALIDATE_EXTERNAL:
		return check_external(c);
	case GSASL_CB_TLS_EXPORTER:
	case GSASL_CB_TLS_UNIQUE:
		return give_binding(c, s, wanted);
	case GSASL_SCRAM_ITER:
	case GSASL_SCRAM_SALT:
	case GSASL_SCRAM_STOREDKEY:
	case GSASL_SCRAM_SERVERKEY:
		return give_scram(c, s, wanted);
	default:
		return GSASL_NO_CALLBACK;
	}
}
