/* offers: what a client may use in each state of its connection. */
#include "tests/unit/session/configured.h"

#include "lib/cleanup.h"
#include "session/arguments.h"
#include "session/offers.h"

#define CERTIFICATE "tls_certificate = /c.pem\n"
#define USERS       "auth_users = /users\n"
#define SCRAM       " SCRAM-SHA-256 SCRAM-SHA-1"
#define SCRAM_PLUS  " SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1"
#define PASSWORD    " PLAIN LOGIN"

static struct session s; /* large */

/* L53: a client that may yet authenticate calls itself what it likes. */
enum { KNOWABLE = OFFER_AUTH | OFFER_ANY_NAME };

enum where { NET, UNIX, PIPE };

static const struct state {
	const char *name;
	enum where where;
	const char *conf;
	bool secure;
	const char *client, *user; /* of the certificate; who authenticated */
	const char *extensions;    /* those that not every client is offered */
	const char *mechanisms;    /* that would do, whether AUTH is offered or not */
	unsigned parameters;       /* and what else it may use */
} states[] = {
	{ "nothing is configured", NET, "", false, "", "", "", "", 0 },
	{ "... on a pipe", PIPE, "", false, "", "", "", PASSWORD, 0 },
	/* R66 */
	{ "TLS can be had", NET, CERTIFICATE, false, "", "", " STARTTLS", "", 0 },
	{ "... must be had", NET, CERTIFICATE "tls = required\n", false, "", "", " STARTTLS", "",
		0 },
	{ "... on this host", UNIX, CERTIFICATE, false, "", "", " STARTTLS", PASSWORD, 0 },
	{ "... not on a pipe", PIPE, CERTIFICATE, false, "", "", "", PASSWORD, 0 },
	{ "... is off", NET, CERTIFICATE "tls = off\n", false, "", "", "", "", 0 },
	{ "... is spoken", NET, CERTIFICATE, true, "", "", "", PASSWORD, 0 },
	/* R70: a password is never asked for in clear */
	{ "users", NET, USERS, false, "", "", " AUTH", SCRAM, KNOWABLE },
	{ "... with TLS", NET, CERTIFICATE USERS, true, "", "", " AUTH", SCRAM_PLUS PASSWORD,
		KNOWABLE },
	{ "... on this host", UNIX, USERS, false, "", "", " AUTH", SCRAM PASSWORD, KNOWABLE },
	{ "... in clear nevertheless", NET, USERS "auth_clear = yes\n", false, "", "", " AUTH",
		SCRAM PASSWORD, KNOWABLE },
	{ "... with a certificate", NET, CERTIFICATE USERS, true, "c.example", "", " AUTH",
		" EXTERNAL" SCRAM_PLUS PASSWORD, KNOWABLE },
	{ "a certificate, but no users", NET, CERTIFICATE, true, "c.example", "", "", PASSWORD, 0 },
	/* nothing of AUTH where it would only be told that TLS comes first (RFC 3207 section 4) */
	{ "users, and TLS must be had", NET, CERTIFICATE USERS "tls = required\n", false, "", "",
		" STARTTLS", SCRAM, OFFER_ANY_NAME },
	{ "... is spoken", NET, CERTIFICATE USERS "tls = required\n", true, "", "", " AUTH",
		SCRAM_PLUS PASSWORD, KNOWABLE },
	{ "... not by a user of this host", UNIX, CERTIFICATE USERS "tls = required\n", false, "", "",
		" STARTTLS AUTH", SCRAM PASSWORD, KNOWABLE },
	/* programs that are told a password know no SCRAM */
	{ "saslauthd in clear", NET, "auth_saslauthd = /s\n", false, "", "", "", "",
		OFFER_ANY_NAME },
	{ "saslauthd with TLS", NET, CERTIFICATE "auth_saslauthd = /s\n", true, "", "", " AUTH",
		PASSWORD, KNOWABLE },
	{ "Dovecot with TLS", NET, CERTIFICATE "auth_dovecot = /d\n", true, "", "", " AUTH",
		PASSWORD, KNOWABLE },
	/* R84 */
	{ "REQUIRETLS in clear", NET, CERTIFICATE "requiretls = yes\n", false, "", "", " STARTTLS",
		"", 0 },
	{ "REQUIRETLS with TLS", NET, CERTIFICATE "requiretls = yes\n", true, "", "", " REQUIRETLS",
		PASSWORD, OFFER_REQUIRETLS },
	{ "... not wanted", NET, CERTIFICATE "requiretls = no\n", true, "", "", "", PASSWORD, 0 },
	/* R88 */
	{ "a known client", NET, USERS, false, "", "a", " AUTH FUTURERELEASE MT-PRIORITY", SCRAM,
		KNOWABLE | OFFER_HOLD | OFFER_PRIORITY },
};

static void
enter(const struct state *st)
{
	configure(&s.conf, st->conf);
	s.client.peer = (struct peer){ .socket = st->where != PIPE,
		.place = st->where != NET ? PEER_HERE : PEER_AT };
	s.client.secure = st->secure;
	s.client.tls = (struct tlsinfo){ .binding.safe = true };
	snprintf(s.client.tls.client, sizeof(s.client.tls.client), "%s", st->client);
	snprintf(s.client.said.user, sizeof(s.client.said.user), "%s", st->user);
}

