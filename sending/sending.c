#include "sending/sending.h"

#include "mail/alabel.h"
#include "sending/exchange.h"
#include "sending/mail_rcpt.h"
#include "sending/probe.h"
#include "sending/signature.h"
#include "sending/window.h"

enum {
	/*
	 * Replies that may be owed while we still send. Of 64 octets each they fit together into
	 * what a stream has read and not used, so that the host never waits until we read while we
	 * wait until it reads (RFC 2920 section 3.1).
	 */
	REPLIES_OWED = 1000,
};

/* ---- ways to send ------------------------------------------------------------------------ */

static void
send_in_lock_step(struct link *l, struct job *j)
{
	mail_rcpt_put_mail(l, &j->text);
	if (exchange_envelope(l, j, true))
		exchange_follow_envelope(l, j);
	else
		job_lose_all(l);
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
 * one group: they go out together, and then the replies are read. (BDAT stands in no group, for a
 * text waits until the host took a recipient.)
 */
static void
send_in_group(struct link *l, struct job *j)
{
	struct job *before = owed_before(l, j);
	bool data = !j->text.binary;
	exchange_put_envelope(l, j);
	if (data)
		link_puts(l, "DATA\r\n", l->terms.conf->timeout_data_start);
	if (before != NULL)
		exchange_end(l, before, false);
	if (l->fd < 0)
		return;
	if (!exchange_envelope(l, j, false) ||
		(data && link_reply(l, "DATA", l->terms.conf->timeout_data_start) < 0))
		job_lose_all(l);
	else if (data)
		exchange_follow_data(l, j);
	else
		exchange_follow_envelope(l, j);
}

/* May messages follow each other whole, with this host? */
static bool
has_window(const struct link *l)
{
	return link_can(l, CAN_PIPELINING | CAN_CHUNKING) && l->terms.window > 1 &&
		!link_is_final(l);
}

/*
 * Should the text go by BDAT, which no host gets that was not seen to do right by it? A host that
 * is not known is asked with the second message, for with one the question would take longer than
 * the answer saves; or when there is no other way.
 */
static bool
wants_chunk(const struct link *l, const struct job *j)
{
	bool known = l->terms.discards || l->flow.begun > 1;
	return j->text.binary || (has_window(l) && known);
}

/*
 * Reads the word that is still owed, if nothing else may be said before: the host is to be asked,
 * or there are several words (LMTP), not to be taken for replies to the next envelope.
 */
static void
settle_before(struct link *l, const struct job *j, bool ask)
{
	struct job *before = owed_before(l, j);
	if (before == NULL || before->windowed)
		return;
	if (ask || (link_is_final(l) && before->accepted > 1))
		exchange_end(l, before, true);
}

static void
send_by_best_way(struct link *l, struct job *j)
{
	bool chunk = wants_chunk(l, j);
	settle_before(l, j, chunk && !l->terms.discards);
	if (l->flow.full) { /* said of the one before */
		job_forget(j);
		return;
	}
	if (l->fd < 0 || (chunk && !probe_discards(l)))
		return;
	if (!link_can(l, CAN_PIPELINING))
		send_in_lock_step(l, j);
	else if (chunk && has_window(l))
		window_send(l, j);
	else
		send_in_group(l, j);
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

/* How many at most: to MAIL, each RCPT, DATA, the end (LMTP: for each recipient), RSET. */
static int
replies_to(const struct link *l, const struct job *j)
{
	return link_is_final(l) ? 2 * j->n + 4 : j->n + 4;
}

static void
append(struct link *l, struct job *j)
{
	job_reopen(j);
	j->next = NULL;
	j->sent = j->cut = j->late = false;
	j->windowed = j->heard = j->unreadable = j->turned_away = j->doubtful = false;
	j->offered = l->host.can;
	if (l->flow.first == NULL)
		l->flow.first = j;
	else
		l->flow.last->next = j;
	l->flow.last = j;
	l->flow.jobs++;
	l->flow.replies += replies_to(l, j);
	l->flow.octets += j->m->length;
}

/* A connection on which something came that nobody asked for takes nothing more (L11). */
static void
leave_if_out_of_step(struct link *l, const struct job *j)
{
	if (l->fd >= 0 && owed_before(l, j) == NULL && link_said_more(l, "end of data"))
		link_quit(l, INT64_MAX);
}

/* Recipients whose address this host cannot have are settled; the others go without them. */
static void
leave_out(struct link *l, struct job *j)
{
	int n = 0;
	for (int i = 0; i < j->n; i++) {
		j->to[i]->unfit = !body_address_fits(l, j->to[i]->address);
		if (!j->to[i]->unfit)
			j->to[n++] = j->to[i];
		else
			job_settle(l, j->to[i], HARD);
	}
	j->n = n;
}

/* Chooses the form of the text, signs it, and whether SMTPUTF8 is said. Outcomes as of body_fit. */
static enum outcome
fit(struct link *l, struct job *j)
{
	enum outcome o = body_fit(l, j->m, &j->text);
	buf_free(&j->signature);
	if (o == DONE)
		o = signature_add(l, &j->text, &j->signature);
	for (int i = 0; i < j->n; i++) {
		j->text.utf8 = j->text.utf8 || alabel_needs_utf8(j->to[i]->address);
		j->to[i]->unfit = j->text.unfit;
	}
	return o;
}

void
sending_start(struct link *l, struct job *j)
{
	if (sending_is_open(l))
		leave_out(l, j);
	append(l, j);
	leave_if_out_of_step(l, j);
	if (!sending_is_open(l)) {
		job_forget(j);
		return;
	}
	enum outcome fits = fit(l, j);
	if (fits != DONE || j->n == 0) {
		job_settle_accepted(l, j, fits);
		j->end = JOB_ANSWERED;
		return;
	}
	l->flow.begun++;
	send_by_best_way(l, j);
	if (l->fd < 0 && j->end == JOB_OPEN) /* it was left before a word about this one */
		job_forget(j);
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
			stream_unread(&l->stream) > STREAM_IN / 2 ||
			l->flow.octets >= l->terms.window_size);
}

bool
sending_landed(const struct link *l)
{
	return l->flow.first != NULL && l->flow.first->end != JOB_OPEN;
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
		window_read(l);
	else if (j->end == JOB_OPEN)
		exchange_end(l, j, true);
	return sending_drop(l);
}
