#include "session/secure.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "session/helper.h"
#include "session/offers.h"
#include "session/say.h"

/* ---- TLS -------------------------------------------------------------------------------- */

/* Has tls ready to shake hands: 220 is said only then. 0, or -errno and the log has a line. */
static int
start_tls(struct session *s)
{
	struct log_fields f = session_event(s, "tls_failed");
	int fd = helper_tls(s->monitor, session_deadline(s, s->conf.tls.timeout), s->stop);
	if (fd < 0) {
		s->client.tls_failed = true;
		counters_one(COUNTER_TLS_FAILED);
		log_event(LOG_NOTICE, &f, "no TLS with %s: tls did not get ready",
			s->client.peer.text);
		return fd;
	}
	s->client.tls_ready = fd;
	return 0;
}

/* What follows in clear was not sent by the client that will shake hands (RFC 3207; B1). */
enum reply
secure_starttls(struct session *s, struct span arg)
{
	(void)arg;
	if (s->client.secure)
		return R_TLS_ACTIVE;
	if (s->conf.tls.mode == TLS_OFF || s->conf.tls.certificate == NULL)
		return R_NOT_IMPLEMENTED; /* and a later attempt would not help */
	if (!offers_tls(s))
		return R_TLS_UNAVAILABLE;
	if (stream_pending(&s->client.stream))
		return R_TLS_EARLY;
	(void)stream_flush(&s->client.stream, session_deadline(s, s->conf.receive.timeout_command));
	int r = start_tls(s);
	if (r < 0)
		return r == -ECANCELED ? R_STOPPING : R_TLS_UNAVAILABLE;
	return R_START_TLS;
}

static void
count_version(const char *version)
{
	counters_one(strcmp(version, "TLSv1.3") == 0 ? COUNTER_SESSIONS_TLS_1_3
			: strcmp(version, "TLSv1.2") == 0 ? COUNTER_SESSIONS_TLS_1_2
							  : COUNTER_SESSIONS_TLS_OLD);
}

bool
secure_handshake(struct session *s)
{
	char how[sizeof(s->client.tls.version) + sizeof(s->client.tls.cipher) + 16];
	int64_t until = session_deadline(s, s->conf.tls.timeout);
	session_forget(s);
	if (s->client.tls_ready < 0 && start_tls(s) < 0)
		return false;
	struct client *c = &s->client;
	bool shaken = stream_flush(&c->stream, until) == STREAM_OK &&
		helper_tls_begin(c->tls_ready, c->peer.text, &c->stream, until, &c->tls) == 0;
	close(c->tls_ready);
	c->tls_ready = -1;
	if (!shaken) {
		struct log_fields f = session_event(s, "tls_failed");
		counters_one(COUNTER_TLS_FAILED);
		log_event(LOG_NOTICE, &f, "no TLS with %s", s->client.peer.text);
		return false;
	}
	s->client.secure = true;
	count_version(s->client.tls.version);
	struct log_fields f = session_event(s, "tls");
	snprintf(how, sizeof(how), "%s with cipher %s", s->client.tls.version,
		s->client.tls.cipher);
	f.tls = how;
	log_event(LOG_INFO, &f, "%s with %s, %s%s%s", s->client.tls.version, s->client.peer.text,
		s->client.tls.cipher, s->client.tls.client[0] != '\0' ? ", certificate of " : "",
		s->client.tls.client);
	return true;
}

/* ---- AUTH ------------------------------------------------------------------------------- */

/* Says a challenge and reads the response; R_FINE, or the reply that ends the exchange. */
static enum reply
ask_client(struct session *s, const char *challenge, struct span *line)
{
	say_text(s, "334 ");
	say_text(s, challenge);
	say_text(s, "\r\n");
	enum stream_result res = stream_line(&s->client.stream, LIMIT_AUTH_LINE,
		LIMIT_COMMAND_JUNK, session_patience(s), line);
	switch (res) {
	case STREAM_OK:
		*line = span_trim(*line); /* as behind AUTH itself */
		return span_eq(*line, span_of("*")) ? R_AUTH_GIVEN_UP : R_FINE;
	case STREAM_TOO_LONG:
		return R_AUTH_TOO_LONG;
	case STREAM_BAD:
		return R_AUTH_BAD_TEXT;
	case STREAM_EOF:
	case STREAM_BROKEN:
		s->client.stream.broken = true;
		return R_BYE;
	default:
		return say_to_silence(res);
	}
}

