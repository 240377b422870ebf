#include "process/surroundings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/recipient_map.h"
#include "conf/routes.h"
#include "conf/target.h"
#include "conf/way.h"
#include "lib/cleanup.h"
#include "lib/limits.h"
#include "mail/address.h"
#include "mail/lane_name.h"
#include "mail/match.h"
#include "process/check.h"
#include "process/launch.h"
#include "process/log.h"
#include "process/runtime.h"
#include "process/user.h"
#include "queue/bell.h"
#include "queue/spool.h"

/* What an ordinary user finds holds for that user; root has become the right one by now. */
static void
check_user(struct findings *f, const struct conf *c)
{
	uid_t uid;
	gid_t gid;
	if (user_find(c->who.user, &uid, &gid) == 0 && uid != geteuid())
		check_warning(f, "user %s: this check runs as user %ld, so it tells what that one "
			"sees; run it as root or as %s", c->who.user, (long)geteuid(), c->who.user);
}

static void
check_hostname(struct findings *f, const struct conf *c)
{
	const char *name = c->who.hostname;
	struct target t;
	bool literal = name[0] == '[';
	if (target_parse(span_of(name), &t) < 0 || (t.kind == TARGET_ADDRESS) != literal)
		check_fault(f,
			"hostname %s: no host can have this name; set it to this host's full "
			"name",
			name);
}

/* Without a bell a relay looks for itself (bell.h); without a lock there is none. */
static void
check_bell(struct findings *f, const struct conf *c, const struct spool *s)
{
	int r = bell_prepare(s, c->who.hostname, LOGIN_NONE);
	if (bell_is_impossible(r))
		check_warning(f, "spool %s: no FIFO can be made: %s; a relay that is at work looks "
			"for new mail each second", c->who.spool, strerror(-r));
	else if (r < 0)
		check_fault(f, "spool %s: what a relay needs in relay/%s: %s; no mail is delivered",
			c->who.spool, c->who.hostname, strerror(-r));
}

/* Mail for all other domains is taken meanwhile. */
static void
check_lanes(struct findings *f, const struct conf *c, const struct spool *s)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	char more[32] = "";
	int n = spool_explain_lanes(s, c->who.spool, &why);
	if (n > 1)
		snprintf(more, sizeof(more), " (and %d more)", n - 1);
	if (n > 0)
		check_fault(f, "spool %s: %.*s%s; mail for it is neither taken nor delivered",
			c->who.spool, (int)why.n, why.p, more);
}

static void
check_spool(struct findings *f, const struct conf *c)
{
	struct spool s;
	const char *wrong;
	auto_buf why = buf_new(LIMIT_COMMAND);
	int r = spool_open(&s, c->who.spool);
	if (r < 0) {
		spool_explain(c->who.spool, r, &why);
		check_fault(f, "%.*s", (int)why.n, why.p);
		return;
	}
	r = spool_try(&s, &wrong);
	bool known = r < 0 && spool_explain_part(c->who.spool, r, &why);
	if (r < 0)
		check_fault(f, "spool %s: %s: %s%s%.*s", c->who.spool, wrong, strerror(-r),
			known ? "; " : "", (int)why.n, known ? why.p : "");
	else if (!spool_has_room(&s, 0, c->receive.min_free))
		check_fault(f, "spool %s: less than min_free (%lld octets) or no inode is free; no "
			"mail is taken", c->who.spool, (long long)c->receive.min_free);
	else
		check_bell(f, c, &s);
	if (r == 0)
		check_lanes(f, c, &s);
	spool_close(&s);
}

static void
check_runtime(struct findings *f, const struct conf *c)
{
	int r = runtime_check(c->who.runtime);
	if (r < 0)
		check_warning(f,
			"runtime %s: %s: " RUNTIME_MISSED "; \"install -d -m 700 -o %ld %s\" "
			"makes it",
			c->who.runtime, strerror(-r), (long)geteuid(), c->who.runtime);
}

/* What the configuration itself has doubts of. */
static void
check_doubts(struct findings *f, const struct conf *c)
{
	struct span rest = buf_span(&c->doubts);
	while (rest.n > 0) {
		struct span line = span_cut(&rest, '\n');
		check_warning(f, "%.*s", (int)line.n, line.p);
	}
}

static void
check_postmaster(struct findings *f, const struct conf *c)
{
	if (!routes_reach_postmaster(c, (struct span){ 0 }))
		check_warning(f, "postmaster is %s, and nothing takes mail for %s: strangers' "
			"mail for <postmaster> is refused",
			c->who.postmaster_unset ? "not set" : c->who.postmaster, c->who.hostname);
}

