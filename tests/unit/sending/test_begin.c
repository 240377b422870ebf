/*
 * begin: what a greeting and a reply to EHLO mean, and what is tried when the host refuses (R60,
 * R65, R70, R71), and what is told of TLS (R86).
 */
#include "tests/unit/sending/sent.h"

#include <signal.h>

#include "sending/begin.h"
#include "sending/sasl.h"
#include "sending/tlsclient.h"

static struct link l; /* large */
static struct host host;

/* Begins by these terms, with a host that does what the script says. */
static enum outcome
begin(const struct link_terms *terms, const struct host_script *script)
{
	static struct tls_setup setup = { .authorities = -1 };
	buf_free(&l.text);
	l.text = (struct buf){ 0 };
	l.terms = *terms;
	if (l.terms.conf == NULL)
		l.terms.conf = &patient;
	l.terms.hostname = "us.example";
	l.terms.timeout_tls = 60;
	l.terms.tls_setup = &setup;
	l.terms.peer = (struct resume){ .dir = -1, .host = "mx.example" };
	enum outcome o = begin_link(&l, host_start(&host, script));
	assert_int_equal(l.fd >= 0, o == DONE);
	return o;
}

static void
part(void)
{
	link_quit(&l, INT64_MAX);
	host_join(&host);
}

/* ---- EHLO ------------------------------------------------------------------------------------ */

/* In any case; what is not known, and odd values, mean nothing; the first line is a name. */
static void
test_keywords(void **state)
{
	(void)state;
	static const struct {
		const char *ehlo;
		unsigned can;
		int64_t size, mails, rcpts, domains, by;
	} rows[] = {
		{ .ehlo = "250 mx" },
		{ .ehlo = "250 SIZE 1000" },
		{ .ehlo = "250-PIPELINING/250 X" },
		{ .ehlo = "250-mx/250" },
		{ .ehlo = "250-mx/250-/250 PIPELINING", .can = CAN_PIPELINING },
		{ .ehlo = "250-mx/250-pipelining/250-8BITmime/250 CHUNKING",
			.can = CAN_PIPELINING | CAN_8BITMIME | CAN_CHUNKING },
		{ .ehlo = "250-mx/250-BINARYMIME/250-SMTPUTF8/250-DSN/250 MT-PRIORITY MIXER",
			.can = CAN_BINARYMIME | CAN_SMTPUTF8 | CAN_DSN | CAN_PRIORITY },
		{ .ehlo = "250-mx/250-STARTTLS/250 REQUIRETLS",
			.can = CAN_STARTTLS | CAN_REQUIRETLS },
		{ .ehlo = "250-mx/250-PIPELININGS/250-PIPE/250 XPIPELINING" },
		{ .ehlo = "250-mx/250 SIZE", .can = CAN_SIZE },
		{ .ehlo = "250-mx/250 SIZE 1000", .can = CAN_SIZE, .size = 1000 },
		{ .ehlo = "250-mx/250 SIZE  1000 ", .can = CAN_SIZE, .size = 1000 },
		{ .ehlo = "250-mx/250 SIZE 0", .can = CAN_SIZE },
		{ .ehlo = "250-mx/250 SIZE -1", .can = CAN_SIZE },
		{ .ehlo = "250-mx/250 SIZE 10 20", .can = CAN_SIZE },
		{ .ehlo = "250-mx/250 SIZE 1x", .can = CAN_SIZE },
		{ .ehlo = "250-mx/250 SIZE 99999999999999999999", .can = CAN_SIZE },
		{ .ehlo = "250-mx/250-SIZE 1000/250 SIZE 2000", .can = CAN_SIZE, .size = 2000 },
		{ .ehlo = "250-mx/250-SIZE 2000/250 SIZE 1000", .can = CAN_SIZE, .size = 2000 },
		{ .ehlo = "250-mx/250-SIZE 2000/250 SIZE", .can = CAN_SIZE },
		{ .ehlo = "250-mx/250-SIZE/250 SIZE 2000", .can = CAN_SIZE },
		{ .ehlo = "250-mx/250 DELIVERBY", .can = CAN_DELIVERBY },
		{ .ehlo = "250-mx/250 DELIVERBY 240", .can = CAN_DELIVERBY, .by = 240 },
		{ .ehlo = "250-mx/250 DELIVERBY 240,other", .can = CAN_DELIVERBY, .by = 240 },
		{ .ehlo = "250-mx/250 LIMITS MAILMAX=1 RCPTMAX=20 RCPTDOMAINMAX=3", .mails = 1,
			.rcpts = 20, .domains = 3 },
		{ .ehlo = "250-mx/250 limits mailmax=1 XMAX=5 rcptmax=x", .mails = 1 },
		{ .ehlo = "250-mx/250 LIMITS", .mails = 0 },
		{ .ehlo = "250-mx/250 LIMITS RCPTMAX RCPTMAX= RCPTMAX=7=8", .rcpts = 7 },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct host_script script = { .greeting = "220-mx/220 SIZE 5",
			.ehlo = rows[i].ehlo };
		const struct link_terms clear = { .policy = DELIVERY_TLS_NONE };
		if (begin(&clear, &script) != DONE)
			fail_msg("%s: %.*s", rows[i].ehlo, (int)l.text.n, l.text.p);
		const struct link_host *h = &l.host;
		if (h->can != rows[i].can || h->limit.size != rows[i].size ||
			h->limit.mails != rows[i].mails || h->limit.rcpts != rows[i].rcpts ||
			h->limit.domains != rows[i].domains || h->limit.by != rows[i].by)
			fail_msg("%s", rows[i].ehlo);
		assert_false(h->helo);
		assert_int_equal(h->mechanisms, 0);
		part();
	}
}

