#include "conf/together.h"

#include "conf/value.h"

/*
 * Wider than any one owner has (a /8 of IPv4, a /16 of IPv6), and no network of private addresses:
 * whoever is in there may send anywhere, so that is half of the world's spam or a slip of the pen.
 */
static bool
is_world(const struct netlist *l)
{
	enum { WIDEST_V4 = 8, WIDEST_V6 = 16 };
	for (size_t i = 0; i < l->n; i++) {
		int v4 = netblock_v4_bits(&l->v[i]);
		bool wide = v4 >= 0 ? v4 < WIDEST_V4 : l->v[i].bits < WIDEST_V6;
		if (wide && !netblock_is_private(&l->v[i]))
			return true;
	}
	return false;
}

/* A proxy may say that its client is anywhere, in relay_nets too. */
static void
check_proxies(struct setting *s)
{
	const struct conf_receive *c = &s->c->receive;
	if (is_world(&c->proxies.nets) && c->relay_nets.n > 0)
		conf_doubt(s, "proxy_nets is as wide as the world: whoever is in it may say to be "
			"in relay_nets, and send anywhere");
}

/* Certificates without TLS: of all mail, or of a route's. */
static bool
wants_dane_in_clear(const struct conf *c)
{
	struct conf_delivery d = c->delivery;
	const struct route *r = c->routes;
	while (!(d.dane == CONF_DANE_ONLY && d.tls == DELIVERY_TLS_NONE)) {
		if (r == NULL)
			return false;
		conf_delivery_of(&d, c, r);
		r = r->next;
	}
	return true;
}

/* Keys that contradict each other. */
static int
contradict(struct setting *s)
{
	const struct conf *c = s->c;
	if (is_world(&c->receive.relay_nets) && c->receive.open_relay == CONF_NO)
		return conf_complain_of(s, "relay_nets",
			"makes an open relay; open_relay = yes if that is meant");
	if (!CONF_HAS_TLS && c->tls.certificate != NULL)
		return conf_complain_of(s, "tls_certificate", VALUE_NO_TLS);
	if (!CONF_HAS_TLS && c->delivery.tls_implicit == CONF_YES)
		return conf_complain_of(s, "delivery_tls_implicit", VALUE_NO_TLS);
	if (!CONF_HAS_FETCH && c->relay.mta_sts == CONF_YES)
		return conf_complain_of(s, "mta_sts", VALUE_NO_STS);
	if (!CONF_HAS_TLS && c->tls_reports.on == CONF_YES)
		return conf_complain_of(s, "tls_reports", VALUE_NO_TLS);
	if (wants_dane_in_clear(c))
		return conf_complain_of(s, "dane", "only needs TLS, and delivery_tls is none");
	if (c->tls.key != NULL && c->tls.certificate != NULL &&
		span_words(span_of(c->tls.key)) != span_words(span_of(c->tls.certificate)))
		return conf_complain_of(s, "tls_key", "needs as many files as tls_certificate has");
	bool needed = c->tls.mode == TLS_REQUIRED || c->tls.mode == TLS_IMPLICIT;
	if (c->tls.certificate == NULL && needed)
		return conf_complain_of(s, "tls", "needs tls_certificate");
	if (c->submission.force_from != NULL && !span_is_ascii(span_of(c->submission.force_from)))
		return conf_complain_of(s, "force_from", "is beyond ASCII, which few hosts take");
	if (c->tls_reports.from != NULL && !span_is_ascii(span_of(c->tls_reports.from)))
		return conf_complain_of(s, "tls_reports_from",
			"is beyond ASCII, which few hosts take");
	if (c->auth.dovecot != NULL && c->auth.saslauthd != NULL)
		return conf_complain_of(s, "auth_dovecot", "is for hosts without auth_saslauthd");
	return 0;
}

int
together_check(struct setting *s)
{
	int r = contradict(s);
	if (r == 0)
		check_proxies(s);
	return r;
}
