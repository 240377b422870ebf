#include "delivery/stslane.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "delivery/fetching.h"
#include "delivery/notes.h"
#include "delivery/resolvers.h"
#include "delivery/tlsnotes.h"
#include "delivery/tour.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/wait.h"
#include "mail/lane_name.h"
#include "process/log.h"

enum {
	RETRY = 5 * 60,      /* s after a fetch that came to nothing (RFC 8461 section 3.3), */
	RETRY_DOUBLED = 6,   /* ... doubled so often: five hours */
	CHANGES = 5,         /* ids that are fetched at once: who mends a policy may err, too */
	CHANGES_COUNT = 24 * 3600, /* s for which they count, from the last one on */
	EXPIRED = 60,        /* s after a fetch: not before is it fetched again, however soon its
	                      * time is over */
	REFRESH = 24 * 3600, /* s after one that did not, or half of its time (the same) */
	NAMES = 200,         /* octets of names in a line of the log */
};

void
stslane_free(struct stslane *s)
{
	buf_free(&s->record.texts);
	stscache_free(&s->entry);
	*s = (struct stslane){ 0 };
}

/* ---- the fetch ----------------------------------------------------------------------------- */

/* One of those that may be at once (without an eventfd any). False: the time is over. */
static bool
take_place(int places, int64_t deadline)
{
	uint64_t one;
	if (places < 0)
		return true;
	while (wait_for(places, POLLIN, deadline, NULL) == 0)
		if (read(places, &one, sizeof(one)) == (ssize_t)sizeof(one))
			return true;
	return false;
}

/* A socket to a fetch that the first process starts for this connection; -1: it cannot be. */
static int
have_fetch(const struct relay *r, int connection)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	bool asked = notes_ask_fetch(r, (int[]){ ends[1], connection });
	close(ends[1]);
	if (asked)
		return ends[0];
	close(ends[0]);
	return -1;
}

/* Is it a policy? Unless SUCCESS, *why says what is wrong with it. */
static enum tls_result
judge(const struct fetch_reply *reply, const struct buf *body, struct sts_policy *policy,
	struct buf *why)
{
	buf_reset(why);
	if (reply->status != 200) { /* no redirect is followed (section 3.3) */
		buf_printf(why, "HTTP status %u", reply->status);
		return TLS_RESULT_STS_FETCH;
	}
	const char *wrong = sts_is_plain(span_of(reply->type)) ? sts_policy(buf_span(body), policy)
							       : "it is no text/plain";
	if (wrong == NULL)
		return TLS_RESULT_SUCCESS;
	buf_puts(why, wrong);
	return TLS_RESULT_STS_INVALID;
}

/* A fetch came to be there, or it did not. */
static void
note_fetch(struct relay *r, bool there)
{
	struct log_fields f = { .event = "sts" };
	const char *path = r->common.who.fetch_path;
	enum fetchless_news news = fetchless_note(&r->fetchless, there, clock_wall());
	if (news == FETCHLESS_FIRST)
		log_event(LOG_ERR, &f, "MTA-STS: fetch_path %s: no fetch came to be there: mail "
			"waits for policies that are not known, for an hour or some more", path);
	else if (news == FETCHLESS_OVER)
		log_event(LOG_ERR, &f, "MTA-STS: fetch_path %s: no fetch came to be there for more "
			"than an hour: no policy can be fetched, and mail goes as if domains had "
			"none but those that are kept", path);
	else if (news == FETCHLESS_BACK)
		log_event(LOG_NOTICE, &f, "MTA-STS: fetch_path %s: policies can be fetched again",
			path);
}

