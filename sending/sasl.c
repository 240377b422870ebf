#include "sending/sasl.h"

#include <errno.h>
#include <gsasl.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/library.h"
#include "mail/encode.h"

enum {
	CHALLENGE_MAX = 12288,
	SCRAM_ROUNDS = 4096, /* at least: RFC 5802 section 5.1, RFC 7677 section 4 */
	SCRAM_ROUNDS_MAX = 1 << 22, /* some seconds of work, which nothing interrupts */
};

const struct sasl_mechanism sasl_mechanisms[SASL_MECHANISMS] = {
	{ "SCRAM-SHA-256-PLUS", false, true, false },
	{ "SCRAM-SHA-256", false, false, false },
	{ "SCRAM-SHA-1-PLUS", false, true, false },
	{ "SCRAM-SHA-1", false, false, false },
	{ "PLAIN", false, false, true },
	{ "LOGIN", false, false, true },
	{ "OAUTHBEARER", true, false, true }, /* RFC 7628 */
	{ "XOAUTH2", true, false, true },     /* what was there before it */
};

unsigned
sasl_known(struct span names)
{
	unsigned known = 0;
	for (struct span word; (word = span_word(&names, " \t,=")).n > 0;)
		for (unsigned i = 0; i < SASL_MECHANISMS; i++)
			if (span_ieq(word, span_of(sasl_mechanisms[i].name)))
				known |= 1U << i;
	return known;
}

/* ---- libgsasl -------------------------------------------------------------------------------- */

#define FUNCTIONS(F) F(gsasl_init) F(gsasl_nonce) F(gsasl_client_start) F(gsasl_property_set) \
	F(gsasl_base64_to) F(gsasl_base64_from) F(gsasl_step64) F(gsasl_finish) F(gsasl_free) \
	F(gsasl_scram_secrets_from_password)

struct sasl_library {
	Gsasl *ctx;
#define DECLARE(name) __typeof__(name) *name;
	FUNCTIONS(DECLARE)
#undef DECLARE
};

struct sasl_library *
sasl_library_open(void)
{
	static struct sasl_library l;
	char warm[1]; /* random numbers may need a file, which is open from now on */
	void *so = library_load("libgsasl.so.18");
	bool found = so != NULL;
#define FIND(name) found = found && library_find(so, #name, &l.name);
	FUNCTIONS(FIND)
#undef FIND
	return found && l.gsasl_init(&l.ctx) == GSASL_OK &&
		l.gsasl_nonce(warm, sizeof(warm)) == GSASL_OK ? &l : NULL;
}

static int
bind_to(const struct sasl_library *l, Gsasl_session *session, const unsigned char *binding)
{
	char *text = NULL;
	size_t n;
	int r = l->gsasl_base64_to((const char *)binding, SASL_BINDING, &text, &n);
	if (r == GSASL_OK)
		r = l->gsasl_property_set(session, GSASL_CB_TLS_EXPORTER, text);
	l->gsasl_free(text);
	return r;
}

/*
 * ---- an exchange ------------------------------------------------------------------------------
 */

static bool
is_scram(const struct sasl_mechanism *m)
{
	return span_istarts(span_of(m->name), span_of("SCRAM-"));
}

/*
 * SCRAM takes no password in which there is a character that its tables have not (RFC 4013), such
 * as most that are younger than 2002; others send it as it is. That would come to light in the
 * middle of the exchange.
 */
static bool
takes_password(const struct sasl_library *l, const struct sasl_mechanism *m, const char *password)
{
	char keys[4][GSASL_HASH_MAX_SIZE];
	bool ok = !is_scram(m) ||
		l->gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, password, 1, "salt", 4,
			keys[0], keys[1], keys[2], keys[3]) == GSASL_OK;
	explicit_bzero(keys, sizeof(keys));
	return ok;
}

int
sasl_begin(struct sasl *s, const struct sasl_mechanism *m, const struct login *who,
	const unsigned char *binding)
{
	const struct sasl_library *l = who->library;
	Gsasl_session *session = NULL;
	*s = (struct sasl){ .mechanism = m, .who = who };
	if (m->token)
		return 0;
	if (!takes_password(l, m, who->password) ||
		l->gsasl_client_start(l->ctx, m->name, &session) != GSASL_OK)
		return -EINVAL;
	s->session = session;
	if (l->gsasl_property_set(session, GSASL_AUTHID, who->user) == GSASL_OK &&
		l->gsasl_property_set(session, GSASL_PASSWORD, who->password) == GSASL_OK &&
		(binding == NULL || bind_to(l, session, binding) == GSASL_OK))
		return 0;
	sasl_end(s);
	return -EINVAL;
}

