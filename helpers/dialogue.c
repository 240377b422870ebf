#include "helpers/dialogue.h"

#include <string.h>
#include <sys/socket.h>

#include "process/log.h"

static bool
say(const struct claim *c, enum auth_result result, const char *text, const char *more)
{
	static struct auth_text out;
	out.result = result;
	size_t n = strlen(text) + 1, k = strlen(more) + 1;
	if (n + k > sizeof(out.text))
		return false;
	memcpy(out.text, text, n);
	memcpy(out.text + n, more, k);
	return send(c->session, &out, auth_text_size(n + k), MSG_NOSIGNAL) >= 0;
}

static bool
hear(const struct claim *c, struct auth_text *in)
{
	ssize_t n = recv(c->session, in, sizeof(*in), 0);
	if (n <= (ssize_t)auth_text_size(0))
		return false;
	in->text[(size_t)n - auth_text_size(0) - 1] = '\0';
	return true;
}

static bool
same_name(const struct claim *c, const char *x, const char *y)
{
	return claim_file(c).exact ? strcmp(x, y) == 0 : span_ieq(span_of(x), span_of(y));
}

/*
 * A client speaks for itself only, by whatever mechanism: under the name that it gave or the one
 * that Dovecot has for it.
 */
static bool
for_itself(const struct claim *c, Gsasl_session *s)
{
	const char *whom = gsasl_property_fast(s, GSASL_AUTHZID);
	const char *given = gsasl_property_fast(s, GSASL_AUTHID);
	return whom == NULL || whom[0] == '\0' || same_name(c, whom, c->name) ||
		(given != NULL && same_name(c, whom, given));
}

static enum auth_result
result_of(const struct claim *c, Gsasl_session *s, int r)
{
	if (c->trouble)
		return AUTH_TROUBLE;
	if (r == GSASL_OK)
		return c->known && for_itself(c, s) ? AUTH_DONE : AUTH_REFUSED;
	return r == GSASL_BASE64_ERROR || r == GSASL_MECHANISM_PARSE_ERROR ? AUTH_BAD_TEXT
									   : AUTH_REFUSED;
}

/* Tells the session how it ended. */
static void
decide(const struct claim *c, enum auth_result result)
{
	char senders[AUTH_SENDERS] = "";
	struct log_fields f = { .event = "auth" };
	if (c->known && c->user.senders.n >= sizeof(senders)) {
		result = AUTH_TROUBLE; /* a list that is cut would let too little through */
		log_event(LOG_ERR, &f, "auth_users %s:%u: senders of more than %d octets",
			c->conf.auth.users, c->user.line, AUTH_SENDERS - 1);
	} else if (c->known && c->user.senders.n > 0) {
		memcpy(senders, c->user.senders.p, c->user.senders.n);
	}
	(void)say(c, result, c->name, senders);
}

/*
 * What LOGIN asks for, "Username:" and "Password:". Clients compare (Outlook, Thunderbird): of any
 * other text they make nothing, or another question.
 */
static const char *const login_asks[] = { "VXNlcm5hbWU6", "UGFzc3dvcmQ6" };

/* The challenge to send in place of the library's; `n` were sent before it. */
static const char *
challenge_text(const struct claim *c, const char *out, size_t n)
{
	if (strcmp(c->hello.mechanism, "LOGIN") == 0 &&
		n < sizeof(login_asks) / sizeof(login_asks[0]))
		return login_asks[n];
	return out != NULL ? out : "";
}

/* An empty password is a wrong one, as with PLAIN; libgsasl takes it for no response at all. */
static bool
is_empty_password(const struct claim *c, const struct auth_text *in, size_t asked)
{
	return strcmp(c->hello.mechanism, "LOGIN") == 0 && in->text[0] == '\0' &&
		asked == sizeof(login_asks) / sizeof(login_asks[0]);
}

/*
 * Hears the first response that the library is to have; *asked is how many challenges of LOGIN are
 * answered by it. False: it is over before it began.
 */
static bool
begin_exchange(const struct claim *c, Gsasl_session *s, struct auth_text *in, size_t *asked)
{
	bool client_first = strcmp(c->hello.mechanism, "LOGIN") != 0;
	if (!hear(c, in))
		return false;
	/* An empty challenge asks for the initial response. */
	if (!in->given && client_first && (!say(c, AUTH_CHALLENGE, "", "") || !hear(c, in)))
		return false;
	if (in->given && in->text[0] == '\0' && strcmp(c->hello.mechanism, "EXTERNAL") != 0) {
		/* libgsasl would take it for no response at all */
		(void)say(c, AUTH_BAD_TEXT, "", "");
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
decide_plain(const struct claim *c, Gsasl_session *s, const char *response)
{
	int r = password_of_plain(s, response);
	decide(c, result_of(c, s,
		r == GSASL_OK ? gsasl_callback(NULL, s, GSASL_VALIDATE_SIMPLE) : r));
}

void
dialogue_run(struct claim *c, Gsasl_session *s)
{
	static struct auth_text in;
	size_t asked;
	if (!begin_exchange(c, s, &in, &asked))
		return;
	if (strcmp(c->hello.mechanism, "PLAIN") == 0) {
		decide_plain(c, s, in.text);
		return;
	}
	for (;; asked++) {
		char *out = NULL;
		if (is_empty_password(c, &in, asked)) {
			decide(c, AUTH_REFUSED);
			return;
		}
		int r = gsasl_step64(s, in.text, &out);
		bool more = r == GSASL_NEEDS_MORE ||
			    (r == GSASL_OK && out != NULL && out[0] != '\0');
		bool said = !more || say(c, AUTH_CHALLENGE, challenge_text(c, out, asked), "");
		gsasl_free(out);
		if (!more) {
			decide(c, result_of(c, s, r));
			return;
		}
		if (!said || !hear(c, &in))
			return;
		if (r == GSASL_OK) { /* the client only confirmed the last challenge */
			decide(c, in.text[0] == '\0' ? result_of(c, s, r) : AUTH_BAD_TEXT);
			return;
		}
	}
}