/* What EHLO lists, in its order, but for what every client is offered. */
static void
test_extensions(void **state)
{
	(void)state;
	static const char *const always[] = { "PIPELINING", "SIZE %z", "8BITMIME", "CHUNKING",
		"BINARYMIME", "SMTPUTF8", "DSN", "DELIVERBY", "LIMITS RCPTMAX=%r RCPTDOMAINMAX=%d",
		"ENHANCEDSTATUSCODES" };
	for (size_t i = 0; i < ROWS(states); i++) {
		struct buf b = buf_new(1024);
		size_t next = 0, common = 0;
		enter(&states[i]);
		for (const char *e; (e = offers_extension(&s, &next)) != NULL;) {
			bool known = false;
			for (size_t k = 0; k < ROWS(always); k++)
				known = known || strcmp(e, always[k]) == 0;
			common += known;
			if (!known)
				buf_printf(&b, " %.*s", (int)strcspn(e, " %"), e);
		}
		buf_add(&b, (struct span){ "", 1 });
		assert_int_equal(common, ROWS(always));
		if (strcmp(b.p, states[i].extensions) != 0)
			fail_msg("%s:%s", states[i].name, b.p);
		assert_null(offers_extension(&s, &next));
		buf_free(&b);
	}
}

static void
test_mechanisms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(states); i++) {
		struct buf b = buf_new(1024);
		enter(&states[i]);
		offers_add_mechanisms(&s, &b);
		buf_add(&b, (struct span){ "", 1 });
		if (strcmp(b.p, states[i].mechanisms) != 0)
			fail_msg("%s:%s", states[i].name, b.p);
		buf_free(&b);
	}
}

/* A parameter goes with its extension. */
static void
test_parameters(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(states); i++) {
		enter(&states[i]);
		if (offers_parameters(&s) != states[i].parameters)
			fail_msg("%s: %x", states[i].name, offers_parameters(&s));
	}
}

/* L41: where no binding is safe none is offered. */
static void
test_unbound(void **state)
{
	(void)state;
	enum reply refusal;
	auto_buf b = buf_new(1024);
	enter(&(struct state){ .conf = CERTIFICATE USERS, .secure = true, .client = "", .user = "" });
	s.client.tls.binding.safe = false;
	offers_add_mechanisms(&s, &b);
	assert_true(span_eq(buf_span(&b), span_of(SCRAM PASSWORD)));
	assert_non_null(offers_mechanism(&s, span_of("SCRAM-SHA-256-PLUS"), &refusal));
	assert_int_equal(refusal, R_AUTH_UNKNOWN);
}

/* L53, L56: a client that may send anywhere is held to less of the grammar. */
static void
test_of_this_site(void **state)
{
	(void)state;
	enter(&states[0]);
	s.client.said.rights.any_domain = true;
	assert_int_equal(offers_parameters(&s), OFFER_BARE | OFFER_ANY_NAME);
	s.client.said.rights.any_domain = false;
	assert_int_equal(offers_parameters(&s), 0);
}

/* Names in any case, nothing more and nothing less; why one is refused. */
static void
test_names(void **state)
{
	(void)state;
	static const struct {
		const char *name, *found; /* NULL: unknown */
		enum reply clear, secure;
	} rows[] = {
		{ "PLAIN", "PLAIN", R_AUTH_CLEAR, R_FINE },
		{ "login", "LOGIN", R_AUTH_CLEAR, R_FINE },
		{ "scram-sha-256", "SCRAM-SHA-256", R_FINE, R_FINE },
		{ "SCRAM-SHA-1", "SCRAM-SHA-1", R_FINE, R_FINE },
		{ "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS", R_AUTH_UNKNOWN, R_FINE },
		{ "EXTERNAL", "EXTERNAL", R_AUTH_UNKNOWN, R_AUTH_UNKNOWN },
		{ "PLAI", NULL, R_FINE, R_FINE },
		{ "PLAIN ", NULL, R_FINE, R_FINE },
		{ "CRAM-MD5", NULL, R_FINE, R_FINE },
		{ "", NULL, R_FINE, R_FINE },
	};
	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		enum reply refusal, want = i % 2 == 1 ? rows[i / 2].secure : rows[i / 2].clear;
		enter(&(struct state){ .conf = CERTIFICATE USERS, .secure = i % 2 == 1,
			.client = "", .user = "" });
		struct span given = guarded(span_of(rows[i / 2].name));
		const char *name = offers_mechanism(&s, given, &refusal);
		if (rows[i / 2].found == NULL) {
			assert_null(name);
			continue;
		}
		assert_string_equal(name, rows[i / 2].found);
		if (refusal != want)
			fail_msg("%s, %d: %s", name, (int)i % 2, reply_row(refusal)->text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_mechanisms),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_unbound),
		cmocka_unit_test(test_of_this_site),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests_name("offers", tests, NULL, NULL);
}
