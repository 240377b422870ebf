#include "sending/sending.h"

#include <stdio.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

enum {
	START_DATA = 354,
	SERVICE_CLOSES = 421,
	BUSY = 450,
	TROUBLE = 451,     /* this and BUSY to RCPT: a greylist, perhaps */
	NO_ROOM = 452,     /* to RCPT: one too many for this transaction (RFC 5321 section 4.5.3.1.10) */
	TOO_MANY = 552,    /* ... said by old hosts */
	/* Replies that may be owed while we still send: together they fit into the smallest receive
	 * buffer, so the host never has to wait for us to read while we wait for it (64 octets each). */
	REPLIES_OWED = 1000,
};

/* ---- outcomes ---------------------------------------------------------------------------- */

static void
settle(struct link *l, struct rcpt *r, enum outcome o)
{
	r->outcome = o;
	r->taker.dsn = link_can(l, CAN_DSN);
	r->taker.deliverby = link_can(l, CAN_DELIVERBY);
	r->taker.final = link_is_final(l);
	buf_reset(&r->text);
	buf_printf(&r->text, "%s: ", l->terms.name);
	buf_add(&r->text, buf_span(&l->text));
}

/* Recipients that the host accepted, and about which nothing more was said, get this outcome. */
static void
settle_accepted(struct link *l, struct job *j, enum outcome o)
{
	for (int i = j->replied; i < j->n; i++)
		if (j->to[i]->outcome == DONE)
			settle(l, j->to[i], o);
}

/* As if it had never been started. */
static void
forget(struct job *j)
{
	j->end = JOB_UNTRIED;
	for (int i = 0; i < j->n; i++) {
		j->to[i]->outcome = SOFT;
		buf_reset(&j->to[i]->text);
	}
}

static void
blame(struct link *l, struct job *j)
{
	j->end = JOB_LOST;
	if (j->sent)
		buf_puts(&l->text, " (it may have been delivered: possible duplicate)");
	settle_accepted(l, j, SOFT);
}

/*
 * The connection is of no more use, for the reason in l->text: the job it broke in, and those behind it.
 * After a polite end, or where it was kept too long, nobody is to blame. Who says 421 took nothing of what he
 * had not answered; otherwise nobody knows.
 */
static void
lose(struct link *l)
{
	bool polite = l->code == SERVICE_CLOSES, guilty = !polite && !l->idle && !l->flow.full;
	link_close(l);
	for (struct job *j = l->flow.first; j != NULL; j = j->next) {
		if (j->end != JOB_OPEN)
			continue;
		j->sent = j->sent && !polite;
		if (guilty)
			blame(l, j);
		else
			forget(j);
		guilty = false;
	}
}

static void
answered(struct link *l, struct job *j)
{
	if (j->turned_away)
		forget(j);
	else
		j->end = JOB_ANSWERED;
	if (l->code == SERVICE_CLOSES)
		lose(l);
}

/* ---- commands ---------------------------------------------------------------------------- */

static void
put(struct link *l, const char *text, int64_t seconds)
{
	link_put(l, span_of(text), seconds);
}

/* " KEY=value", if there is a value. */
static void
put_parameter(struct link *l, const char *key, struct span value)
{
	if (value.n == 0)
		return;
	put(l, key, l->terms.conf->timeout_mail);
	link_put(l, value, l->terms.conf->timeout_mail);
}

static void
put_number(struct link *l, const char *key, int64_t number, const char *rest)
{
	char text[64];
	snprintf(text, sizeof(text), "%lld%s", (long long)number, rest);
	put_parameter(l, key, span_of(text));
}

/* The truth, whatever the client called its text (RFC 6152 section 3). */
static enum body
body_of(const struct text *t)
{
	if (t->converted)
		return BODY_UNSAID;
	return t->m->eightbit && t->m->env.body != BODY_BINARYMIME ? BODY_8BITMIME : t->m->env.body;
}

