#include "session/loop.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/wait.h"
#include "process/counts.h"
#include "process/program.h"
#include "session/commands.h"
#include "session/proxy.h"
#include "session/receive.h"
#include "session/say.h"
#include "session/secure.h"

extern char **environ;

void
loop_forget_environment(void)
{
	static char *kept[2];
	for (char **e = environ; *e != NULL; e++)
		if (strncmp(*e, "TZ=", 3) == 0)
			kept[0] = *e;
		else
			explicit_bzero(*e, strlen(*e));
	environ = kept;
}

/*
 * A client that sends before it was greeted does not listen to replies either (A15). One that may
 * send anywhere is a script in a pipe or of this network, and may.
 */
static bool
spoke_early(const struct session *s)
{
	if (s->client.said.rights.any_domain)
		return false;
	int ready = wait_which(STDIN_FILENO, POLLIN, 0, NULL);
	return stream_pending(&s->client.stream) || (ready > 0 && (ready & POLLHUP) == 0);
}

/*
 * What a stranger sends behind the end of a text, in one go with it, was not written in answer to
 * anything, unless we said that this may be (A14). To be done with us is no harm.
 */
static bool
runs_ahead(const struct session *s)
{
	struct span ahead = stream_ahead(&s->client.stream);
	return !s->client.said.rights.any_domain && !s->client.said.extended && ahead.n > 0 &&
		!span_ieq(ahead, span_of("QUIT\r\n"));
}

/* What a proxy said instead of a header is for the operator to see. */
static void
refuse_proxy(const struct session *s, struct span header)
{
	char text[LIMIT_LOG_TEXT];
	struct log_fields f = session_event(s, "refused");
	buf_escape_text(text, sizeof(text), header);
	counters_one(COUNTER_PROXY_REFUSED);
	log_event(LOG_NOTICE, &f, "refused %s, a proxy: not a PROXY header: \"%s\"",
		s->client.peer.text, text);
}

/* Reads what the proxy says of its client (proxy.h). False: nothing that can be believed. */
static bool
learn_from_proxy(struct session *s)
{
	char header[PROXY_MAX];
	struct netaddr client;
	enum proxy_result r = PROXY_MORE;
	int64_t until = session_deadline(s, s->conf.tls.timeout);
	size_t n = 0;
	for (size_t used; r == PROXY_MORE && n < sizeof(header);) {
		if (stream_octet(&s->client.stream, until, &header[n]) != STREAM_OK)
			break;
		n++;
		r = proxy_parse((struct span){ header, n }, &used, &client);
	}
	if (r == PROXY_CLIENT)
		peer_become(&s->client.peer, &client);
	else if (r == PROXY_ITSELF)
		peer_stay_proxy(&s->client.peer);
	else if (n > 0)
		refuse_proxy(s, (struct span){ header, n });
	else
		session_lost(s, "CONNECT", "that is a proxy and did not say for whom it speaks");
	return r == PROXY_CLIENT || r == PROXY_ITSELF;
}

/*
 * What it may do follows from where it is; that it came is logged and counted. Whose it is must be
 * known for that: what comes by a proxy is not the proxy's.
 */
static void
receive_client(struct session *s, bool known)
{
	session_forget(s);
	if (known && !peer_is_local(&s->client.peer, &s->conf.receive))
		quota_client(&s->client.quota, &s->client.peer.addr, s->conf.receive.limit_window);
	struct log_fields f = session_event(s, "connected");
	log_event(LOG_INFO, &f, "connection from %s", s->client.peer.text);
	session_count(s, QUOTA_CONNECTIONS, 1);
}

/* Does this connection begin with a handshake? A reply before it would be of no use. */
static bool
begins_secure(const struct session *s)
{
	return s->conf.tls.mode == TLS_IMPLICIT && s->client.peer.socket;
}

static void
refuse_without_word(const struct session *s, const char *why)
{
	counters_one(COUNTER_UNGREETED);
	struct log_fields f = session_event(s, "refused");
	log_event(LOG_NOTICE, &f, "refused %s: %s", s->client.peer.text, why);
}

/*
 * Is there room for it beside all others of its network? A client with the rights of this host has
 * it; a proxy's is asked for when it is known, by its own address.
 */
static bool
has_room(const struct session *s)
{
	return peer_is_local(&s->client.peer, &s->conf.receive) ||
		sources_take(&s->source, sources_network(&s->client.peer.addr),
			s->conf.busy.per_source);
}