/* All but LOGIN, which has an order and nothing else: the name, then the password. */
bool
sasl_speaks_first(const struct sasl *s)
{
	return strcmp(s->mechanism->name, "LOGIN") != 0;
}

/* The head of RFC 5801 with our name. */
static void
add_head(struct buf *text, const char *name)
{
	buf_puts(text, "n,a=");
	for (; *name != '\0'; name++) {
		if (*name == ',' || *name == '=')
			buf_puts(text, *name == ',' ? "=2C" : "=3D");
		else
			buf_add(text, (struct span){ name, 1 });
	}
	buf_puts(text, ",");
}

/*
 * The token; what comes after it is why it was refused, which wants an answer before the refusal.
 */
static int
step_with_token(struct sasl *s, struct span challenge, struct buf *answer)
{
	bool bearer = s->mechanism->name[0] == 'O';
	auto_buf text = buf_new(CHALLENGE_MAX);
	if (challenge.n > 0) {
		s->proved = false;
		buf_puts(answer, bearer ? "AQ==" : "");
		return 0;
	}
	if (bearer)
		add_head(&text, s->who->user);
	else
		buf_printf(&text, "user=%s", s->who->user);
	buf_printf(&text, "\1auth=Bearer %s\1\1", s->who->token);
	encode_base64_text(answer, buf_span(&text));
	s->proved = true;
	return text.err != 0 || answer->err != 0 ? -EPROTO : 0;
}

/* A challenge of SCRAM, decoded: does it ask for a number of rounds that we are ready for? */
static int
judge_rounds(struct span text)
{
	while (text.n > 0) {
		struct span word = span_cut(&text, ',');
		if (!span_istarts(word, span_of("i=")))
			continue;
		int64_t rounds = span_number(span_skip(word, 2));
		if (rounds < 0 || rounds > SCRAM_ROUNDS_MAX)
			return -ERANGE;
		if (rounds < SCRAM_ROUNDS)
			return -EACCES;
	}
	return 0;
}

/*
 * A host chooses how often a password is hashed. One that asks for a few rounds wants to guess it
 * from our answer, so it gets none; one that asks for billions would have us do nothing else. The
 * library knows no limit, and cuts a number of more than 32 bits: so it must not see these.
 */
static int
check_rounds(const struct sasl *s, const char *challenge)
{
	const struct sasl_library *l = s->who->library;
	char *text = NULL;
	size_t n = 0;
	if (!is_scram(s->mechanism))
		return 0;
	if (l->gsasl_base64_from(challenge, strlen(challenge), &text, &n) != GSASL_OK)
		return -EPROTO;
	int r = judge_rounds((struct span){ text, n });
	l->gsasl_free(text);
	return r;
}

int
sasl_step(struct sasl *s, struct span challenge, struct buf *answer)
{
	const struct sasl_library *l = s->who->library;
	char in[CHALLENGE_MAX + 1], *out = NULL;
	if (s->mechanism->token)
		return step_with_token(s, challenge, answer);
	/* No standard has LOGIN's challenges, and hosts differ in them: they mean nothing. */
	if (!sasl_speaks_first(s))
		challenge.n = 0;
	if (challenge.n >= sizeof(in))
		return -EPROTO;
	snprintf(in, sizeof(in), "%.*s", (int)challenge.n, challenge.n > 0 ? challenge.p : "");
	int err = check_rounds(s, in);
	if (err < 0)
		return err;
	int r = l->gsasl_step64(s->session, in, &out);
	if (out != NULL)
		buf_puts(answer, out);
	l->gsasl_free(out);
	s->proved = r == GSASL_OK;
	return (r == GSASL_OK || r == GSASL_NEEDS_MORE) && answer->err == 0 ? 0 : -EPROTO;
}

void
sasl_end(struct sasl *s)
{
	if (s->session != NULL)
		s->who->library->gsasl_finish(s->session);
	s->session = NULL;
}