static void
test_mechanisms(void **state)
{
	(void)state;
	static const struct { const char *ehlo; unsigned known; } rows[] = {
		{ "250-mx/250 AUTH", 0 },
		{ "250-mx/250 AUTH CRAM-MD5 X", 0 },
		{ "250-mx/250 AUTH PLAIN LOGIN", 1U << 4 | 1U << 5 },
		{ "250-mx/250 auth scram-sha-256 SCRAM-SHA-256-PLUS", 1U << 1 | 1U << 0 },
		/* L42: what was said before there was a standard, and what is said twice */
		{ "250-mx/250 AUTH=PLAIN", 1U << 4 },
		{ "250-mx/250-AUTH=LOGIN PLAIN/250 AUTH SCRAM-SHA-1", 1U << 3 | 1U << 4 | 1U << 5 },
		{ "250-mx/250-AUTH PLAIN/250 AUTH LOGIN", 1U << 4 | 1U << 5 },
		{ "250-mx/250-AUTH PLAIN/250-AUTH/250 AUTH=", 1U << 4 },
		{ "250-mx/250 auth =login  Plain", 1U << 4 | 1U << 5 },
		{ "250-mx/250 AUTH= PLAIN,LOGIN", 1U << 4 | 1U << 5 },
		{ "250-mx/250 AUTH\tPLAIN\tLOGIN ", 1U << 4 | 1U << 5 },
		{ "250-mx/250-AUTHPLAIN/250 XAUTH PLAIN", 0 },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct host_script script = { .greeting = "220 mx", .ehlo = rows[i].ehlo };
		assert_int_equal(begin(&(struct link_terms){ 0 }, &script), DONE);
		assert_int_equal(l.host.mechanisms, rows[i].known);
		part();
	}
}

/* ---- what is tried, and when it is given up -------------------------------------------------- */

struct row {
	const char *exceptions;
	enum outcome outcome;
	bool helo, quit;
	const char *log; /* the commands that came, but for QUIT */
	bool lmtp, terms_helo;
	enum again again;
};