static void
put_mail(struct link *l, const struct text *t)
{
	const struct envelope *e = &t->m->env;
	put(l, "MAIL FROM:<", l->terms.conf->timeout_mail);
	link_put(l, e->sender, l->terms.conf->timeout_mail);
	put(l, ">", l->terms.conf->timeout_mail);
	if (link_can(l, CAN_SIZE))
		put_number(l, " SIZE=", (int64_t)t->length, "");
	if (link_can(l, CAN_8BITMIME) || body_of(t) == BODY_BINARYMIME)
		put_parameter(l, " BODY=", span_of(body_word(body_of(t))));
	if (e->utf8)
		put(l, " SMTPUTF8", l->terms.conf->timeout_mail);
	if (link_can(l, CAN_DSN)) {
		put_parameter(l, " RET=", span_of(ret_word(e->ret)));
		put_parameter(l, " ENVID=", e->envid);
	}
	if (link_can(l, CAN_DELIVERBY) && e->by != 0) {
		char mode[] = { ';', e->by_mode, e->by_trace ? 'T' : '\0', '\0' };
		put_number(l, " BY=", e->by - clock_wall(), mode);
	}
	if (link_can(l, CAN_PRIORITY) && e->priority != 0)
		put_number(l, " MT-PRIORITY=", e->priority, "");
	if (e->require_tls) /* or it would not be on its way (body_fit) */
		put(l, " REQUIRETLS", l->terms.conf->timeout_mail);
	put(l, "\r\n", l->terms.conf->timeout_mail);
}

static void
put_rcpt(struct link *l, const struct rcpt *r)
{
	put(l, "RCPT TO:<", l->terms.conf->timeout_rcpt);
	link_put(l, r->address, l->terms.conf->timeout_rcpt);
	put(l, ">", l->terms.conf->timeout_rcpt);
	if (link_can(l, CAN_DSN)) {
		auto_buf notify = buf_new(LIMIT_REPLY_LINE);
		notify_words(r->terms.notify, &notify);
		put_parameter(l, " NOTIFY=", buf_span(&notify));
		put_parameter(l, " ORCPT=", r->terms.orcpt);
	}
	put(l, "\r\n", l->terms.conf->timeout_rcpt);
}

static void
put_envelope(struct link *l, const struct job *j)
{
	put_mail(l, &j->text);
	for (int i = 0; i < j->n; i++)
		put_rcpt(l, j->to[i]);
}

/* ---- replies ----------------------------------------------------------------------------- */

/* After some messages a host may want no more by this connection, and says 421 or 452 to MAIL. */
static bool
is_full(const struct link *l)
{
	return l->flow.delivered > 0 && (l->code == SERVICE_CLOSES || l->code == NO_ROOM);
}

/* It is never refused (RFC 5321 section 4.1.1.5): what is not 2yz was an answer to something else. */
static bool
read_reset(struct link *l)
{
	return link_reply(l, "RSET", l->terms.conf->timeout_mail) == 0 && link_outcome(l->code) == DONE;
}

/*
 * To MAIL and each RCPT. False: the connection is lost. In lock step the command before each reply is
 * still to be sent.
 */
static bool
read_envelope(struct link *l, struct job *j, bool lock_step)
{
	const struct conf *conf = l->terms.conf;
	if (link_reply(l, "MAIL", conf->timeout_mail) < 0)
		return false;
	enum outcome mail = link_outcome(l->code);
	j->turned_away = is_full(l);
	l->flow.full = l->flow.full || j->turned_away;
	if (j->turned_away && l->code == SERVICE_CLOSES && !lock_step)
		return false;
	for (int i = 0; i < j->n; i++)
		settle(l, j->to[i], mail);
	for (int i = 0; i < j->n && (mail == DONE || !lock_step); i++) {
		if (lock_step)
			put_rcpt(l, j->to[i]);
		if (link_reply(l, "RCPT", conf->timeout_rcpt) < 0)
			return false;
		if (mail == DONE)
			settle(l, j->to[i], l->code == TOO_MANY ? SOFT : link_outcome(l->code));
		j->to[i]->grey = mail == DONE && (l->code == BUSY || l->code == TROUBLE);
		j->to[i]->crowded = j->accepted > 0 && (l->code == NO_ROOM || l->code == TOO_MANY);
		j->accepted += j->to[i]->outcome == DONE;
	}
	return true;
}

/* Nothing of it is to go any further: the host forgets it. */
static void
give_up(struct link *l, struct job *j)
{
	if (l->code == SERVICE_CLOSES) {
		answered(l, j);
		return;
	}
	put(l, "RSET\r\n", l->terms.conf->timeout_mail);
	if (read_reset(l))
		answered(l, j);
	else
		lose(l);
}

/* It can go by BDAT only. */
static bool
is_binary(const struct job *j)
{
	return j->m->env.body == BODY_BINARYMIME && !j->text.converted;
}

/* LMTP has a reply for each recipient that was accepted, in their order (RFC 2033 section 4.2). */
static void
read_each_end(struct link *l, struct job *j)
{
	for (int i = 0; i < j->n; i++) {
		if (j->to[i]->outcome != DONE)
			continue;
		if (link_reply(l, "end of data", l->terms.conf->timeout_data_end) < 0) {
			lose(l);
			return;
		}
		settle(l, j->to[i], link_outcome(l->code));
		j->replied = i + 1;
	}
	l->flow.delivered += sending_any_done(j);
	answered(l, j);
}

