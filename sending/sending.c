#include "sending/sending.h"

#include "mail/alabel.h"
#include "sending/mail_rcpt.h"
#include "sending/refusal.h"

enum {
	START_DATA = 354,
	SERVICE_CLOSES = 421,
	BUSY = 450,
	TROUBLE = 451,  /* this and BUSY to RCPT: a greylist, perhaps */
	NO_ROOM = 452,  /* to RCPT: one too many for this transaction (RFC 5321 4.5.3.1.10) */
	TOO_MANY = 552, /* ... said by old hosts */
	/*
	 * Replies that may be owed while we still send. Of 64 octets each they fit together into
	 * the smallest receive buffer, so that the host never waits until we read while we wait
	 * until it reads.
	 */
	REPLIES_OWED = 1000,
};

/* ---- outcomes ---------------------------------------------------------------------------- */

/* A refusal that may be about anything but the mail is not for good. */
static enum outcome
weigh(struct link *l, enum outcome o)
{
	unsigned about = o == HARD ? refusal_about(l) : REFUSAL_MAIL;
	l->flow.about |= about;
	return about == REFUSAL_MAIL ? o : SOFT;
}

static void
settle(struct link *l, struct rcpt *r, enum outcome o)
{
	r->outcome = weigh(l, o);
	r->taker.dsn = link_can(l, CAN_DSN);
	r->taker.deliverby = link_can(l, CAN_DELIVERBY);
	r->taker.final = link_is_final(l);
	buf_reset(&r->text);
	buf_printf(&r->text, "%s: ", l->terms.name);
	buf_add(&r->text, buf_span(&l->text));
}

/* Gives the outcome to all recipients that were accepted and have not had the last word yet. */
static void
settle_accepted(struct link *l, struct job *j, enum outcome o)
{
	for (int i = j->replied; i < j->n; i++)
		if (j->to[i]->outcome == DONE)
			settle(l, j->to[i], o);
}

/* The job is as if it had never been started. */
static void
forget(struct job *j)
{
	j->end = JOB_UNTRIED;
	for (int i = 0; i < j->n; i++) {
		j->to[i]->outcome = SOFT;
		buf_reset(&j->to[i]->text);
	}
}

/* The connection broke in this job, perhaps because of it. */
static void
blame(struct link *l, struct job *j)
{
	j->end = JOB_LOST;
	if (j->sent)
		buf_puts(&l->text, " (it may have been delivered: possible duplicate)");
	settle_accepted(l, j, SOFT);
}

/*
 * The connection is of no more use, for the reason in l->text. One open job is to blame, or none
 * (NULL); all others are untried. After 421 the host has taken no message that it did not answer;
 * after any other loss it may have.
 */
static void
lose_by(struct link *l, const struct job *guilty)
{
	bool polite = l->code == SERVICE_CLOSES;
	link_close(l);
	for (struct job *j = l->flow.first; j != NULL; j = j->next) {
		if (j->end != JOB_OPEN)
			continue;
		j->sent = j->sent && !polite;
		if (j == guilty)
			blame(l, j);
		else
			forget(j);
	}
}

/*
 * May the connection have been lost because of this job, the first open one? On a connection that
 * was of use, only if the host had begun to answer it and did not say 421: many hosts close after
 * some messages, or after a pause, and say nothing. On any other there is only the host beside it
 * that may be to blame. LMTP's last word to some of its recipients stands in any case.
 */
static bool
may_be_guilty(const struct link *l, const struct job *j)
{
	bool heard = j->heard && !j->turned_away && l->code != SERVICE_CLOSES;
	return heard || j->replied > 0 || !sending_was_of_use(l);
}

/* The same, when it is not known which job is to blame. */
static void
lose(struct link *l)
{
	struct job *first = l->flow.first;
	while (first != NULL && first->end != JOB_OPEN)
		first = first->next;
	lose_by(l, first != NULL && may_be_guilty(l, first) ? first : NULL);
}

