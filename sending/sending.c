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
settle(struct client *c, struct rcpt *r, enum outcome o)
{
	r->outcome = o;
	r->taker.dsn = client_can(c, CAN_DSN);
	r->taker.deliverby = client_can(c, CAN_DELIVERBY);
	r->taker.final = client_is_final(c);
	buf_reset(&r->text);
	buf_printf(&r->text, "%s: ", c->name);
	buf_add(&r->text, buf_span(&c->text));
}

/* Recipients that the host accepted, and about which nothing more was said, get this outcome. */
static void
settle_accepted(struct client *c, struct job *j, enum outcome o)
{
	for (int i = j->replied; i < j->n; i++)
		if (j->to[i]->outcome == DONE)
			settle(c, j->to[i], o);
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
blame(struct client *c, struct job *j)
{
	j->end = JOB_LOST;
	if (j->sent)
		buf_puts(&c->text, " (it may have been delivered: possible duplicate)");
	settle_accepted(c, j, SOFT);
}

/*
 * The connection is of no more use, for the reason in c->text: the job it broke in, and those behind it.
 * After a polite end, or where it was kept too long, nobody is to blame. Who says 421 took nothing of what he
 * had not answered; otherwise nobody knows.
 */
static void
lose(struct client *c)
{
	bool polite = c->code == SERVICE_CLOSES, guilty = !polite && !c->idle && !c->full;
	client_close(c);
	for (struct job *j = c->first; j != NULL; j = j->next) {
		if (j->end != JOB_OPEN)
			continue;
		j->sent = j->sent && !polite;
		if (guilty)
			blame(c, j);
		else
			forget(j);
		guilty = false;
	}
}

static void
answered(struct client *c, struct job *j)
{
	if (j->turned_away)
		forget(j);
	else
		j->end = JOB_ANSWERED;
	if (c->code == SERVICE_CLOSES)
		lose(c);
}

/* ---- commands ---------------------------------------------------------------------------- */

static void
put(struct client *c, const char *text, int64_t seconds)
{
	client_put(c, span_of(text), seconds);
}

/* " KEY=value", if there is a value. */
static void
put_parameter(struct client *c, const char *key, struct span value)
{
	if (value.n == 0)
		return;
	put(c, key, c->conf->timeout_mail);
	client_put(c, value, c->conf->timeout_mail);
}

static void
put_number(struct client *c, const char *key, int64_t number, const char *rest)
{
	char text[64];
	snprintf(text, sizeof(text), "%lld%s", (long long)number, rest);
	put_parameter(c, key, span_of(text));
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
put_mail(struct client *c, const struct text *t)
{
	const struct envelope *e = &t->m->env;
	put(c, "MAIL FROM:<", c->conf->timeout_mail);
	client_put(c, e->sender, c->conf->timeout_mail);
	put(c, ">", c->conf->timeout_mail);
	if (client_can(c, CAN_SIZE))
		put_number(c, " SIZE=", (int64_t)t->length, "");
	if (client_can(c, CAN_8BITMIME) || body_of(t) == BODY_BINARYMIME)
		put_parameter(c, " BODY=", span_of(body_word(body_of(t))));
	if (e->utf8)
		put(c, " SMTPUTF8", c->conf->timeout_mail);
	if (client_can(c, CAN_DSN)) {
		put_parameter(c, " RET=", span_of(ret_word(e->ret)));
		put_parameter(c, " ENVID=", e->envid);
	}
	if (client_can(c, CAN_DELIVERBY) && e->by != 0) {
		char mode[] = { ';', e->by_mode, e->by_trace ? 'T' : '\0', '\0' };
		put_number(c, " BY=", e->by - clock_wall(), mode);
	}
	if (client_can(c, CAN_PRIORITY) && e->priority != 0)
		put_number(c, " MT-PRIORITY=", e->priority, "");
	if (e->require_tls) /* or it would not be on its way (body_fit) */
		put(c, " REQUIRETLS", c->conf->timeout_mail);
	put(c, "\r\n", c->conf->timeout_mail);
}

static void
put_rcpt(struct client *c, const struct rcpt *r)
{
	put(c, "RCPT TO:<", c->conf->timeout_rcpt);
	client_put(c, r->address, c->conf->timeout_rcpt);
	put(c, ">", c->conf->timeout_rcpt);
	if (client_can(c, CAN_DSN)) {
		auto_buf notify = buf_new(LIMIT_REPLY_LINE);
		notify_words(r->terms.notify, &notify);
		put_parameter(c, " NOTIFY=", buf_span(&notify));
		put_parameter(c, " ORCPT=", r->terms.orcpt);
	}
	put(c, "\r\n", c->conf->timeout_rcpt);
}

static void
put_envelope(struct client *c, const struct job *j)
{
	put_mail(c, &j->text);
	for (int i = 0; i < j->n; i++)
		put_rcpt(c, j->to[i]);
}

/* ---- replies ----------------------------------------------------------------------------- */

/* After some messages a host may want no more by this connection, and says 421 or 452 to MAIL. */
static bool
is_full(const struct client *c)
{
	return c->delivered > 0 && (c->code == SERVICE_CLOSES || c->code == NO_ROOM);
}

/* It is never refused (RFC 5321 section 4.1.1.5): what is not 2yz was an answer to something else. */
static bool
read_reset(struct client *c)
{
	return client_reply(c, "RSET", c->conf->timeout_mail) == 0 && client_outcome(c->code) == DONE;
}

/*
 * To MAIL and each RCPT. False: the connection is lost. In lock step the command before each reply is
 * still to be sent.
 */
static bool
read_envelope(struct client *c, struct job *j, bool lock_step)
{
	const struct conf *conf = c->conf;
	if (client_reply(c, "MAIL", conf->timeout_mail) < 0)
		return false;
	enum outcome mail = client_outcome(c->code);
	j->turned_away = is_full(c);
	c->full = c->full || j->turned_away;
	if (j->turned_away && c->code == SERVICE_CLOSES && !lock_step)
		return false;
	for (int i = 0; i < j->n; i++)
		settle(c, j->to[i], mail);
	for (int i = 0; i < j->n && (mail == DONE || !lock_step); i++) {
		if (lock_step)
			put_rcpt(c, j->to[i]);
		if (client_reply(c, "RCPT", conf->timeout_rcpt) < 0)
			return false;
		if (mail == DONE)
			settle(c, j->to[i], c->code == TOO_MANY ? SOFT : client_outcome(c->code));
		j->to[i]->grey = mail == DONE && (c->code == BUSY || c->code == TROUBLE);
		j->to[i]->crowded = j->accepted > 0 && (c->code == NO_ROOM || c->code == TOO_MANY);
		j->accepted += j->to[i]->outcome == DONE;
	}
	return true;
}

/* Nothing of it is to go any further: the host forgets it. */
static void
give_up(struct client *c, struct job *j)
{
	if (c->code == SERVICE_CLOSES) {
		answered(c, j);
		return;
	}
	put(c, "RSET\r\n", c->conf->timeout_mail);
	if (read_reset(c))
		answered(c, j);
	else
		lose(c);
}

/* It can go by BDAT only. */
static bool
is_binary(const struct job *j)
{
	return j->m->env.body == BODY_BINARYMIME && !j->text.converted;
}

/* LMTP has a reply for each recipient that was accepted, in their order (RFC 2033 section 4.2). */
static void
read_each_end(struct client *c, struct job *j)
{
	for (int i = 0; i < j->n; i++) {
		if (j->to[i]->outcome != DONE)
			continue;
		if (client_reply(c, "end of data", c->conf->timeout_data_end) < 0) {
			lose(c);
			return;
		}
		settle(c, j->to[i], client_outcome(c->code));
		j->replied = i + 1;
	}
	c->delivered += sending_any_done(j);
	answered(c, j);
}

/* To the end of the message. */
static void
read_end(struct client *c, struct job *j)
{
	if (c->conf->protocol == PROTOCOL_LMTP && j->accepted > 0) {
		read_each_end(c, j);
		return;
	}
	if (client_reply(c, "end of data", c->conf->timeout_data_end) < 0) {
		lose(c);
		return;
	}
	enum outcome o = client_outcome(c->code);
	c->delivered += j->accepted > 0 && o == DONE;
	settle_accepted(c, j, o);
	if (is_binary(j) && !j->windowed && o != DONE)
		give_up(c, j); /* what fails in BDAT is not over (RFC 3030 section 2) */
	else
		answered(c, j);
}

/* ---- ways to send ------------------------------------------------------------------------ */

/* It broke off. A host that had enough may have said so, and that counts more than our broken pipe (F10). */
static void
lose_in_body(struct client *c, struct job *j)
{
	if (c->stream.broken && client_is_spoiled(c) && (!j->windowed || read_envelope(c, j, false)) &&
		client_reply(c, "sending the message", c->conf->timeout_quit) == 0 &&
		client_outcome(c->code) == HARD)
		settle_accepted(c, j, HARD);
	lose(c);
}

static void
put_body(struct client *c, struct job *j)
{
	j->sent = is_binary(j) ? body_put_chunk(c, &j->text) : body_put_lines(c, &j->text);
	if (!j->sent)
		lose_in_body(c, j);
}

/* The reply to DATA is in c->code: the message, or what else is to be done. */
static void
follow_data(struct client *c, struct job *j)
{
	if (c->code == START_DATA && stream_pending(&c->stream)) { /* or it would be taken for that to the end */
		client_say(c, "DATA", "the host said more than its reply");
		lose(c);
	} else if (c->code == START_DATA && j->accepted > 0) {
		put_body(c, j);
	} else if (c->code == START_DATA && c->conf->protocol == PROTOCOL_LMTP) {
		client_say(c, "DATA", "taken though nobody is to get it"); /* and no reply would follow */
		lose(c);
	} else if (c->code == START_DATA) { /* taken though nobody is to get it (RFC 2920 section 3.1) */
		put(c, ".\r\n", c->conf->timeout_data_block);
	} else {
		settle_accepted(c, j, client_outcome(c->code) == HARD ? HARD : SOFT);
		give_up(c, j);
	}
}

static void
send_in_lock_step(struct client *c, struct job *j)
{
	put_mail(c, &j->text);
	if (!read_envelope(c, j, true))
		lose(c);
	else if (j->accepted == 0)
		give_up(c, j);
	else if (is_binary(j)) /* BDAT needs no leave */
		put_body(c, j);
	else if (client_ask(c, "DATA", "", c->conf->timeout_data_start) < 0)
		lose(c);
	else
		follow_data(c, j);
}

/* The job before j whose end is owed, and there is one at most; jobs that did not fit may stand between. */
static struct job *
owed_before(const struct client *c, const struct job *j)
{
	struct job *before = c->first;
	while (before != j && before->end != JOB_OPEN)
		before = before->next;
	return before != j ? before : NULL;
}

/* The end of the job before, if it is still owed, and this one's envelope are one group. */
static void
send_in_group(struct client *c, struct job *j)
{
	struct job *before = owed_before(c, j);
	put_envelope(c, j);
	put(c, "DATA\r\n", c->conf->timeout_data_start);
	if (before != NULL)
		read_end(c, before);
	if (c->fd < 0)
		return;
	if (!read_envelope(c, j, false) || client_reply(c, "DATA", c->conf->timeout_data_start) < 0)
		lose(c);
	else
		follow_data(c, j);
}

/* What fails is over before the next one (RFC 3030 section 2 leaves that to us). */
static void
send_in_window(struct client *c, struct job *j)
{
	j->windowed = true;
	put_envelope(c, j);
	j->sent = body_put_chunk(c, &j->text);
	if (j->sent)
		put(c, "RSET\r\n", c->conf->timeout_mail);
	c->cut = !j->sent; /* replies to those before it may still come */
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
sending_add(const struct client *c, struct job *j, struct rcpt *to)
{
	if (j->n == JOB_RCPTS || (c->limit.rcpts != 0 && j->n >= c->limit.rcpts))
		return false;
	if (c->limit.domains != 0 && !has_domain(j, domain_of(to->address))) {
		if (j->domains == c->limit.domains)
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
replies_to(const struct client *c, const struct job *j)
{
	return c->conf->protocol == PROTOCOL_LMTP ? 2 * j->n + 4 : j->n + 4;
}

static void
append(struct client *c, struct job *j)
{
	j->end = JOB_OPEN;
	j->next = NULL;
	j->sent = j->windowed = j->turned_away = false;
	j->accepted = j->replied = 0;
	for (int i = 0; i < j->n; i++)
		j->to[i]->outcome = DONE; /* until something is said about it */
	if (c->first == NULL)
		c->first = j;
	else
		c->last->next = j;
	c->last = j;
	c->jobs++;
	c->replies += replies_to(c, j);
	c->octets += j->m->length;
}

void
sending_start(struct client *c, struct job *j)
{
	append(c, j);
	if (!client_is_open(c)) {
		forget(j);
		return;
	}
	enum outcome fits = body_fit(c, j->m, &j->text);
	if (fits != DONE) {
		settle_accepted(c, j, fits);
		j->end = JOB_ANSWERED;
		return;
	}
	c->begun++;
	if (!client_can(c, CAN_PIPELINING)) {
		send_in_lock_step(c, j);
	} else if (c->window > 1 && client_can(c, CAN_CHUNKING)) {
		send_in_window(c, j);
	} else if (is_binary(j)) {
		send_in_window(c, j);
	} else {
		send_in_group(c, j);
	}
}

bool
sending_full(const struct client *c)
{
	int window = client_can(c, CAN_PIPELINING) ? c->window : 1;
	return c->jobs > 0 &&
		(c->jobs >= window || c->replies >= REPLIES_OWED ||
			c->octets >= (uint64_t)c->conf->window_size);
}

bool
sending_landed(const struct client *c)
{
	return c->first != NULL && c->first->end != JOB_OPEN;
}

/*
 * The reply to RSET behind a job. One that refuses it belongs to a command before, so that what was taken for the
 * word about the message was something else: nobody knows. After a loss the word stands.
 */
static void
confirm(struct client *c, struct job *j)
{
	if (client_reply(c, "RSET", c->conf->timeout_mail) == 0 && c->code != SERVICE_CLOSES) {
		if (client_outcome(c->code) == DONE)
			return;
		buf_puts(&c->text, " in reply to RSET");
		j->end = JOB_OPEN;
		j->replied = 0;
		for (int i = 0; i < j->n; i++)
			j->to[i]->outcome = DONE;
	}
	lose(c);
}

/* All replies of a job that was put out in one go. */
static void
read_window(struct client *c, struct job *j)
{
	if (!j->sent) {
		lose_in_body(c, j);
	} else if (!read_envelope(c, j, false)) {
		lose(c);
	} else {
		read_end(c, j);
		if (c->fd >= 0)
			confirm(c, j);
	}
}

struct job *
sending_land(struct client *c)
{
	struct job *j = c->first;
	if (j == NULL)
		return NULL;
	if (j->end == JOB_OPEN && j->windowed)
		read_window(c, j);
	else if (j->end == JOB_OPEN)
		read_end(c, j);
	c->first = j->next;
	c->jobs--;
	c->replies -= replies_to(c, j);
	c->octets -= j->m->length;
	return j;
}
