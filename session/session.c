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
	transaction_drop(&s->transaction);
	s->said = (struct said){ .rights.any_domain = peer_may_relay(&s->peer, &s->conf.receive) };
}

void
session_lost(struct session *s, const char *where)
{
	struct log_fields f = session_event(s, "lost");
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
session_may(const struct session *s, enum quota_kind kind, int64_t n)
{
	int64_t limit = limit_of(&s->conf, kind);
	return limit == 0 || s->quota.window == 0 || quota_count(&s->quota, kind) + n <= limit;
}