static const struct row rows[] = {
	{ "", DONE, .log = "EHLO us.example\n" },
	{ "GREETING1=554 no", SOFT, .quit = true, .log = "" },
	{ "GREETING1=421 no!", SOFT, .log = "" },
	{ "GREETING1=354 what", SOFT, .quit = true, .log = "" },
	{ "GREETING1=close", SOFT, .log = "" },
	{ "GREETING1=hello", SOFT, .log = "" },
	{ "GREETING1=220-a/221 b", DONE, .log = "EHLO us.example\n" }, /* L12 */
	{ "GREETING1=220-a/521 5.7.1 blocked", SOFT, .log = "" }, /* L17 */
	/* L11: what nobody asked for spoils the connection */
	{ "GREETING1=220 a/220 b", SOFT, .log = "" },
	{ "HELLO1=250-mx/250 PIPELINING/250 more", SOFT, .log = "EHLO us.example\n" },
	{ "HELLO1=500 no/500 what?", SOFT, .log = "EHLO us.example\n" },
	{ "HELLO1=500 what?", DONE, .helo = true, .log = "EHLO us.example\nHELO us.example\n" },
	{ "HELLO1=550 no|HELLO2=550 no", SOFT, .quit = true,
		.log = "EHLO us.example\nHELO us.example\n" },
	/* L22: a host that closes at EHLO, or behind its refusal, may know HELO */
	{ "HELLO1=502 no|HELLO2=close", SOFT, .log = "EHLO us.example\nHELO us.example\n",
		.again = AGAIN_HELO },
	{ "HELLO1=550 no!", SOFT, .log = "EHLO us.example\n", .again = AGAIN_HELO },
	{ "HELLO1=close", SOFT, .log = "LHLO us.example\n", .lmtp = true },
	{ "HELLO1=close", SOFT, .terms_helo = true, .log = "HELO us.example\n" },
	{ "HELLO1=2x0 odd", SOFT, .log = "EHLO us.example\n" },
	{ "HELLO1=421 later", SOFT, .quit = true, .log = "EHLO us.example\n" },
	{ "HELLO1=451 later", SOFT, .quit = true, .log = "EHLO us.example\n" },
	{ "HELLO1=close", SOFT, .log = "EHLO us.example\n", .again = AGAIN_HELO },
	{ "", DONE, .log = "LHLO us.example\n", .lmtp = true },
	{ "HELLO1=500 what?", SOFT, .quit = true, .log = "LHLO us.example\n", .lmtp = true },
	{ "", DONE, .helo = true, .terms_helo = true, .log = "HELO us.example\n" },
	{ "HELLO1=550 no", SOFT, .quit = true, .terms_helo = true, .log = "HELO us.example\n" },
};

static void
test_hello(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct row *row = &rows[i];
		const struct host_script script = { .greeting = "220 mx",
			.exceptions = row->exceptions, .ehlo = "250-mx/250 PIPELINING" };
		char want[128];
		patient.protocol = row->lmtp ? PROTOCOL_LMTP : PROTOCOL_SMTP;
		enum outcome o = begin(&(struct link_terms){ .helo = row->terms_helo }, &script);
		if (o != row->outcome || (o == DONE && l.host.helo != row->helo) ||
			(o == DONE && link_can(&l, CAN_PIPELINING) == row->helo))
			fail_msg("%s", row->exceptions);
		assert_int_equal(l.proof.again, row->again);
		part();
		snprintf(want, sizeof(want), "%s%s", row->log,
			row->quit || o == DONE ? "QUIT\n" : "");
		host.log[host.n] = '\0';
		if (strcmp(host.log, want) != 0)
			fail_msg("%s: %s, not %s", row->exceptions, host.log, want);
	}
}

/* ---- STARTTLS -------------------------------------------------------------------------------- */

#define OFFERED "250-mx/250 STARTTLS"