/* All replies to the job are there. */
static void
end_job(struct link *l, struct job *j)
{
	if (j->turned_away)
		forget(j);
	else
		j->end = JOB_ANSWERED;
	bool closes = l->code == SERVICE_CLOSES;
	l->flow.answered += j->end == JOB_ANSWERED && (!closes || sending_any_done(j));
	if (closes)
		lose_by(l, NULL);
}

/* ---- commands ---------------------------------------------------------------------------- */

static void
put_envelope(struct link *l, const struct job *j)
{
	mail_rcpt_put_mail(l, &j->text);
	for (int i = 0; i < j->n; i++)
		mail_rcpt_put_rcpt(l, j->to[i]);
}

/* ---- replies ----------------------------------------------------------------------------- */

/* One reply, as link_reply. A host that has said 421 and then closes has said why. */
static int
hear(struct link *l, const char *to_what, int64_t seconds)
{
	bool leaves = l->code == SERVICE_CLOSES;
	int r = link_reply(l, to_what, seconds);
	if (r < 0 && leaves)
		l->code = SERVICE_CLOSES;
	return r;
}

/*
 * The reply to a MAIL that the host refuses: may that be about the connection, which has brought it
 * enough, and not about the message? Whatever the code is (503, 550, 554, 450 ... are in use): the
 * first MAIL of another connection will tell. Or would it take the message by a connection for
 * which nothing is remembered that we had better do without?
 */
static bool
is_full(const struct link *l)
{
	bool stale = l->terms.remembered && link_outcome(l->code) == HARD &&
		(refusal_about(l) & REFUSAL_FALLBACK) != 0;
	return stale || (l->flow.taken > 0 && link_outcome(l->code) != DONE);
}

/*
 * RSET is never refused (RFC 5321 section 4.1.1.5): a reply that is not 2yz belongs to another
 * command.
 */
static bool
read_reset(struct link *l)
{
	return link_reply(l, "RSET", l->terms.conf->timeout_mail) == 0 &&
		link_outcome(l->code) == DONE;
}

/* What a reply to RCPT means. */
static void
read_rcpt(struct link *l, const struct job *j, struct rcpt *r)
{
	r->again = refusal_drops_words(l, &j->text, mail_rcpt_rcpt_words(j->offered, r));
	settle(l, r, l->code == TOO_MANY ? SOFT : link_outcome(l->code));
}

/*
 * The replies to MAIL and to each RCPT. False: the connection is lost. In lock step each RCPT is
 * sent only now, before its reply.
 */
static bool
read_envelope(struct link *l, struct job *j, bool lock_step)
{
	const struct conf_delivery *conf = l->terms.conf;
	if (link_reply(l, "MAIL", conf->timeout_mail) < 0)
		return false;
	enum outcome mail = link_outcome(l->code);
	j->heard = true;
	j->turned_away = is_full(l);
	j->sent = j->sent && !j->turned_away; /* a text without an envelope is not taken */
	l->flow.full = l->flow.full || j->turned_away;
	l->flow.taken += mail == DONE;
	bool again = refusal_drops_words(l, &j->text,
		mail_rcpt_mail_words(j->offered, &j->text));
	for (int i = 0; i < j->n; i++) {
		settle(l, j->to[i], mail);
		j->to[i]->again = again;
	}
	if (l->code == SERVICE_CLOSES && !lock_step)
		return false;
	for (int i = 0; i < j->n && (mail == DONE || !lock_step); i++) {
		if (lock_step)
			mail_rcpt_put_rcpt(l, j->to[i]);
		if (hear(l, "RCPT", conf->timeout_rcpt) < 0)
			return false;
		if (mail == DONE)
			read_rcpt(l, j, j->to[i]);
		j->to[i]->grey = mail == DONE && (l->code == BUSY || l->code == TROUBLE);
		j->to[i]->crowded = j->accepted > 0 && (l->code == NO_ROOM || l->code == TOO_MANY);
		j->accepted += j->to[i]->outcome == DONE;
	}
	return true;
}

/* Ends a transaction that comes to nothing: the host forgets it by RSET. */
static void
give_up(struct link *l, struct job *j)
{
	if (l->code == SERVICE_CLOSES) {
		end_job(l, j);
		return;
	}
	link_puts(l, "RSET\r\n", l->terms.conf->timeout_mail);
	if (read_reset(l))
		end_job(l, j);
	else
		lose(l);
}