/* By this connection to its web server. UNKNOWN: this host is short of something. */
static enum tls_result
ask_by(struct relay *r, int connection, const struct fetch_question *q, int64_t deadline,
	struct sts_policy *policy, struct buf *body, struct buf *why)
{
	struct fetch_reply reply;
	auto_fd end = have_fetch(r, connection);
	if (end < 0)
		return TLS_RESULT_UNKNOWN;
	enum fetch_trouble t = fetching_ask(end, q, NULL, deadline, &reply, body, why);
	if (t != FETCH_NONE || !wait_is_told()) /* or nobody waited for it */
		note_fetch(r, t != FETCH_NONE);
	return t == FETCH_DONE ? judge(&reply, body, policy, why)
		: t == FETCH_NONE ? TLS_RESULT_UNKNOWN
		: t == FETCH_CERTIFICATE ? TLS_RESULT_STS_WEBPKI : TLS_RESULT_STS_FETCH;
}

/*
 * The policy of the domain, into *body. Unless SUCCESS there is none to be had, and why; UNKNOWN
 * says nothing of the domain.
 */
static enum tls_result
fetch(struct relay *r, const char *domain, struct sts_policy *policy, struct buf *body,
	struct buf *why)
{
	int64_t deadline = clock_deadline(FETCH_TIME);
	struct fetch_question q = { .port = (uint32_t)r->common.relay.mta_sts_port,
		.path = STS_PATH };
	int n = snprintf(q.host, sizeof(q.host), STS_HOST "%s", domain);
	if (n >= (int)sizeof(q.host)) {
		buf_puts(why, "its name would be too long");
		return TLS_RESULT_STS_FETCH;
	}
	struct resolver *resolver = resolvers_take(r->resolvers);
	if (resolver == NULL)
		return TLS_RESULT_UNKNOWN;
	auto_fd connection = fetching_connect(resolver, &r->common, q.host, (uint16_t)q.port,
		deadline, why);
	resolvers_give_back(r->resolvers, resolver);
	return connection == FETCHING_UNABLE ? TLS_RESULT_UNKNOWN
		: connection < 0 ? TLS_RESULT_STS_FETCH
				 : ask_by(r, connection, &q, deadline, policy, body, why);
}

/* ---- what is written down ------------------------------------------------------------------ */

static void
save(const struct relay *r, const char *domain, const struct stscache_entry *e)
{
	struct log_fields f = { .event = "sts", .lane = domain };
	int err = stscache_save(&r->stscache, domain, e);
	if (err < 0)
		log_event(LOG_WARNING, &f, "lane %s: MTA-STS: cannot write down what was fetched: "
			"%s; it is known until this relay ends", domain, strerror(-err));
}

static void
log_policy(const char *domain, const struct stscache_entry *e)
{
	struct log_fields f = { .event = "sts", .lane = domain };
	auto_buf mx = buf_new(NAMES);
	struct span rest = e->policy.text;
	for (struct span one; (one = sts_next_mx(&rest)).n > 0 && mx.err == 0;)
		buf_printf(&mx, "%s%.*s", mx.n > 0 ? ", " : "; mx: ", (int)one.n, one.p);
	log_event(LOG_INFO, &f, "lane %s: MTA-STS: %s, id %s, for %lld s%.*s%s", domain,
		sts_mode_word(e->policy.mode), e->id, (long long)e->policy.max_age, (int)mx.n,
		mx.n > 0 ? mx.p : "", mx.err != 0 ? ", ..." : "");
}

/* Once for each id, for mail comes again and again. */
static void
log_failure(const char *domain, const struct stscache_entry *e, const char *id,
	const struct buf *why, int64_t now)
{
	struct log_fields f = { .event = "sts", .lane = domain };
	if (e->tried != 0 && strcmp(e->tried_id, id) == 0)
		return;
	log_event(LOG_WARNING, &f, "lane %s: MTA-STS: the policy with id %s cannot be fetched: "
		"%.*s; %s%s", domain, id, (int)why->n, why->n > 0 ? why->p : "",
		stscache_is_valid(e, now) ? "in force is that with id " : "none is in force",
		stscache_is_valid(e, now) ? e->id : "");
}

/* Was this id fetched, or tried in vain, the last time? */
static bool
is_known(const struct stscache_entry *e, const char *id)
{
	return strcmp(e->id, id) == 0 || (e->tried != 0 && strcmp(e->tried_id, id) == 0);
}

