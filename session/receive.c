#include "session/receive.h"

#include <errno.h>
#include <stdio.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/request.h"
#include "session/arguments.h"
#include "session/say.h"

/* A chunk of more than this times max_size is not read to its end only to be refused. */
enum { CHUNK_EXCESS = 4 };

/* Tells the monitor which lanes have new mail. If it is gone, the timer will find the message. */
static void
announce(struct session *s)
{
	const struct draft *d = &s->client.transaction.draft;
	for (int i = 0; i < d->lanes; i++) {
		struct request r = { .kind = REQUEST_RELAY };
		snprintf(r.lane, sizeof(r.lane), "%s", d->lane[i]);
		if (request_send(s->monitor, &r, NULL, 0) < 0)
			return;
	}
}

/* The spool failed, which is for the operator to mend. */
static void
log_failure(struct session *s, int err)
{
	struct log_fields f = session_event(s, "refused");
	counters_one(COUNTER_SPOOL_FAILURES);
	log_event(LOG_ERR, &f, "%s: not queued: spool: %s; the client was told to try again",
		s->client.transaction.draft.id, strerror(-err));
}

static void
count_message(const struct transaction *t)
{
	counters_one(COUNTER_MESSAGES_ACCEPTED);
	counters_add(COUNTER_RECIPIENTS_ACCEPTED, (uint64_t)t->draft.recipients);
	counters_add(COUNTER_OCTETS_ACCEPTED, (uint64_t)t->size);
}

/* One line about a message in which an address is not as the client wrote it. */
static void
log_changes(struct session *s)
{
	enum { CHANGES = SUBMIT_CHANGES + REWRITE_LOG + 2 };
	struct log_fields f = session_event(s, "rewritten");
	auto_buf b = buf_new(CHANGES);
	submit_changes(&s->client.transaction.submit, &b);
	if (b.n > 0)
		log_event(LOG_INFO, &f, "%s: rewritten: %.*s", s->client.transaction.draft.id,
			(int)b.n, b.p);
}

/* With who sent it, how long it is, what was added to it and which one it is to its sender. */
static void
log_accepted(struct session *s, const struct transaction *t)
{
	char size[24], recipients[16], user[LIMIT_LOG_TEXT], added[REWRITE_NAMES];
	char id[MESSAGE_ID_TEXT];
	struct log_fields f = session_event(s, "accepted");
	rewrite_names(submit_added(&t->submit), added);
	snprintf(size, sizeof(size), "%lld", (long long)t->size);
	snprintf(recipients, sizeof(recipients), "%d", t->draft.recipients);
	f.size = size;
	f.recipients = recipients;
	transaction_message_id(t, id);
	f.message_id = id[0] != '\0' ? id : NULL;
	if (s->client.said.user[0] != '\0') {
		buf_escape_text(user, sizeof(user), span_of(s->client.said.user));
		f.user = user;
		f.mechanism = s->client.mechanism;
	}
	log_event(LOG_INFO, &f,
		"%s: accepted from %s, sender <%s>, %d recipient%s, %lld octets%s%s%s%s%s",
		t->draft.id, s->client.peer.text, t->sender, t->draft.recipients,
		t->draft.recipients == 1 ? "" : "s", (long long)t->size,
		id[0] != '\0' ? ", Message-ID <" : "", id, id[0] != '\0' ? ">" : "",
		added[0] != '\0' ? ", added " : "", added);
}

/* The end of the data was read: queues the message, or refuses it. */
static enum reply
finish_data(struct session *s)
{
	struct transaction *t = &s->client.transaction;
	int err;
	enum reply r = transaction_finish(t, &err);
	if (r == R_QUEUED) {
		count_message(&s->client.transaction);
		announce(s);
		session_keep(s, QUOTA_MESSAGES);
		session_keep(s, QUOTA_RECIPIENTS);
		session_progress(s);
		log_accepted(s, t);
		log_changes(s);
	} else if (err < 0) {
		log_failure(s, err);
	}
	return r;
}