static void
test_starttls(void **state)
{
	(void)state;
	static const struct {
		const char *ehlo, *exceptions;
		enum conf_delivery_tls policy;
		enum outcome outcome;
		enum again again;
		bool nameless;
		enum tls_result came;
	} cases[] = {
		{ "250 mx", "", DELIVERY_TLS_MAY, DONE, AGAIN_NOT, false,
			TLS_RESULT_STARTTLS_NOT_SUPPORTED },
		{ "250 mx", "", DELIVERY_TLS_ENCRYPT, SOFT, AGAIN_NOT, false,
			TLS_RESULT_STARTTLS_NOT_SUPPORTED },
		{ "250 mx", "", DELIVERY_TLS_VERIFY, SOFT, AGAIN_NOT, false,
			TLS_RESULT_STARTTLS_NOT_SUPPORTED },
		{ OFFERED, "", DELIVERY_TLS_NONE, DONE, AGAIN_NOT, false,
			TLS_RESULT_UNKNOWN },
		{ OFFERED, "", DELIVERY_TLS_MAY, SOFT, AGAIN_CLEAR, false,
			TLS_RESULT_STARTTLS_NOT_SUPPORTED },
		{ OFFERED, "", DELIVERY_TLS_ENCRYPT, SOFT, AGAIN_NOT, false,
			TLS_RESULT_STARTTLS_NOT_SUPPORTED },
		{ OFFERED, "STARTTLS1=250 go", DELIVERY_TLS_MAY, SOFT, AGAIN_CLEAR, false,
			TLS_RESULT_STARTTLS_NOT_SUPPORTED },
		{ OFFERED, "STARTTLS1=close", DELIVERY_TLS_MAY, SOFT, AGAIN_CLEAR, false,
			TLS_RESULT_VALIDATION },
		{ OFFERED, "STARTTLS1=220 go/250 more", DELIVERY_TLS_MAY, SOFT, AGAIN_NOT, false,
			TLS_RESULT_VALIDATION },
		{ OFFERED "/250 more", "", DELIVERY_TLS_MAY, SOFT, AGAIN_NOT, false,
			TLS_RESULT_VALIDATION },
		/* closed, perhaps for the name that it was told (L23) */
		{ OFFERED, "STARTTLS1=220 go!", DELIVERY_TLS_MAY, SOFT, AGAIN_NAMELESS, false,
			TLS_RESULT_VALIDATION },
		{ OFFERED, "STARTTLS1=220 go!", DELIVERY_TLS_ENCRYPT, SOFT, AGAIN_NAMELESS, false,
			TLS_RESULT_VALIDATION },
		{ OFFERED, "STARTTLS1=220 go!", DELIVERY_TLS_VERIFY, SOFT, AGAIN_NOT, false,
			TLS_RESULT_VALIDATION },
		{ OFFERED, "STARTTLS1=220 go!", DELIVERY_TLS_MAY, SOFT, AGAIN_CLEAR, true,
			TLS_RESULT_VALIDATION },
		{ OFFERED, "STARTTLS1=220 go!", DELIVERY_TLS_ENCRYPT, SOFT, AGAIN_NOT, true,
			TLS_RESULT_VALIDATION },
	};
	for (size_t i = 0; i < ROWS(cases); i++) {
		const struct host_script script = { .greeting = "220 mx", .ehlo = cases[i].ehlo,
			.exceptions = cases[i].exceptions };
		enum outcome o = begin(&(struct link_terms){ .policy = cases[i].policy,
			.nameless = cases[i].nameless }, &script);
		if (o != cases[i].outcome || l.proof.again != cases[i].again)
			fail_msg("%s, %s, %d: %d %d", cases[i].ehlo, cases[i].exceptions,
				(int)cases[i].policy, (int)o, (int)l.proof.again);
		if (strstr(cases[i].exceptions, "250 go") != NULL) { /* it was no consent */
			assert_memory_equal(l.text.p, "250 go", 6);
			assert_string_equal(l.came.reason, "250 go");
		}
		assert_int_equal(l.came.result, cases[i].came);
		assert_string_equal(l.came.banner, "mx");
		part();
	}
}