/* Can the text go by BDAT only? */
static bool
is_binary(const struct job *j)
{
	return j->text.binary;
}

/* LMTP has a reply for each recipient that was accepted, in their order (RFC 2033 section 4.2). */
static void
read_each_end(struct link *l, struct job *j)
{
	for (int i = 0; i < j->n; i++) {
		if (j->to[i]->outcome != DONE)
			continue;
		if (hear(l, "end of data", l->terms.conf->timeout_data_end) < 0) {
			lose(l);
			return;
		}
		settle(l, j->to[i], link_outcome(l->code));
		j->replied = i + 1;
	}
	end_job(l, j);
}

/* The reply to the end of the message. */
static void
read_end(struct link *l, struct job *j)
{
	if (link_is_final(l) && j->accepted > 0) {
		read_each_end(l, j);
		return;
	}
	if (hear(l, "end of data", l->terms.conf->timeout_data_end) < 0) {
		lose(l);
		return;
	}
	enum outcome o = link_outcome(l->code);
	settle_accepted(l, j, o);
	if (is_binary(j) && !j->windowed && o != DONE)
		give_up(l, j); /* what fails in BDAT is not over (RFC 3030 section 2) */
	else
		end_job(l, j);
}

/* ---- ways to send ------------------------------------------------------------------------ */

/*
 * The text broke off. A host that refused it in the middle may have said so before it closed, and
 * its 5yz counts more than our broken pipe (F10).
 */