static void
remember_user(struct session *s, const struct auth_text *a)
{
	struct log_fields f = session_event(s, "authenticated");
	struct said *said = &s->client.said;
	snprintf(said->user, sizeof(said->user), "%.*s", (int)sizeof(said->user) - 1, a->text);
	s->client.senders_used = true;
	snprintf(s->client.senders, sizeof(s->client.senders), "%.*s",
		(int)sizeof(s->client.senders) - 1, a->text + strlen(a->text) + 1);
	said->rights = (struct rights){ .any_domain = true, .senders = span_of(s->client.senders),
		.submitter = said->rights.submitter | SUBMITTER_AUTH };
	char name[LIMIT_LOG_TEXT];
	buf_escape_text(name, sizeof(name), span_of(s->client.said.user));
	f.user = name;
	f.mechanism = s->client.mechanism;
	log_event(LOG_INFO, &f, "%s is \"%s\"", s->client.peer.text, name);
}

/* The exchange of one AUTH; `first` is NULL without an initial response. */
static enum reply
authenticate(struct session *s, const char *mechanism, const struct span *first,
	struct auth_text *answer)
{
	struct auth_hello hello = { .secure = s->client.secure, .binding = s->client.tls.binding };
	struct span line;
	snprintf(hello.mechanism, sizeof(hello.mechanism), "%s", mechanism);
	snprintf(hello.client, sizeof(hello.client), "%s", s->client.tls.client);
	auto_fd fd = helper_auth(s->monitor, &hello);
	if (fd < 0)
		return R_AUTH_TROUBLE;
	for (const struct span *said = first;; said = &line) {
		int err = helper_auth_step(fd, said,
			session_deadline(s, s->conf.receive.timeout_command), s->stop, answer);
		if (err < 0)
			return err == -ECANCELED ? R_STOPPING : R_AUTH_TROUBLE;
		if (answer->result != AUTH_CHALLENGE)
			break;
		enum reply r = ask_client(s, answer->text, &line);
		if (r != R_FINE)
			return r;
	}
	if (answer->result == AUTH_DONE) {
		counters_one(COUNTER_AUTH_OK);
		remember_user(s, answer);
		return R_AUTH_OK;
	}
	if (answer->result != AUTH_REFUSED)
		return answer->result == AUTH_BAD_TEXT ? R_AUTH_BAD_TEXT : R_AUTH_TROUBLE;
	counters_one(COUNTER_AUTH_FAILED);
	session_keep(s, QUOTA_AUTH_FAILURES);
	s->client.auth_failures++;
	return R_AUTH_REFUSED;
}

enum reply
secure_auth(struct session *s, struct span arg)
{
	if (!offers_users(s))
		return R_NOT_IMPLEMENTED; /* with TLS, too; else the mechanism says why not */
	if (s->client.said.user[0] != '\0')
		return R_AUTH_AGAIN;
	if (s->client.transaction.open)
		return R_AUTH_LATE;
	const char *blank = memchr(arg.p, ' ', arg.n);
	struct span name = blank != NULL ? span_from(arg.p, blank) : arg;
	struct span first = span_trim(span_skip(arg, name.n));
	enum reply refusal;
	const char *mechanism = offers_mechanism(s, name, &refusal);
	if (mechanism == NULL)
		return R_AUTH_UNKNOWN;
	if (refusal != R_FINE)
		return refusal;
	s->client.mechanism = mechanism;
	if (memchr(first.p, ' ', first.n) != NULL)
		return R_AUTH_SYNTAX;
	/* A client that guesses may not go on in a new connection, nor in many at once. */
	if (!session_take(s, QUOTA_AUTH_FAILURES))
		return R_QUOTA;
	bool empty = span_eq(first, span_of("=")); /* a response, and there is nothing in it */
	if (empty)
		first.n = 0;
	static struct auth_text answer;
	enum reply r = authenticate(s, mechanism, empty || first.n > 0 ? &first : NULL, &answer);
	explicit_bzero(&answer, sizeof(answer));
	session_give_back(s, QUOTA_AUTH_FAILURES); /* unless it was one */
	return r;
}