/* What there is against this connection; R_GREETING: nothing. */
static enum reply
admit(const struct session *s)
{
	if (!session_may(s, QUOTA_CONNECTIONS))
		return R_QUOTA;
	return has_room(s) ? R_GREETING : R_SOURCE;
}

/* Finds out who the client is and what it may do. False: the connection ends. */
static bool
meet_client(struct session *s)
{
	if (peer_is_proxy(&s->client.peer, &s->conf.receive) && !learn_from_proxy(s))
		return false;
	receive_client(s, true);
	if (!begins_secure(s))
		return true;
	enum reply r = admit(s);
	if (r == R_GREETING)
		return secure_handshake(s);
	/* A reply would cost the handshake that is to be saved. */
	refuse_without_word(s, r == R_QUOTA ? "too many connections from its network"
					    : "too many connections from its network at once");
	return false;
}

static enum reply
greeting(struct session *s)
{
	enum reply r = admit(s);
	return r == R_GREETING && spoke_early(s) ? R_TOO_EARLY : r;
}

/* What there is to know of a session only when it is over. */
static void
count_end(const struct session *s, int64_t began)
{
	struct log_fields f = session_event(s, "disconnected");
	if (!s->client.secure)
		counters_one(COUNTER_SESSIONS_CLEAR);
	counters_time(COUNTER_SESSION_TIME, clock_ms() - began);
	/* One line less for those who do not pair the ends of a connection. */
	if (log_is_shaped())
		log_event(LOG_INFO, &f, "%s has gone", s->client.peer.text);
}

void
loop_converse(struct session *s)
{
	int64_t began = clock_ms();
	counters_one(COUNTER_CONNECTIONS);
	bool more = meet_client(s) && say_and_count(s, greeting(s), span_of("greeting"));
	while (more) {
		struct span line = { 0 };
		enum stream_result res = stream_line(&s->client.stream, LIMIT_COMMAND,
			LIMIT_COMMAND_JUNK, session_patience(s), &line);
		if (res == STREAM_EOF || res == STREAM_BROKEN) {
			if (s->client.transaction.open)
				session_lost(s, "MAIL", "in a transaction; it was dropped");
			else if (s->client.stream.broken)
				session_lost(s, "EHLO", "between two messages");
			break;
		}
		commands_hush(s, line);
		struct span shown = commands_loggable(s, line);
		enum reply r = commands_answer(s, res, line);
		more = say_and_count(s, r, shown);
		if (more && r == R_START_DATA)
			more = receive_message(s) && (!runs_ahead(s) ||
				say_and_count(s, R_TOO_EARLY, span_of("end of text")));
		else if (more && r == R_START_TLS)
			more = secure_handshake(s);
	}
	session_drop(s);
	(void)stream_flush(&s->client.stream, session_deadline(s, s->conf.receive.timeout_command));
	if (s->client.linger)
		stream_linger(&s->client.stream, LIMIT_LINGER, clock_deadline(LIMIT_LINGER_TIME));
	count_end(s, began);
}

/* In this process, for the page is one that each has to ask the kernel for. */
void
loop_begin_to_count(const struct session *s)
{
	struct log_fields f = { .event = "limits" };
	if (!counters_fit())
		log_event(LOG_WARNING, &f, "runtime %s: " COUNTS_FOREIGN ": no counters are kept",
			s->conf.who.runtime);
}

/* Whoever comes then takes no time: neither the word of a proxy nor a handshake is waited for. */
void
loop_turn_away(struct session *s)
{
	counters_one(COUNTER_CONNECTIONS);
	receive_client(s, !peer_is_proxy(&s->client.peer, &s->conf.receive));
	bool may = session_may(s, QUOTA_CONNECTIONS);
	if (begins_secure(s))
		refuse_without_word(s, "too many connections");
	else
		(void)say_and_count(s, may ? R_CROWDED : R_QUOTA, span_of("greeting"));
	(void)stream_flush(&s->client.stream, clock_deadline(LIMIT_LINGER_TIME));
}

int
loop_main(struct session *s, const struct peer *peer)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* there is no session without its monitor */
	log_reconnect_by(helper_log, s->monitor);
	loop_begin_to_count(s);
	session_begin(s, peer);
	struct log_fields f = { .event = "sandbox" };
	if (!program_lock_in(SANDBOX_SESSION, &s->spool, s->monitor, &f)) {
		say_reply(s, R_NO_SESSION);
		int64_t until = session_deadline(s, s->conf.receive.timeout_command);
		(void)stream_flush(&s->client.stream, until);
		return EX_TEMPFAIL;
	}
	loop_converse(s);
	session_end(s);
	return EXIT_SUCCESS;
}
