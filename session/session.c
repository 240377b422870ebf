#include "session/session.h"

#include "lib/clock.h"

bool
session_is_lenient(const struct session *s)
{
	return !s->peer.socket && peer_is_direct(&s->peer, &s->conf.receive);
}

int64_t
session_deadline(const struct session *s, int64_t seconds)
{
	return clock_earlier(clock_deadline(seconds), s->end);
}

/* Chunks have a rate to keep, whatever the time between them. */
int64_t
session_patience(const struct session *s)
{
	int64_t until = session_deadline(s, s->conf.receive.timeout_command);
	bool in_chunks = s->transaction.open && s->transaction.chunked;
	return s->said.rights.any_domain || in_chunks ? until : clock_earlier(until, s->idle_end);
}

void
session_progress(struct session *s)
{
	s->idle = 0;
	s->idle_end = clock_deadline(LIMIT_STRANGER_TIME);
}

bool
session_count_idle(struct session *s)
{
	long most = s->said.rights.any_domain ? LIMIT_IDLE_COMMANDS : LIMIT_STRANGER_COMMANDS;
	return ++s->idle <= most;
}

struct log_fields
session_event(const struct session *s, const char *name)
{
	const struct transaction *t = &s->transaction;
	return (struct log_fields){ .event = name, .queue_id = t->open ? t->draft.id : NULL,
		.sender = t->open ? t->sender : NULL };
}

void
session_forget(struct session *s)
{
	session_drop(s);
	s->said = (struct said){ .rights.any_domain = peer_may_relay(&s->peer, &s->conf.receive) };
}

void
session_lost(struct session *s, const char *where)
{
	struct log_fields f = session_event(s, "lost");
	counters_one(COUNTER_SESSIONS_LOST);
	log_event(LOG_NOTICE, &f, "lost connection from %s %s", s->peer.text, where);
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
	(void)quota_add(&s->quota, kind, n);
}

bool
session_may(const struct session *s, enum quota_kind kind)
{
	int64_t limit = limit_of(&s->conf, kind);
	return limit == 0 || s->quota.window == 0 || quota_count(&s->quota, kind) <= limit;
}

bool
session_take(struct session *s, enum quota_kind kind)
{
	return quota_take(&s->quota, kind, limit_of(&s->conf, kind), &s->held[kind]);
}

void
session_give_back(struct session *s, enum quota_kind kind)
{
	quota_give_back(&s->quota, kind, &s->held[kind]);
}

void
session_keep(struct session *s, enum quota_kind kind)
{
	s->held[kind] = (struct quota_held){ 0 };
}

void
session_drop(struct session *s)
{
	transaction_drop(&s->transaction);
	session_give_back(s, QUOTA_MESSAGES);
	session_give_back(s, QUOTA_RECIPIENTS);
}