static void
note_change(struct stscache_entry *e, const char *id, int64_t now)
{
	if (is_known(e, id))
		return;
	if (now - e->changed >= CHANGES_COUNT)
		e->changes = 0;
	e->changed = now;
	e->changes++;
}

static void
note_policy(const struct relay *r, const char *domain, struct stscache_entry *e, const char *id,
	const struct sts_policy *policy, struct buf *text, int64_t now)
{
	bool other = strcmp(e->id, id) != 0 || e->policy.mode != policy->mode;
	note_change(e, id, now);
	buf_free(&e->text);
	e->text = *text;
	*text = buf_new(0);
	e->policy = *policy;
	e->fetched = now;
	e->tried = e->times = 0;
	snprintf(e->id, sizeof(e->id), "%s", id);
	if (other)
		log_policy(domain, e);
	save(r, domain, e);
}

static void
note_failure(const struct relay *r, const char *domain, struct stscache_entry *e, const char *id,
	const struct buf *why, int64_t now)
{
	log_failure(domain, e, id, why, now);
	note_change(e, id, now);
	e->times = e->tried != 0 && strcmp(e->tried_id, id) == 0 ? e->times + 1 : 1;
	e->tried = now;
	snprintf(e->tried_id, sizeof(e->tried_id), "%s", id);
	save(r, domain, e);
}

/*
 * Fetches the policy with this id. False: the courier's time was over, nobody ended whose place it
 * could take, or this host is short of something: of the domain that says nothing.
 */
static bool
renew(struct relay *r, const char *domain, struct stscache_entry *e, const char *id)
{
	struct sts_policy policy;
	auto_buf body = buf_new(FETCH_REPLY), why = buf_new(EVENT_SIZE);
	if (!take_place(r->fetches, clock_deadline(FETCH_TIME)))
		return false;
	enum tls_result got = fetch(r, domain, &policy, &body, &why);
	wait_tell(r->fetches);
	if (got == TLS_RESULT_UNKNOWN || (got != TLS_RESULT_SUCCESS && wait_is_told()))
		return false;
	int64_t now = clock_wall();
	if (got == TLS_RESULT_SUCCESS) {
		note_policy(r, domain, e, id, &policy, &body, now);
	} else {
		tlsnotes_fetch(r, domain, stscache_is_valid(e, now) ? e : NULL, got, &why);
		note_failure(r, domain, e, id, &why, now);
	}
	return true;
}

/* ---- when ---------------------------------------------------------------------------------- */

/* Behind the n-th in a row, was there a pause, longer each time? A clock was perhaps set back. */
static bool
has_paused(int64_t since, int64_t n, int64_t now)
{
	int64_t doubled = n - 1 < RETRY_DOUBLED ? n - 1 : RETRY_DOUBLED;
	return since > now || now - since >= RETRY << doubled;
}

/*
 * Was it fetched by a clock that was ahead? It stays in force, for as long as that clock says:
 * years, perhaps; so it is fetched again by the clock that there is now.
 */
static bool
is_ahead(const struct stscache_entry *e, int64_t now)
{
	return e->fetched > now;
}

/* Was this one not tried a short while ago, nor too many others? */
static bool
may_try(const struct stscache_entry *e, const char *id, int64_t now)
{
	if (!is_known(e, id))
		return e->changes < CHANGES ||
			has_paused(e->changed, e->changes - CHANGES + 1, now);
	if (e->tried != 0 && strcmp(e->tried_id, id) == 0)
		return has_paused(e->tried, e->times, now);
	return is_ahead(e, now) ||
		stscache_age(e, now) >= (stscache_is_valid(e, now) ? RETRY : EXPIRED);
}

/* Is it half of its time that is over, or a day? Or does nobody know how old it is? */
static bool
is_due(const struct stscache_entry *e, int64_t now)
{
	int64_t age = stscache_age(e, now);
	return is_ahead(e, now) || age >= REFRESH || age >= e->policy.max_age / 2;
}

/* ---- a lane -------------------------------------------------------------------------------- */