/* R86: what the host calls itself, whatever it says. */
static void
test_banner(void **state)
{
	(void)state;
	static char longest[400];
	memset(longest, 'x', sizeof(longest) - 1);
	memcpy(longest, "220 ", 4);
	static const struct { const char *greeting, *banner; } cases[] = {
		{ "220 mx.d.example ESMTP ready", "mx.d.example" },
		{ "220-mx.d.example ESMTP/220 more", "mx.d.example" },
		{ "220 mx.d.example", "mx.d.example" },
		{ "220  mx.d.example", "mx.d.example" },
		{ "220 m\x01\xc3 x", "m\\x01\\xc3" },
		{ "220", "" },
		{ longest, longest + 4 },
	};
	for (size_t i = 0; i < ROWS(cases); i++) {
		const struct host_script script = { .greeting = cases[i].greeting,
			.ehlo = "250 mx" };
		assert_int_equal(begin(&(struct link_terms){ 0 }, &script), DONE);
		size_t n = strlen(cases[i].banner);
		assert_int_equal(strlen(l.came.banner), n < LIMIT_DOMAIN ? n : LIMIT_DOMAIN);
		assert_memory_equal(l.came.banner, cases[i].banner, strlen(l.came.banner));
		assert_false(l.came.bound); /* nobody counts it */
		part();
	}
	const struct host_script refusal = { .greeting = "554 mx.d.example no" };
	assert_int_equal(begin(&(struct link_terms){ 0 }, &refusal), SOFT);
	assert_string_equal(l.came.banner, "");
	assert_int_equal(l.came.result, TLS_RESULT_UNKNOWN);
	part();
}

/* ---- AUTH ------------------------------------------------------------------------------------ */

static char user[] = "us", token[] = "secret";

static void
test_auth(void **state)
{
	(void)state;
	static const struct {
		const char *ehlo, *exceptions;
		bool clear; /* the login may be used in clear */
		enum outcome outcome;
		const char *command;
	} cases[] = {
		{ "250-mx/250 AUTH XOAUTH2", "", true, DONE, "AUTH XOAUTH2 " },
		{ "250-mx/250 AUTH XOAUTH2 OAUTHBEARER", "", true, DONE, "AUTH OAUTHBEARER " },
		{ "250-mx/250 AUTH XOAUTH2", "", false, SOFT, NULL },
		{ "250-mx/250 AUTH PLAIN", "", true, SOFT, NULL }, /* no password */
		{ "250 mx", "", true, SOFT, NULL },
		{ "250-mx/250 AUTH XOAUTH2", "AUTH1=535 no", true, SOFT, "AUTH XOAUTH2 " },
		{ "250-mx/250 AUTH XOAUTH2", "AUTH1=454 later", true, SOFT, "AUTH XOAUTH2 " },
		{ "250-mx/250 AUTH XOAUTH2", "AUTH1=close", true, SOFT, "AUTH XOAUTH2 " },
		{ "250-mx/250 AUTH XOAUTH2", "AUTH1=334 e30=|OTHER1=535 no", true, SOFT,
			"AUTH XOAUTH2 " },
		{ "250-mx/250 AUTH XOAUTH2", "AUTH1=334 e30=|OTHER1=235 yes", true, SOFT,
			"AUTH XOAUTH2 " },
	};
	for (size_t i = 0; i < ROWS(cases); i++) {
		const struct login login = { .user = user, .token = token };
		struct conf_delivery conf = patient;
		conf.auth_clear = cases[i].clear ? CONF_YES : CONF_NO;
		const struct host_script script = { .greeting = "220 mx", .ehlo = cases[i].ehlo,
			.exceptions = cases[i].exceptions };
		enum outcome o =
			begin(&(struct link_terms){ .conf = &conf, .login = &login }, &script);
		if (o != cases[i].outcome || l.proof.refused != (o != DONE) ||
			(l.proof.mechanism != NULL) != (o == DONE))
			fail_msg("%s, %s", cases[i].ehlo, cases[i].exceptions);
		if (!cases[i].clear)
			assert_memory_equal(l.text.p, "AUTH: not without TLS", l.text.n);
		part();
		host.log[host.n] = '\0';
		const char *said = strstr(host.log, "AUTH ");
		if (cases[i].command == NULL)
			assert_null(said);
		else
			assert_memory_equal(said, cases[i].command, strlen(cases[i].command));
	}
}