/* RFC 3848; RFC 6531 section 4.3, where SMTPUTF8 was needed. */
static const char *
with_keyword(const struct session *s, bool utf8)
{
	static const char *const words[2][2][2] = { /* SMTPUTF8, TLS, AUTH */
		{ { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
		{ { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } },
	};
	bool known = s->client.said.user[0] != '\0';
	bool extended =
		s->client.said.extended || s->client.transaction.utf8 || s->client.secure || known;
	return extended ? words[utf8][s->client.secure][known] : "SMTP";
}

static void
start_data(struct session *s, bool chunked)
{
	const struct peer *p = &s->client.peer;
	struct trace trace = { .helo = s->client.said.helo,
		.peer = p->place == PEER_AT ? p->text : NULL,
		.hostname = s->conf.who.hostname,
		.with = with_keyword(s, false),
		.with_utf8 = with_keyword(s, true),
		.cipher = s->client.secure ? s->client.tls.cipher : NULL };
	if (peer_is_user(p, &s->conf.receive))
		snprintf(trace.user, sizeof(trace.user), "uid=%u", p->uid);
	transaction_start_data(&s->client.transaction, &trace, chunked, session_is_lenient(s));
	s->client.data_start = clock_ms();
}

/* A client has timeout_data for the next octet, and a rate to keep. */
static int64_t
data_deadline(const struct session *s)
{
	return clock_earlier(session_deadline(s, s->conf.receive.timeout_data), session_rate(s));
}

/* Reads a message. STREAM_OK and a reply, or how the connection ended; then nothing is queued. */
static enum stream_result
receive_data(struct session *s, enum reply *reply)
{
	start_data(s, false);
	for (enum dot_result end = DOT_MORE; end == DOT_MORE;) {
		struct span bytes;
		size_t used;
		enum stream_result res = stream_bytes(&s->client.stream, data_deadline(s), &bytes);
		if (res != STREAM_OK)
			return res;
		end = transaction_data(&s->client.transaction, bytes, &used);
		stream_used(&s->client.stream, used);
	}
#ifdef BREAK_EARLY_250 /* set only by the test that proves the power-cut test can fail */
	say_reply(s, R_QUEUED);
	(void)stream_flush(&s->client.stream, session_deadline(s, s->conf.receive.timeout_command));
#endif
	*reply = finish_data(s);
	return STREAM_OK;
}

/* Takes what was read of a chunk. */
static enum reply
take_chunk(struct session *s, struct span bytes)
{
	enum reply r = transaction_chunk(&s->client.transaction, bytes);
	if (r == R_QUEUE_FULL || r == R_QUEUE_ERROR)
		log_failure(s, s->client.transaction.draft.err);
	return r;
}

/*
 * Reads a chunk, to its end whatever is wrong with it (RFC 3030 section 2). *reply is what was said
 * against it before, or R_CHUNK_OK; a message that is refused is over.
 */
static enum stream_result
receive_chunk(struct session *s, int64_t left, bool last, enum reply *reply)
{
	while (left > 0) {
		struct span bytes;
		enum stream_result res = stream_bytes(&s->client.stream, data_deadline(s), &bytes);
		if (res != STREAM_OK)
			return res;
		if ((int64_t)bytes.n > left)
			bytes.n = (size_t)left;
		if (*reply == R_CHUNK_OK)
			*reply = take_chunk(s, bytes);
		else
			s->client.transaction.size +=
				(int64_t)bytes.n; /* data_deadline counts it */
		stream_used(&s->client.stream, bytes.n);
		left -= (int64_t)bytes.n;
	}
	if (last && *reply == R_CHUNK_OK)
		*reply = finish_data(s);
	return STREAM_OK;
}

enum reply
receive_bdat(struct session *s, struct span arg)
{
	int64_t octets;
	bool last;
	if (!arguments_bdat(arg, &octets, &last))
		return R_BDAT_SYNTAX;
	if (octets / CHUNK_EXCESS > s->conf.receive.max_size)
		return R_CHUNK_TOO_LARGE;
	if (octets == 0 && !last && !session_count_idle(s))
		return R_IDLE_COMMANDS;
	enum reply r = transaction_ready(&s->client.transaction, true);
	if (r == R_START_DATA)
		r = R_CHUNK_OK;
	if (r == R_CHUNK_OK && !s->client.transaction.chunked)
		start_data(s, true);
	if (r != R_CHUNK_OK) { /* its octets are read and dropped, at the same rate */
		s->client.data_start = clock_ms();
		s->client.transaction.size = 0;
	}
	enum stream_result res = receive_chunk(s, octets, last, &r);
	if (res == STREAM_EOF || res == STREAM_BROKEN) {
		session_lost(s, "DATA", "in a message; nothing was queued");
		s->client.stream.broken = true;
	} else if (res != STREAM_OK) {
		r = say_to_silence(res);
	}
	if (r != R_CHUNK_OK) /* queued or refused: the chunks that may follow are of no message */
		session_drop(s);
	return r;
}

bool
receive_message(struct session *s)
{
	enum reply r;
	enum stream_result res = receive_data(s, &r);
	if (res == STREAM_EOF || res == STREAM_BROKEN) {
		session_lost(s, "DATA", "in a message; nothing was queued");
		return false;
	}
	if (res != STREAM_OK)
		r = say_to_silence(res);
	bool more = say_and_count(s, r, span_of("message"));
	session_drop(s);
	return more;
}
