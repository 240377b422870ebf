#include "admin/knock.h"

#include <fcntl.h>
#include <stdio.h>

#include "admin/out.h"
#include "delivery/approach.h"
#include "delivery/race.h"
#include "delivery/stslane.h"
#include "delivery/tour.h"
#include "dns/tlsa.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "mail/extension.h"
#include "sending/begin.h"
#include "sending/dial.h"

enum { WHY_SIZE = 1024, HOSTS_MAX = 20 /* as a race has */ };

/* A relay with one courier, as far as the terms of a connection need one (delivery/approach.h). */
static struct relay relay;
static struct tour tour;
static struct courier courier;

const char *
knock_prepare(const struct conf *conf)
{
	relay.tls.authorities = file_open(conf->relay.ca);
	return tlsclient_load();
}

static json_t *
offers_of(const struct link *l)
{
	static const char *const words[] = { "PIPELINING", "8BITMIME", "SIZE", "CHUNKING",
		"BINARYMIME", "SMTPUTF8", "DSN", "DELIVERBY", "MT-PRIORITY", "STARTTLS",
		"REQUIRETLS" };
	json_t *list = json_array();
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (link_can(l, extension_named(span_of(words[i]))))
			(void)json_array_append_new(list, json_string(words[i]));
	return list;
}

/* Of the certificate that the host has, whether or not anything depends on it. */
static json_t *
judge(struct link *l)
{
	auto_buf why = buf_new(WHY_SIZE);
	const char *name = l->terms.target[0] != '\0' ? l->terms.target : l->terms.domain;
	if (l->proof.tls == NULL)
		return json_null();
	if (l->terms.tlsa != NULL)
		return link_match(l, &why) == DANE_GOOD ? json_string("good, says the DNS (DANE)")
							: out_string(buf_span(&why));
	if (relay.tls.authorities < 0)
		return json_string("not looked at: the file of authorities cannot be read");
	return tlsclient_verify(l->proof.tls, name, &why) ? json_string("good")
							  : out_string(buf_span(&why));
}

/* How it goes on, where it did not come about. */
static const char *
sequel(const struct link *l)
{
	switch (l->proof.again) {
	case AGAIN_FRESH:
	case AGAIN_NAMELESS:
		return "a relay would try once more, in another way";
	case AGAIN_HELO:
		return "a relay would try once more, with HELO";
	case AGAIN_CLEAR:
		return "a relay would try once more, in clear";
	default:
		return NULL;
	}
}

static json_t *
describe(struct link *l, enum outcome o, int64_t took)
{
	auto_buf tls = buf_new(WHY_SIZE);
	bool ready = o == DONE;
	const char *then = ready ? NULL : sequel(l);
	if (l->proof.tls != NULL)
		tlsclient_describe(l->proof.tls, &tls);
	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:I, s:b, s:o, s:I}", "ready", ready,
		"said", out_string(buf_span(&l->text)), "then",
		then != NULL ? json_string(then) : json_null(), "tls",
		tls.n > 0 ? out_string(buf_span(&tls)) : json_null(), "certificate", judge(l),
		"auth", l->host.auth[0] != '\0' ? out_string(span_of(l->host.auth + 1))
		: json_null(), "max_size", (json_int_t)l->host.limit.size, "helo", l->host.helo,
		"offers", offers_of(l), "milliseconds", (json_int_t)took);
}

/* There is no login, for none was read; and no session of TLS is resumed, or kept. */
static json_t *
knock_one(const struct exchanger *e, int fd, int64_t since)
{
	struct courier *c = &courier;
	c->work.to = c->to = *e;
	stslane_recall(c);
	approach_set(c);
	c->link.terms.fresh = true;
	c->link.terms.peer.dir = -1;
	enum outcome o = begin_link(&c->link, fd);
	json_t *seen = describe(&c->link, o, clock_ms() - since);
	link_quit(&c->link, c->link.terms.conf->timeout_quit);
	return seen;
}

/* What a race says begins with the host's name, which stands beside it. */
static struct span
without_name(const struct exchanger *e, struct span why)
{
	char name[DIAL_NAME + 2];
	dial_name(e, name);
	struct span begin = span_of(name);
	return span_starts(why, begin) && why.n > begin.n + 2 ? span_skip(why, begin.n + 2) : why;
}

static json_t *
knock_at(const struct facts *f, const struct exchanger *e)
{
	static const struct hosts nothing = { .dir = -1 };
	struct exchanger to = *e;
	struct exchangers one = { .v = &to, .n = 1 };
	struct race race;
	auto_buf why = buf_new(WHY_SIZE);
	int64_t since = clock_ms();
	char address[NETADDR_TEXT];
	int fd = -1;
	if (race_begin(&race, &f->delivery, &nothing, NULL, &one) == 0)
		fd = race_next(&race, &to, &why);
	race_end(&race);
	json_t *seen = fd >= 0 ? knock_one(&to, fd, since)
		: json_pack("{s:b, s:o, s:n}", "ready", false, "said",
			out_string(without_name(e, buf_span(&why))), "then");
	netaddr_text(&e->addr, address);
	(void)json_object_set_new(seen, "host", out_string(span_of(e->host)));
	(void)json_object_set_new(seen, "address",
		e->socket ? json_null() : json_string(address));
	(void)json_object_set_new(seen, "port", json_integer(e->port));
	return seen;
}

json_t *
knock_hosts(const struct facts *f, const struct exchangers *x)
{
	json_t *list = json_array();
	relay.common = *f->conf;
	relay.hosts = *f->hosts;
	relay.stscache = *f->policies;
	courier = (struct courier){ .relay = &relay, .tour = &tour, .link.fd = -1 };
	courier.work.delivery = f->delivery;
	courier.link.text = buf_new(WHY_SIZE);
	snprintf(tour.lane.name, sizeof(tour.lane.name), "%s", f->lane);
	for (size_t i = 0; i < x->n && i < HOSTS_MAX; i++) {
		json_t *seen = knock_at(f, &x->v[i]);
		bool ready = json_is_true(json_object_get(seen, "ready"));
		(void)json_array_append_new(list, seen);
		if (ready)
			break;
	}
	buf_free(&courier.link.text);
	stslane_free(&courier.work.sts);
	tlsa_drop(courier.tlsa);
	tlsclient_forget(&relay.tls);
	return list;
}