/* To the end of the message. */
static void
read_end(struct link *l, struct job *j)
{
	if (l->terms.conf->protocol == PROTOCOL_LMTP && j->accepted > 0) {
		read_each_end(l, j);
		return;
	}
	if (link_reply(l, "end of data", l->terms.conf->timeout_data_end) < 0) {
		lose(l);
		return;
	}
	enum outcome o = link_outcome(l->code);
	l->flow.delivered += j->accepted > 0 && o == DONE;
	settle_accepted(l, j, o);
	if (is_binary(j) && !j->windowed && o != DONE)
		give_up(l, j); /* what fails in BDAT is not over (RFC 3030 section 2) */
	else
		answered(l, j);
}

/* ---- ways to send ------------------------------------------------------------------------ */

/* It broke off. A host that had enough may have said so, and that counts more than our broken pipe (F10). */
static void
lose_in_body(struct link *l, struct job *j)
{
	if (l->stream.broken && link_is_spoiled(l) && (!j->windowed || read_envelope(l, j, false)) &&
		link_reply(l, "sending the message", l->terms.conf->timeout_quit) == 0 &&
		link_outcome(l->code) == HARD)
		settle_accepted(l, j, HARD);
	lose(l);
}

static void
put_body(struct link *l, struct job *j)
{
	j->sent = is_binary(j) ? body_put_chunk(l, &j->text) : body_put_lines(l, &j->text);
	if (!j->sent)
		lose_in_body(l, j);
}

/* The reply to DATA is in l->code: the message, or what else is to be done. */
static void
follow_data(struct link *l, struct job *j)
{
	if (l->code == START_DATA && stream_pending(&l->stream)) { /* or it would be taken for that to the end */
		link_say(l, "DATA", "the host said more than its reply");
		lose(l);
	} else if (l->code == START_DATA && j->accepted > 0) {
		put_body(l, j);
	} else if (l->code == START_DATA && l->terms.conf->protocol == PROTOCOL_LMTP) {
		link_say(l, "DATA", "taken though nobody is to get it"); /* and no reply would follow */
		lose(l);
	} else if (l->code == START_DATA) { /* taken though nobody is to get it (RFC 2920 section 3.1) */
		put(l, ".\r\n", l->terms.conf->timeout_data_block);
	} else {
		settle_accepted(l, j, link_outcome(l->code) == HARD ? HARD : SOFT);
		give_up(l, j);
	}
}

static void
send_in_lock_step(struct link *l, struct job *j)
{
	put_mail(l, &j->text);
	if (!read_envelope(l, j, true))
		lose(l);
	else if (j->accepted == 0)
		give_up(l, j);
	else if (is_binary(j)) /* BDAT needs no leave */
		put_body(l, j);
	else if (link_ask(l, "DATA", "", l->terms.conf->timeout_data_start) < 0)
		lose(l);
	else
		follow_data(l, j);
}

/* The job before j whose end is owed, and there is one at most; jobs that did not fit may stand between. */
static struct job *
owed_before(const struct link *l, const struct job *j)
{
	struct job *before = l->flow.first;
	while (before != j && before->end != JOB_OPEN)
		before = before->next;
	return before != j ? before : NULL;
}

/* The end of the job before, if it is still owed, and this one's envelope are one group. */
static void
send_in_group(struct link *l, struct job *j)
{
	struct job *before = owed_before(l, j);
	put_envelope(l, j);
	put(l, "DATA\r\n", l->terms.conf->timeout_data_start);
	if (before != NULL)
		read_end(l, before);
	if (l->fd < 0)
		return;
	if (!read_envelope(l, j, false) || link_reply(l, "DATA", l->terms.conf->timeout_data_start) < 0)
		lose(l);
	else
		follow_data(l, j);
}

/* What fails is over before the next one (RFC 3030 section 2 leaves that to us). */
static void
send_in_window(struct link *l, struct job *j)
{
	j->windowed = true;
	put_envelope(l, j);
	j->sent = body_put_chunk(l, &j->text);
	if (j->sent)
		put(l, "RSET\r\n", l->terms.conf->timeout_mail);
	l->flow.cut = !j->sent; /* replies to those before it may still come */
}

/* ---- jobs -------------------------------------------------------------------------------- */

static struct span
domain_of(struct span address)
{
	const char *at = memrchr(address.p, '@', address.n);
	return at != NULL ? span_from(at, address.p + address.n) : address;
}

static bool
has_domain(const struct job *j, struct span domain)
{
	for (int i = 0; i < j->n; i++)
		if (span_ieq(domain_of(j->to[i]->address), domain))
			return true;
	return false;
}