/* If it goes by MX records, over TLS. */
bool
stslane_is_wanted(const struct conf *conf, const struct conf_delivery *d, const char *lane)
{
	return conf->relay.mta_sts == CONF_YES && d->tls != DELIVERY_TLS_NONE && lane[0] != '[' &&
		lane_name_route(span_of(lane)).n == 0;
}

static bool
is_wanted(const struct courier *c)
{
	return stslane_is_wanted(&c->relay->common, &c->work.delivery, c->tour->lane.name);
}

void
stslane_ask_record(struct resolver *r, const char *lane, struct txt *out)
{
	char name[sizeof(STS_RECORD) + LIMIT_DOMAIN];
	snprintf(name, sizeof(name), STS_RECORD "%s", lane);
	txt_ask_also(r, name, out);
}

void
stslane_ask(struct courier *c, struct resolver *r)
{
	struct stslane *s = &c->work.sts;
	stslane_free(s);
	s->asked = is_wanted(c);
	if (s->asked)
		stslane_ask_record(r, c->tour->lane.name, &s->record);
}

/* What is kept, or was fetched, is what is known. */
static void
conclude(struct stslane *s)
{
	s->known = true;
	s->in_force = stscache_is_valid(&s->entry, clock_wall());
}

static bool
is_in_force(const struct stscache_entry *e, const char *id, int64_t now)
{
	return stscache_is_valid(e, now) && strcmp(e->id, id) == 0;
}

/*
 * The record tells of this policy, which is fetched unless it is the one in force. False: it cannot
 * be now, there is no other one, and that it can be had is only a matter of time.
 */
static bool
heed_record(struct courier *c, const char *id, int64_t now)
{
	struct stscache_entry *e = &c->work.sts.entry;
	return is_in_force(e, id, now) || !may_try(e, id, now) ||
		renew(c->relay, c->tour->lane.name, e, id) || stscache_is_valid(e, now) ||
		fetchless_is(&c->relay->fetchless);
}

/* It is fetched again when there is time for that, if it is time for that. */
static void
plan_refresh(struct courier *c, const char *id, int64_t now)
{
	const struct stscache_entry *e = &c->work.sts.entry;
	if (!is_in_force(e, id, now) || !is_due(e, now) || !may_try(e, id, now))
		return;
	snprintf(c->refresh.domain, sizeof(c->refresh.domain), "%s", c->tour->lane.name);
	snprintf(c->refresh.id, sizeof(c->refresh.id), "%s", id);
}

enum outcome
stslane_find(struct courier *c)
{
	struct stslane *s = &c->work.sts;
	char id[STS_ID + 1];
	int64_t now = clock_wall();
	if (!s->asked)
		return DONE;
	stscache_load(&c->relay->stscache, c->tour->lane.name, &s->entry);
	bool record = !fetchless_rests(&c->relay->fetchless, now) &&
		sts_record(buf_span(&s->record.texts), id);
	if (record && !heed_record(c, id, now)) {
		buf_puts(&c->why, wait_is_told()
			? "MTA-STS: others needed the courier that fetched the policy"
			: "MTA-STS: this host cannot fetch the policy now: it fetches too many "
			  "others, reaches no nameserver, is short of memory, descriptors or "
			  "processes, or cannot start fetch");
		return SOFT;
	}
	conclude(s);
	if (record)
		plan_refresh(c, id, now);
	return DONE;
}

void
stslane_recall(struct courier *c)
{
	struct stslane *s = &c->work.sts;
	if (s->known || !is_wanted(c))
		return;
	stscache_load(&c->relay->stscache, c->tour->lane.name, &s->entry);
	conclude(s);
}

void
stslane_refresh(struct courier *c)
{
	struct stscache_entry e;
	int64_t now = clock_wall();
	if (c->refresh.domain[0] == '\0')
		return;
	stscache_load(&c->relay->stscache, c->refresh.domain, &e);
	/* Another one may have done it meanwhile. */
	if (is_due(&e, now) && may_try(&e, c->refresh.id, now))
		(void)renew(c->relay, c->refresh.domain, &e, c->refresh.id);
	stscache_free(&e);
	c->refresh.domain[0] = '\0';
}