static const struct try {
	const char *offered, *exceptions;
	const char *tried; /* ... and "again", if the next connection is to begin with a plain one */
	enum outcome outcome;
	const char *text;  /* in the end, of the host or of ours */
} tries[] = {
	{ "PLAIN", "", "PLAIN ", DONE, "" },
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=504 no", "SCRAM-SHA-256 PLAIN ", DONE, "" },
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=534 5.7.9 weak", "SCRAM-SHA-256 PLAIN ", DONE, "" },
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=432 5.7.12 move", "SCRAM-SHA-256 PLAIN ", DONE, "" },
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=501 what", "SCRAM-SHA-256 PLAIN ", DONE, "" },
	{ "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN", "AUTH1=504 no|AUTH2=504 no",
		"SCRAM-SHA-256 SCRAM-SHA-1 PLAIN ", DONE, "" },
	{ "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN", "AUTH1=504|AUTH2=504|AUTH3=504|AUTH4=504 no",
		"SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN ", SOFT, "504 no" },
	{ "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN", "AUTH1=535 no", "SCRAM-SHA-256 PLAIN ", DONE, "" },
	{ "SCRAM-SHA-256 SCRAM-SHA-1", "AUTH1=535 no|AUTH2=535 no",
		"SCRAM-SHA-256 SCRAM-SHA-1 ", SOFT, "535 no" },
	{ "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN", "AUTH1=535 no|AUTH2=535 never",
		"SCRAM-SHA-256 PLAIN ", SOFT, "535 never" },
	{ "SCRAM-SHA-256 PLAIN LOGIN", "AUTH1=504 no|AUTH2=535 no|AUTH3=504 never",
		"SCRAM-SHA-256 PLAIN LOGIN ", SOFT, "504 never" },
	{ "PLAIN", "AUTH1=535 no", "PLAIN ", SOFT, "535 no" },
	/* trouble, but with what? with a plain one it is the host's */
	{ "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN", "AUTH1=454 later", "SCRAM-SHA-256 PLAIN ", DONE, "" },
	{ "SCRAM-SHA-256 PLAIN LOGIN", "AUTH1=435 no|AUTH2=454 later", "SCRAM-SHA-256 PLAIN ",
		SOFT, "454 later" },
	{ "PLAIN LOGIN", "AUTH1=454 later", "PLAIN ", SOFT, "454 later" },
	/* it breaks off; by the next connection the plainest comes first, if there is one */
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=close", "SCRAM-SHA-256 again ", SOFT,
		"AUTH: connection closed by the host" },
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=421 bye", "SCRAM-SHA-256 again ", SOFT, "421 bye" },
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=535 no|AUTH2=close", "SCRAM-SHA-256 PLAIN again ", SOFT,
		"AUTH: connection closed by the host" },
	{ "SCRAM-SHA-256", "AUTH1=close", "SCRAM-SHA-256 ", SOFT,
		"AUTH: connection closed by the host" },
	{ "PLAIN LOGIN", "AUTH1=close", "PLAIN ", SOFT, "AUTH: connection closed by the host" },
	/* its first challenge is none: that is trouble with the mechanism, too */
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=334 !?|OTHER1=501 given up", "SCRAM-SHA-256 PLAIN ", DONE,
		"" },
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=334 |OTHER1=535 no", "SCRAM-SHA-256 PLAIN ", DONE, "" },
	{ "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN", "AUTH1=334 !?|OTHER1=535 no|AUTH2=504 no",
		"SCRAM-SHA-256 SCRAM-SHA-1 PLAIN ", DONE, "" },
	{ "SCRAM-SHA-256", "AUTH1=334 !?|OTHER1=535 no", "SCRAM-SHA-256 ", SOFT,
		"AUTH: the host's first challenge makes no sense" },
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=334 bm90IHNvCg==|OTHER1=454 what?",
		"SCRAM-SHA-256 PLAIN ", DONE, "" },
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=334 !?|OTHER1=close", "SCRAM-SHA-256 again ", SOFT,
		"AUTH: connection closed by the host" },
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=334 !?|OTHER1=235 yes", "SCRAM-SHA-256 ", SOFT,
		"AUTH: the host did not prove that it knows our password" },
	/* an impostor, or one who wants to guess, hears nothing more */
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=235 yes", "SCRAM-SHA-256 ", SOFT,
		"AUTH: the host did not prove that it knows our password" },
	{ "LOGIN", "AUTH1=334 |OTHER1=334|OTHER2=235 yes", "LOGIN ", DONE, "" },
	{ "LOGIN", "AUTH1=334 Username:|OTHER1=334 !?|OTHER2=235 yes", "LOGIN ", DONE, "" },
	{ "LOGIN", "AUTH1=334 UGFzc3dvcmQ6|OTHER1=334 UGFzc3dvcmQ6|OTHER2=235 yes", "LOGIN ",
		DONE, "" },
	/* one that repeats what it does not understand does so for us alone */
	{ "PLAIN", "AUTH1=500 5.5.1 what? AUTH PLAIN AHVzAHNlY3JldA==", "PLAIN ", SOFT,
		"500 5.5.1 what? AUTH PLAIN (hidden)" },
	{ "PLAIN", "AUTH1=535-us secret/535 5.7.8 no", "PLAIN ", SOFT, "535-us (hidden) 5.7.8 no" },
	{ "LOGIN", "AUTH1=334 |OTHER1=334|OTHER2=500 what? c2VjcmV0", "LOGIN ", SOFT,
		"500 what? (hidden)" },
	{ "CRAM-MD5 NTLM", "", "", SOFT,
		"AUTH: the host offers nothing that is safe with it: CRAM-MD5 NTLM" },
};