bool
sending_is_open(const struct link *l)
{
	int64_t most = l->host.limit.mails;
	return l->fd >= 0 && !l->flow.cut && !l->flow.full && (most == 0 || l->flow.begun < most);
}

bool
sending_add(const struct link *l, struct job *j, struct rcpt *to)
{
	if (j->n == JOB_RCPTS || (l->host.limit.rcpts != 0 && j->n >= l->host.limit.rcpts))
		return false;
	if (l->host.limit.domains != 0 && !has_domain(j, domain_of(to->address))) {
		if (j->domains == l->host.limit.domains)
			return false;
		j->domains++;
	}
	j->to[j->n++] = to;
	return true;
}

bool
sending_any_done(const struct job *j)
{
	for (int i = 0; i < j->n; i++)
		if (j->to[i]->outcome == DONE)
			return true;
	return false;
}

/* At most: MAIL, RCPT..., DATA, end, which LMTP has for each recipient, RSET. */
static int
replies_to(const struct link *l, const struct job *j)
{
	return l->terms.conf->protocol == PROTOCOL_LMTP ? 2 * j->n + 4 : j->n + 4;
}

static void
append(struct link *l, struct job *j)
{
	j->end = JOB_OPEN;
	j->next = NULL;
	j->sent = j->windowed = j->turned_away = false;
	j->accepted = j->replied = 0;
	for (int i = 0; i < j->n; i++)
		j->to[i]->outcome = DONE; /* until something is said about it */
	if (l->flow.first == NULL)
		l->flow.first = j;
	else
		l->flow.last->next = j;
	l->flow.last = j;
	l->flow.jobs++;
	l->flow.replies += replies_to(l, j);
	l->flow.octets += j->m->length;
}

void
sending_start(struct link *l, struct job *j)
{
	append(l, j);
	if (!sending_is_open(l)) {
		forget(j);
		return;
	}
	enum outcome fits = body_fit(l, j->m, &j->text);
	if (fits != DONE) {
		settle_accepted(l, j, fits);
		j->end = JOB_ANSWERED;
		return;
	}
	l->flow.begun++;
	if (!link_can(l, CAN_PIPELINING)) {
		send_in_lock_step(l, j);
	} else if (l->terms.window > 1 && link_can(l, CAN_CHUNKING)) {
		send_in_window(l, j);
	} else if (is_binary(j)) {
		send_in_window(l, j);
	} else {
		send_in_group(l, j);
	}
}

int
sending_jobs(const struct link *l)
{
	return l->flow.jobs;
}

bool
sending_full(const struct link *l)
{
	int window = link_can(l, CAN_PIPELINING) ? l->terms.window : 1;
	return l->flow.jobs > 0 &&
		(l->flow.jobs >= window || l->flow.replies >= REPLIES_OWED ||
			l->flow.octets >= (uint64_t)l->terms.conf->window_size);
}

bool
sending_landed(const struct link *l)
{
	return l->flow.first != NULL && l->flow.first->end != JOB_OPEN;
}

/*
 * The reply to RSET behind a job. One that refuses it belongs to a command before, so that what was taken for the
 * word about the message was something else: nobody knows. After a loss the word stands.
 */
static void
confirm(struct link *l, struct job *j)
{
	if (link_reply(l, "RSET", l->terms.conf->timeout_mail) == 0 && l->code != SERVICE_CLOSES) {
		if (link_outcome(l->code) == DONE)
			return;
		buf_puts(&l->text, " in reply to RSET");
		j->end = JOB_OPEN;
		j->replied = 0;
		for (int i = 0; i < j->n; i++)
			j->to[i]->outcome = DONE;
	}
	lose(l);
}

/* All replies of a job that was put out in one go. */
static void
read_window(struct link *l, struct job *j)
{
	if (!j->sent) {
		lose_in_body(l, j);
	} else if (!read_envelope(l, j, false)) {
		lose(l);
	} else {
		read_end(l, j);
		if (l->fd >= 0)
			confirm(l, j);
	}
}

struct job *
sending_drop(struct link *l)
{
	struct job *j = l->flow.first;
	if (j == NULL)
		return NULL;
	l->flow.first = j->next;
	l->flow.jobs--;
	l->flow.replies -= replies_to(l, j);
	l->flow.octets -= j->m->length;
	return j;
}

struct job *
sending_land(struct link *l)
{
	struct job *j = l->flow.first;
	if (j == NULL)
		return NULL;
	if (j->end == JOB_OPEN && j->windowed)
		read_window(l, j);
	else if (j->end == JOB_OPEN)
		read_end(l, j);
	return sending_drop(l);
}