/* Mail for these must find a way: what a domain beyond ASCII is called in the DNS is known here. */
static void
check_mailboxes(struct findings *f, const struct conf *c)
{
	const struct {
		const char *key, *value;
	} keys[] = { { "postmaster", c->who.postmaster },
		{ "double_bounce", c->relay.double_bounce } };
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct address a;
		char lane[LANE_NAME_SIZE];
		if (keys[i].value != NULL && address_mailbox(span_of(keys[i].value), &a) == 0 &&
			lane_name_of(a.domain, lane) < 0)
			check_fault(f, "%s %s: no mail can be sent to this domain", keys[i].key,
				keys[i].value);
	}
}

/* Who has no user, for he comes by the network of this host, is held to nothing. */
static void
check_senders(struct findings *f, const struct conf *c)
{
	const struct conf_receive *r = &c->receive;
	if (r->local_users != CONF_YES && r->relay_local == CONF_YES &&
		match_local_names(r->local_senders))
		check_warning(f, "local_senders holds at the socket for users alone: by port 25 on "
			"loopback each of them may send from any address; set relay_local = no");
}

/* Without it no client is served, for mail would go where it must not. */
static void
check_map(struct findings *f, const struct conf *c)
{
	const char *path = c->submission.recipient_map;
	auto_buf text = buf_new(RECIPIENT_MAP_FILE), why = buf_new(LIMIT_COMMAND);
	if (path != NULL && recipient_map_load(path, &text, &why) < 0)
		check_fault(f, "%.*s; no mail is taken without it", (int)why.n, why.p);
}

static void
check_executable(struct findings *f, const char *key, const char *path)
{
	struct stat st;
	errno = 0;
	if (path == NULL ||
		(stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0))
		return;
	check_fault(f, "%s %s: %s; no mail is taken without its answer", key, path,
		errno != 0 ? strerror(errno) : "it is not a program");
}

static void
check_judges(struct findings *f, const struct conf *c)
{
	check_executable(f, "recipient_check", c->receive.recipient_check);
	check_executable(f, "sender_check", c->receive.sender_check);
}

static void
check_log(struct findings *f, const struct conf *c)
{
	int r = log_try(c->log);
	if (r < 0)
		check_warning(f, "log: %s: %s; lines go to standard error", log_socket(c->log),
			strerror(-r));
}

/* What is started has the time of this host then, which may be another one. */
static void
check_zone(struct findings *f, const struct conf *c)
{
	const char *zone = getenv("TZ");
	(void)c;
	if (zone != NULL && zone[0] != '\0' && !launch_takes_zone(span_of(zone)))
		check_warning(f, "TZ is not handed on to relay, tls and the others, so that their "
			"lines of the log may have another time: set it to the name of a zone, as "
			"Europe/Berlin is, or a rule; not to a path, and without a colon in front");
}

static void
check_tls(struct findings *f, const struct conf *c)
{
	if (c->tls.mode != TLS_OFF && c->tls.certificate != NULL)
		check_other(f, "tls_path", c->who.tls_path);
}

static void
check_auth(struct findings *f, const struct conf *c)
{
	if (c->auth.users != NULL || c->auth.saslauthd != NULL || c->auth.dovecot != NULL)
		check_other(f, "auth_path", c->who.auth_path);
}

static void
check_sign(struct findings *f, const struct conf *c)
{
	if (c->dkim.keys != NULL)
		check_other(f, "sign_path", c->who.sign_path);
}

static void
check_fetch(struct findings *f, const struct conf *c)
{
	if (c->relay.mta_sts == CONF_YES || (CONF_HAS_FETCH && c->tls_reports.on == CONF_YES))
		check_other(f, "fetch_path", c->who.fetch_path);
}

static void
check_tlsreport(struct findings *f, const struct conf *c)
{
	if (c->tls_reports.on == CONF_YES)
		check_other(f, "tlsreport_path", c->who.tlsreport_path);
}

static void
check_relay(struct findings *f, const struct conf *c)
{
	check_other(f, "relay_path", c->who.relay_path);
}

int
surroundings_check(const struct options *o, struct conf *c, struct conf_origins *from)
{
	static const struct check checks[] = { { check_user }, { check_doubts }, { check_hostname },
		{ check_postmaster }, { check_senders }, { check_mailboxes }, { check_spool },
		{ check_runtime },
		{ check_judges }, { check_map }, { check_log }, { check_zone }, { check_tls },
		{ check_auth }, { check_sign }, { check_fetch }, { check_tlsreport },
		{ check_relay } };
	return check_all("smtpd", o, c, from, checks, CHECKS(checks));
}
