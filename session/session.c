#include "session/session.h"

#include <unistd.h>

#include "lib/clock.h"

void
session_begin(struct session *s, const struct peer *peer)
{
	struct client *c = &s->client;
	c->peer = *peer;
	c->quota = s->counts;
	transaction_init(&c->transaction);
	c->tls_ready = -1;
	c->end = clock_deadline(s->conf.receive.timeout_session);
	stream_init(&c->stream, STDIN_FILENO, STDOUT_FILENO, session_is_lenient(s), s->stop);
	session_progress(s);
}

void
session_end(struct session *s)
{
	struct client *c = &s->client;
	session_drop(s);
	sources_leave(&s->source);
	if (c->tls_ready >= 0)
		close(c->tls_ready);
	transaction_wipe(&c->transaction);
	stream_wipe(&c->stream);
	if (c->senders_used)
		explicit_bzero(c->senders, sizeof(c->senders));
	explicit_bzero(c, offsetof(struct client, transaction));
}

bool
session_is_lenient(const struct session *s)
{
	return !s->client.peer.socket && peer_is_direct(&s->client.peer, &s->conf.receive);
}

int64_t
session_deadline(const struct session *s, int64_t seconds)
{
	return clock_earlier(clock_deadline(seconds), s->client.end);
}

int64_t
session_rate(const struct session *s)
{
	const struct conf_receive *c = &s->conf.receive;
	return s->client.data_start + c->timeout_data * 1000 +
	       s->client.transaction.size / c->min_data_rate * 1000;
}

int64_t
session_patience(const struct session *s)
{
	int64_t until = session_deadline(s, s->conf.receive.timeout_command);
	bool in_chunks = s->client.transaction.open && s->client.transaction.chunked;
	if (in_chunks) /* the time between them counts, or one octet each time would do */
		return clock_earlier(until, session_rate(s));
	return s->client.said.rights.any_domain ? until : clock_earlier(until, s->client.idle_end);
}

void
session_progress(struct session *s)
{
	s->client.idle = 0;
	s->client.errors = 0; /* a host may keep its connection for more than one message */
	s->client.idle_end = clock_deadline(LIMIT_STRANGER_TIME);
}

bool
session_count_idle(struct session *s)
{
	long most =
		s->client.said.rights.any_domain ? LIMIT_IDLE_COMMANDS : LIMIT_STRANGER_COMMANDS;
	return ++s->client.idle <= most;
}

struct log_fields
session_event(const struct session *s, const char *name)
{
	const struct transaction *t = &s->client.transaction;
	const struct said *said = &s->client.said;
	return (struct log_fields){ .event = name, .queue_id = t->open ? t->draft.id : NULL,
		.sender = t->open ? t->sender : NULL, .client = s->client.peer.text,
		.protocol = said->helo[0] == '\0' ? NULL : said->extended ? "ESMTP" : "SMTP" };
}

void
session_forget(struct session *s)
{
	const struct conf_receive *c = &s->conf.receive;
	bool local = peer_is_local(&s->client.peer, c);
	session_drop(s);
	s->client.said = (struct said){ 0 };
	if (!peer_may_relay(&s->client.peer, c))
		return;
	s->client.said.rights.any_domain = true;
	s->client.said.rights.submitter = local ? SUBMITTER_LOCAL : SUBMITTER_NETS;
}

void
session_lost(struct session *s, const char *after, const char *where)
{
	struct log_fields f = session_event(s, "lost");
	f.command = after;
	counters_one(COUNTER_SESSIONS_LOST);
	log_event(LOG_NOTICE, &f, "lost connection from %s %s", s->client.peer.text, where);
}

/* What a client's network may do; 0: anything. */
static int64_t
limit_of(const struct conf *c, enum quota_kind kind)
{
	switch (kind) {
	case QUOTA_CONNECTIONS:
		return c->receive.limit_connections;
	case QUOTA_MESSAGES:
		return c->receive.limit_messages;
	case QUOTA_RECIPIENTS:
		return c->receive.limit_recipients;
	case QUOTA_ERRORS:
		return c->receive.limit_errors;
	default:
		return c->receive.limit_auth_failures;
	}
}

void
session_count(struct session *s, enum quota_kind kind, int64_t n)
{
	(void)quota_add(&s->client.quota, kind, n);
}

bool
session_may(const struct session *s, enum quota_kind kind)
{
	int64_t limit = limit_of(&s->conf, kind);
	return limit == 0 || s->client.quota.window == 0 ||
	       quota_count(&s->client.quota, kind) <= limit;
}

bool
session_take(struct session *s, enum quota_kind kind)
{
	return quota_take(&s->client.quota, kind, limit_of(&s->conf, kind), &s->client.held[kind]);
}

void
session_give_back(struct session *s, enum quota_kind kind)
{
	quota_give_back(&s->client.quota, kind, &s->client.held[kind]);
}

void
session_give_one_back(struct session *s, enum quota_kind kind)
{
	struct quota_held *held = &s->client.held[kind], one = *held;
	if (held->n == 0)
		return;
	one.n = 1;
	held->n--;
	quota_give_back(&s->client.quota, kind, &one);
}

void
session_keep(struct session *s, enum quota_kind kind)
{
	s->client.held[kind] = (struct quota_held){ 0 };
}

void
session_drop(struct session *s)
{
	transaction_drop(&s->client.transaction);
	session_give_back(s, QUOTA_MESSAGES);
	session_give_back(s, QUOTA_RECIPIENTS);
}