static void
lose_in_body(struct link *l, struct job *j)
{
	if (!l->stream.broken) { /* it is our file that ended too early */
		lose_by(l, j);
		return;
	}
	if (link_is_spoiled(l) &&
		(!j->windowed || read_envelope(l, j, false)) &&
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

/* The reply to DATA is in l->code: sends the text, or does what else follows from it. */
static void
follow_data(struct link *l, struct job *j)
{
	bool go_on = l->code == START_DATA;
	if (go_on && stream_pending(&l->stream)) { /* taken for the reply to the end otherwise */
		link_say(l, "DATA", "the host said more than its reply");
		lose(l);
	} else if (go_on && j->accepted > 0) {
		put_body(l, j);
	} else if (go_on && link_is_final(l)) { /* LMTP, and no reply would follow */
		link_say(l, "DATA", "taken though nobody is to get it");
		lose(l);
	} else if (go_on) { /* without a recipient: an empty text (RFC 2920 section 3.1) */
		link_puts(l, ".\r\n", l->terms.conf->timeout_data_block);
	} else {
		settle_accepted(l, j, link_outcome(l->code) == HARD ? HARD : SOFT);
		give_up(l, j);
	}
}

static void
ask_for_data(struct link *l, struct job *j)
{
	link_puts(l, "DATA\r\n", l->terms.conf->timeout_data_start);
	if (hear(l, "DATA", l->terms.conf->timeout_data_start) < 0)
		lose(l);
	else
		follow_data(l, j);
}

static void
send_in_lock_step(struct link *l, struct job *j)
{
	mail_rcpt_put_mail(l, &j->text);
	if (!read_envelope(l, j, true))
		lose(l);
	else if (j->accepted == 0)
		give_up(l, j);
	else if (is_binary(j)) /* BDAT has no reply before the text */
		put_body(l, j);
	else
		ask_for_data(l, j);
}

/*
 * The job before j that waits for the reply to its end; there is one at most, but jobs that did not
 * fit this host may stand between the two. NULL: there is none.
 */
static struct job *
owed_before(const struct link *l, const struct job *j)
{
	struct job *before = l->flow.first;
	while (before != j && before->end != JOB_OPEN)
		before = before->next;
	return before != j ? before : NULL;
}

/*
 * The end of the job before, if its reply is still owed, and MAIL, RCPT and DATA of this one are
 * one group: they go out together, and then the replies are read.
 */
static void
send_in_group(struct link *l, struct job *j)
{
	struct job *before = owed_before(l, j);
	put_envelope(l, j);
	link_puts(l, "DATA\r\n", l->terms.conf->timeout_data_start);
	if (before != NULL)
		read_end(l, before);
	if (l->fd < 0)
		return;
	if (!read_envelope(l, j, false) ||
		hear(l, "DATA", l->terms.conf->timeout_data_start) < 0)
		lose(l);
	else
		follow_data(l, j);
}

/*
 * The whole job goes out before a reply is read. A BDAT that fails leaves a transaction open (RFC
 * 3030 section 2), which RSET ends before the next job's MAIL.
 */
static void
send_in_window(struct link *l, struct job *j)
{
	j->windowed = true;
	put_envelope(l, j);
	j->sent = body_put_chunk(l, &j->text);
	if (j->sent)
		link_puts(l, "RSET\r\n", l->terms.conf->timeout_mail);
	l->flow.cut = !j->sent; /* replies to the jobs before it may still come */
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
sending_was_of_use(const struct link *l)
{
	return l->flow.answered > 0;
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

/* How many at most: to MAIL, each RCPT, DATA, the end (LMTP: for each recipient), RSET. */
static int
replies_to(const struct link *l, const struct job *j)
{
	return link_is_final(l) ? 2 * j->n + 4 : j->n + 4;
}

static void
append(struct link *l, struct job *j)
{
	j->end = JOB_OPEN;
	j->next = NULL;
	j->sent = j->windowed = j->heard = j->turned_away = false;
	j->offered = l->host.can;
	j->accepted = j->replied = 0;
	for (int i = 0; i < j->n; i++)
		j->to[i]->outcome = DONE; /* until a reply says otherwise */
	if (l->flow.first == NULL)
		l->flow.first = j;
	else
		l->flow.last->next = j;
	l->flow.last = j;
	l->flow.jobs++;
	l->flow.replies += replies_to(l, j);
	l->flow.octets += j->m->length;
}

/* Recipients whose address this host cannot have are settled; the others go without them. */
static void
leave_out(struct link *l, struct job *j)
{
	int n = 0;
	for (int i = 0; i < j->n; i++) {
		if (body_address_fits(l, j->to[i]->address))
			j->to[n++] = j->to[i];
		else
			settle(l, j->to[i], HARD);
	}
	j->n = n;
}

/* Chooses the form of the text, and whether SMTPUTF8 is said. Outcomes as of body_fit. */
static enum outcome
fit(struct link *l, struct job *j)
{
	enum outcome o = body_fit(l, j->m, &j->text);
	for (int i = 0; i < j->n; i++)
		j->text.utf8 = j->text.utf8 || alabel_needs_utf8(j->to[i]->address);
	return o;
}

void
sending_start(struct link *l, struct job *j)
{
	bool open = sending_is_open(l);
	if (open)
		leave_out(l, j);
	append(l, j);
	if (!open) {
		forget(j);
		return;
	}
	enum outcome fits = fit(l, j);
	if (fits != DONE || j->n == 0) {
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
			l->flow.octets >= l->terms.window_size);
}

bool
sending_landed(const struct link *l)
{
	return l->flow.first != NULL && l->flow.first->end != JOB_OPEN;
}

/*
 * The reply to RSET behind a job. If it is not 2yz, replies and commands are out of step: what was
 * taken for the reply to the end of the message answered another command, so the job is open again,
 * and lost. If the connection is lost instead, the replies to the job stand.
 */
static void
confirm(struct link *l, struct job *j)
{
	if (link_reply(l, "RSET", l->terms.conf->timeout_mail) == 0 && l->code != SERVICE_CLOSES) {
		if (link_outcome(l->code) == DONE)
			return;
		buf_puts(&l->text, " in reply to RSET");
		l->flow.answered -= j->end == JOB_ANSWERED;
		j->end = JOB_OPEN;
		j->replied = 0;
		for (int i = 0; i < j->n; i++)
			j->to[i]->outcome = DONE;
	}
	lose(l);
}

/* All replies to a job that went out whole. */
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
