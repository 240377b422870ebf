#include "session/offers.h"

#include "session/arguments.h"

bool
offers_tls(const struct session *s)
{
	return !s->client.secure && !s->client.tls_failed && s->client.peer.socket &&
	       s->conf.tls.mode != TLS_OFF && s->conf.tls.certificate != NULL;
}

/* A stranger that a wrapper brings on a pipe never can: no handshake is begun there (loop.c). */
bool
offers_tls_first(const struct session *s)
{
	return !s->client.secure && !peer_is_direct(&s->client.peer, &s->conf.receive) &&
	       (s->conf.tls.mode == TLS_REQUIRED || s->conf.tls.mode == TLS_IMPLICIT);
}

/* SCRAM and EXTERNAL need the file of users: a program that only judges passwords is no help. */
static bool
usable_scram(const struct session *s)
{
	return s->conf.auth.users != NULL;
}

static bool
usable_bound(const struct session *s)
{
	return s->client.secure && s->client.tls.binding.safe && usable_scram(s);
}

/* RFC 4954 section 4: no password in clear. */
static bool
usable_password(const struct session *s)
{
	return s->client.secure || s->conf.auth.clear == CONF_YES ||
	       peer_is_direct(&s->client.peer, &s->conf.receive);
}

static bool
usable_certificate(const struct session *s)
{
	return s->client.tls.client[0] != '\0' && usable_scram(s);
}

/* What AUTH can do, the best first. */
static const struct mechanism {
	const char *name;
	bool (*usable)(const struct session *);
} mechanisms[] = {
	{ "EXTERNAL", usable_certificate },       /* RFC 4422 appendix A */
	{ "SCRAM-SHA-256-PLUS", usable_bound },   /* RFC 7677 */
	{ "SCRAM-SHA-256", usable_scram },
	{ "SCRAM-SHA-1-PLUS", usable_bound },     /* RFC 5802 */
	{ "SCRAM-SHA-1", usable_scram },
	{ "PLAIN", usable_password },             /* RFC 4616 */
	{ "LOGIN", usable_password },
};

enum { MECHANISMS = sizeof(mechanisms) / sizeof(mechanisms[0]) };

const char *
offers_mechanism(const struct session *s, struct span name, enum reply *refusal)
{
	for (size_t i = 0; i < MECHANISMS; i++) {
		const struct mechanism *m = &mechanisms[i];
		if (!span_ieq(name, span_of(m->name)))
			continue;
		*refusal = m->usable(s)		       ? R_FINE
			: m->usable == usable_password ? R_AUTH_CLEAR
						       : R_AUTH_UNKNOWN;
		return m->name;
	}
	return NULL;
}

void
offers_add_mechanisms(const struct session *s, struct buf *b)
{
	for (size_t i = 0; i < MECHANISMS; i++)
		if (mechanisms[i].usable(s))
			buf_printf(b, " %s", mechanisms[i].name);
}

bool
offers_users(const struct session *s)
{
	return s->conf.auth.users != NULL || s->conf.auth.saslauthd != NULL ||
		s->conf.auth.dovecot != NULL;
}

bool
offers_auth(const struct session *s)
{
	bool any = false;
	for (size_t i = 0; i < MECHANISMS; i++)
		any = any || mechanisms[i].usable(s);
	return any && offers_users(s) && !offers_tls_first(s);
}

static bool
always(const struct session *s)
{
	(void)s;
	return true;
}

/* Did the client authenticate? */
static bool
is_known(const struct session *s)
{
	return s->client.said.user[0] != '\0';
}

static bool
offers_requiretls(const struct session *s)
{
	return s->client.secure && s->conf.receive.requiretls == CONF_YES;
}

/* Before it proves who it is, perhaps behind STARTTLS, a user's device looks like a stranger. */
static bool
may_belong_here(const struct session *s)
{
	return s->client.said.rights.any_domain || offers_users(s);
}

unsigned
offers_parameters(const struct session *s)
{
	return (offers_auth(s) ? OFFER_AUTH : 0U) |
	       (s->client.said.rights.any_domain ? OFFER_BARE : 0U) |
	       (may_belong_here(s) ? OFFER_ANY_NAME : 0U) |
	       (is_known(s) ? OFFER_HOLD | OFFER_PRIORITY : 0U) |
	       (offers_requiretls(s) ? OFFER_REQUIRETLS : 0U);
}

/* Service extensions, as EHLO lists them. */
static const struct extension {
	const char *keyword;
	bool (*offered)(const struct session *);
} extensions[] = {
	{ "PIPELINING", always },          /* RFC 2920 */
	{ "SIZE %z", always },             /* RFC 1870 */
	{ "STARTTLS", offers_tls },        /* RFC 3207 */
	{ "AUTH%m", offers_auth },         /* RFC 4954 */
	{ "8BITMIME", always },            /* RFC 6152 */
	{ "CHUNKING", always },            /* RFC 3030 */
	{ "BINARYMIME", always },
	{ "SMTPUTF8", always },            /* RFC 6531 */
	{ "DSN", always },                 /* RFC 3461 */
	{ "DELIVERBY", always },           /* RFC 2852 */
	{ "FUTURERELEASE %f", is_known },  /* RFC 4865 */
	{ "MT-PRIORITY", is_known },       /* RFC 6710 */
	{ "REQUIRETLS", offers_requiretls }, /* RFC 8689 */
	{ "LIMITS RCPTMAX=%r RCPTDOMAINMAX=%d", always }, /* RFC 9422 */
	{ "ENHANCEDSTATUSCODES", always }, /* RFC 2034 */
};

const char *
offers_extension(const struct session *s, size_t *next)
{
	while (*next < sizeof(extensions) / sizeof(extensions[0])) {
		const struct extension *e = &extensions[(*next)++];
		if (e->offered(s))
			return e->keyword;
	}
	return NULL;
}