/* Where others are known to fail. */
static const struct try plain_tries[] = {
	{ "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN", "", "PLAIN ", DONE, "" },
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=close", "PLAIN ", SOFT,
		"AUTH: connection closed by the host" },
	{ "SCRAM-SHA-256 PLAIN", "AUTH1=504 no|AUTH2=close", "PLAIN SCRAM-SHA-256 ", SOFT,
		"AUTH: connection closed by the host" },
	{ "SCRAM-SHA-256 PLAIN LOGIN", "AUTH1=535 no|AUTH2=535 never", "PLAIN LOGIN ", SOFT,
		"535 never" },
};

/* Does the row come about? `plain`: it is known that nothing else works there. */
static void
try_row(const struct try *row, const struct login *login, bool plain)
{
	struct conf_delivery conf = patient;
	char ehlo[128], tried[128] = "";
	conf.auth_clear = CONF_YES;
	snprintf(ehlo, sizeof(ehlo), "250-mx/250 AUTH %s", row->offered);
	const struct host_script script = { .greeting = "220 mx", .ehlo = ehlo,
		.exceptions = row->exceptions };
	const struct link_terms terms = { .conf = &conf, .login = login, .plain = plain };
	enum outcome o = begin(&terms, &script);
	if (o != row->outcome ||
		(o != DONE && !span_eq(buf_span(&l.text), span_of(row->text))))
		fail_msg("%s, %s: %d, %.*s", row->offered, row->exceptions, (int)o, (int)l.text.n,
			l.text.p);
	part();
	host.log[host.n] = '\0';
	for (const char *p = host.log; (p = strstr(p, "AUTH ")) != NULL; p += 5) {
		size_t n = strcspn(p + 5, " \n");
		snprintf(tried + strlen(tried), sizeof(tried) - strlen(tried), "%.*s ", (int)n,
			p + 5);
	}
	if (l.proof.again == AGAIN_PLAIN)
		snprintf(tried + strlen(tried), sizeof(tried) - strlen(tried), "again ");
	if (strcmp(tried, row->tried) != 0)
		fail_msg("%s, %s: %s", row->offered, row->exceptions, tried);
}

/*
 * L43: a mechanism that is refused is not the user; the next one, by the same connection. A refusal
 * of the user, or trouble, is followed by one more, the plainest. L40: LOGIN's challenges mean
 * nothing.
 */
static void
test_next_mechanism(void **state)
{
	(void)state;
	static char password[] = "secret";
	const struct login login = { .user = user, .password = password,
		.library = sasl_library_open() };
	assert_non_null(login.library);
	for (size_t i = 0; i < ROWS(tries); i++)
		try_row(&tries[i], &login, false);
	for (size_t i = 0; i < ROWS(plain_tries); i++)
		try_row(&plain_tries[i], &login, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keywords),
		cmocka_unit_test(test_mechanisms),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_banner),
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_next_mechanism),
	};
	signal(SIGPIPE, SIG_IGN); /* as in the relay */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
