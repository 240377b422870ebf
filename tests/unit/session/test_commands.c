/* commands: what is one, when it may come, what counts against a client, what is logged of it. */
#include "tests/unit/session/configured.h"

#include "lib/clock.h"
#include "session/commands.h"

static struct session s; /* large */

enum { HELO = 1, SECURE = 2, LOCAL = 4, MAIL = 8, RCPT = 16 };

static enum reply
answer(const char *line)
{
	return commands_answer(&s, STREAM_OK, guarded(span_of(line)));
}

/* A client anywhere, that said this much. */
static void
enter(const char *conf, unsigned said)
{
	configure(&s.conf, conf);
	s.spool = SPOOL_CLOSED; /* nothing is written before the data */
	s.client.end = CLOCK_NEVER;
	s.monitor = -1;
	s.client.peer =
		(struct peer){ .socket = true, .place = (said & LOCAL) != 0 ? PEER_HERE : PEER_AT };
	s.client.secure = (said & SECURE) != 0;
	s.client.idle = 0;
	s.client.hush = false;
	transaction_drop(&s.client.transaction);
	s.client.said = (struct said){ .helo = "", .rights.any_domain = true };
	if ((said & HELO) != 0)
		snprintf(s.client.said.helo, sizeof(s.client.said.helo), "c.example");
	s.client.said.extended = (said & HELO) != 0;
	if ((said & MAIL) != 0) {
		s.client.said.helo[0] = s.client.said.helo[0] != '\0' ? s.client.said.helo[0] : 'x';
		enum conf_tls_mode tls = s.conf.tls.mode;
		s.conf.tls.mode = TLS_OFF;
		assert_int_equal(answer("MAIL FROM:<a@b.example>"), R_SENDER_OK);
		if ((said & RCPT) != 0)
			assert_int_equal(answer("RCPT TO:<c@d.example>"), R_RCPT_OK);
		s.conf.tls.mode = tls;
	}
}

#define NEEDS_TLS "tls = required\ntls_certificate = /c.pem\n"

static const struct row {
	const char *conf;
	unsigned said;
	const char *line;
	enum reply want;
} rows[] = {
	/* verbs: in any case, whole, up to a blank (R1, R18) */
	{ "", 0, "NOOP", R_FINE },
	{ "", 0, "noop", R_FINE },
	{ "", 0, "NoOp\t whatever ", R_FINE },
	{ "", 0, "NOO", R_UNKNOWN_COMMAND },
	{ "", 0, "NOOPS", R_UNKNOWN_COMMAND },
	{ "", 0, " NOOP", R_UNKNOWN_COMMAND },
	{ "", 0, "", R_UNKNOWN_COMMAND },
	{ "", 0, "GET / HTTP/1.1", R_NOT_SMTP }, /* B14 */
	{ "", 0, "post /", R_NOT_SMTP },
	{ "", 0, "PUT /", R_NOT_SMTP },
	{ "", 0, "HEAD /", R_NOT_SMTP },
	{ "", 0, "OPTIONS *", R_NOT_SMTP },
	{ "", 0, "CONNECT x:25", R_NOT_SMTP },
	{ "", 0, "DELETE / HTTP/1.1", R_NOT_SMTP },
	{ "", 0, "TRACE / HTTP/1.1", R_NOT_SMTP },
	{ "", 0, "patch / HTTP/1.1", R_NOT_SMTP },
	{ "", 0, "PRI * HTTP/2.0", R_NOT_SMTP },
	{ "", 0, "GETX", R_UNKNOWN_COMMAND },
	{ "", 0, "Host: x", R_NOT_SMTP },
	{ "", 0, "Host:x", R_NOT_SMTP },
	{ "", 0, "\026\003\001", R_NOT_SMTP },
	{ "", 0, "\200", R_NOT_SMTP },
	{ "", 0, "@", R_NOT_SMTP },
	{ "", 0, "[", R_NOT_SMTP },
	{ "", 0, "`", R_NOT_SMTP },
	{ "", 0, "{", R_NOT_SMTP },
	{ "", 0, "1", R_NOT_SMTP },
	{ "", 0, "A", R_UNKNOWN_COMMAND },
	{ "", 0, "z", R_UNKNOWN_COMMAND },
	{ "", 0, " ", R_UNKNOWN_COMMAND },
	{ "", 0, "\t1", R_UNKNOWN_COMMAND },
	{ "", 0, "REPORT / HTTP/1.1", R_NOT_SMTP },
	{ "", 0, "DESCRIBE x RTSP/1.0\t", R_NOT_SMTP },
	{ "", 0, "REPORT / HTTP/11", R_UNKNOWN_COMMAND },
	{ "", 0, "REPORT / HTTP/1.", R_UNKNOWN_COMMAND },
	{ "", 0, "REPORT / HTTP/x.1", R_UNKNOWN_COMMAND },
	{ "", 0, "REPORT / HTTP/1.1x", R_UNKNOWN_COMMAND },
	{ "", 0, "REPORT HTTP1/1.1", R_UNKNOWN_COMMAND },
	{ "", 0, "REPORT /1.1", R_UNKNOWN_COMMAND },
	{ "", 0, "HTTP/1.1", R_UNKNOWN_COMMAND }, /* what is versioned stands behind something */
	{ "", 0, "NOOP x HTTP/1.1", R_FINE },
	/* arguments where they belong (R20) */
	{ "", 0, "EHLO", R_EHLO_SYNTAX },
	{ "", 0, "HELO  ", R_HELO_SYNTAX },
	{ "", HELO, "MAIL", R_MAIL_SYNTAX },
	{ "", HELO | MAIL, "RCPT", R_RCPT_SYNTAX },
	{ "", HELO | MAIL | RCPT, "DATA now", R_DATA_SYNTAX },
	{ "", 0, "RSET x", R_RSET_SYNTAX },
	{ "", 0, "QUIT x", R_QUIT_SYNTAX },
	{ "", 0, "VRFY", R_VRFY_SYNTAX },
	{ "", 0, "STARTTLS x", R_TLS_SYNTAX },
	{ "", HELO, "AUTH", R_AUTH_SYNTAX },
	{ "", 0, "BDAT", R_BDAT_SYNTAX },
	{ "", 0, "BDAT x", R_BDAT_SYNTAX },
	/* what needs no EHLO, and what does (R7) */
	{ "", 0, "EHLO c.example", R_EHLO },
	{ "", 0, "HELO c.example", R_HELO },
	{ "", 0, "EHLO -c-", R_EHLO }, /* L53: a client of this site */
	{ "", 0, "EHLO two words", R_EHLO_SYNTAX },
	{ "", 0, "RSET", R_FINE },
	{ "", 0, "HELP MAIL", R_HELP },
	{ "", 0, "VRFY a", R_VRFY },
	{ "", 0, "EXPN a", R_NOT_IMPLEMENTED },
	{ "", 0, "QUIT ", R_BYE },
	{ "", 0, "MAIL FROM:<a@b.example>", R_NEED_HELO },
	{ "", 0, "AUTH PLAIN", R_NEED_HELO },
	{ "", 0, "RCPT TO:<a@b.example>", R_NEED_MAIL },
	{ "", 0, "DATA", R_NEED_MAIL },
	{ "", 0, "BDAT 0", R_NEED_MAIL },
	{ "", HELO, "MAIL FROM:<a@b.example>", R_SENDER_OK },
	{ "", HELO | MAIL, "DATA", R_NEED_RCPT },
	{ "", HELO | MAIL, "MAIL FROM:<a@b.example>", R_NESTED_MAIL },
	{ "", HELO | MAIL | RCPT, "DATA", R_START_DATA },
	{ "", HELO, "AUTH PLAIN", R_NOT_IMPLEMENTED },
	{ "auth_users = /u\n", HELO, "AUTH PLAIN", R_AUTH_CLEAR },
	{ "auth_users = /u\n", HELO, "AUTH X", R_AUTH_UNKNOWN },
	/* ... where only a password would do, too (RFC 4954 section 4) */
	{ "auth_saslauthd = /s\n", HELO, "AUTH PLAIN", R_AUTH_CLEAR },
	{ "auth_dovecot = /d\n", HELO, "AUTH LOGIN", R_AUTH_CLEAR },
	{ "auth_dovecot = /d\n", HELO, "AUTH SCRAM-SHA-256", R_AUTH_UNKNOWN },
	{ "auth_users = /u\n", HELO | MAIL, "AUTH SCRAM-SHA-1", R_AUTH_LATE },
	{ "auth_users = /u\n", HELO, "AUTH SCRAM-SHA-1 x y", R_AUTH_SYNTAX },
	{ "", 0, "STARTTLS", R_NOT_IMPLEMENTED }, /* L59b */
	{ "tls = off\ntls_certificate = /c.pem\n", 0, "STARTTLS", R_NOT_IMPLEMENTED },
	/* no program gets ready for it here (L44) */
	{ "tls_certificate = /c.pem\n", 0, "STARTTLS", R_TLS_UNAVAILABLE },
	{ "tls_certificate = /c.pem\n", SECURE, "STARTTLS", R_TLS_ACTIVE },
	/* without TLS where it is required: only what leads to it (RFC 3207 section 4) */
	{ NEEDS_TLS, HELO, "MAIL FROM:<a@b.example>", R_NEED_TLS },
	{ NEEDS_TLS, 0, "MAIL FROM:<a@b.example>", R_NEED_TLS },
	{ NEEDS_TLS, HELO, "MAIL", R_MAIL_SYNTAX },
	{ NEEDS_TLS, HELO | MAIL, "RCPT TO:<a@b.example>", R_NEED_TLS },
	{ NEEDS_TLS, HELO | MAIL | RCPT, "DATA", R_NEED_TLS },
	{ NEEDS_TLS, HELO, "AUTH PLAIN", R_NEED_TLS },
	{ NEEDS_TLS, HELO, "VRFY a", R_NEED_TLS },
	{ NEEDS_TLS, HELO, "EXPN a", R_NEED_TLS },
	{ NEEDS_TLS, 0, "EHLO c.example", R_EHLO },
	{ NEEDS_TLS, 0, "HELO c.example", R_HELO },
	{ NEEDS_TLS, 0, "STARTTLS", R_TLS_UNAVAILABLE },
	{ NEEDS_TLS, 0, "NOOP", R_FINE },
	{ NEEDS_TLS, 0, "RSET", R_FINE },
	{ NEEDS_TLS, 0, "HELP", R_HELP },
	{ NEEDS_TLS, 0, "QUIT", R_BYE },
	{ NEEDS_TLS, 0, "BDAT 0", R_NEED_MAIL },
	{ NEEDS_TLS, HELO | SECURE, "MAIL FROM:<a@b.example>", R_SENDER_OK },
	{ NEEDS_TLS, HELO | LOCAL, "MAIL FROM:<a@b.example>", R_SENDER_OK },
};

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct row *row = &rows[i];
		enter(row->conf, row->said);
		enum reply r = answer(row->line);
		if (r != row->want)
			fail_msg("row %zu, \"%s\": %s", i, row->line, reply_row(r)->text);
	}
}

/* What the stream says of a line that is none. */
static void
test_no_line(void **state)
{
	(void)state;
	static const struct {
		enum stream_result res;
		const char *line;
		enum reply want;
	} lines[] = {
		{ STREAM_TOO_LONG, "", R_LINE_TOO_LONG },
		{ STREAM_BAD, "NOOP", R_BAD_LINE },
		{ STREAM_BAD, "BDAT 5", R_BDAT_SYNTAX }, /* its chunk may follow */
		{ STREAM_BAD, "bdat", R_BDAT_SYNTAX },
		{ STREAM_BAD, "NO\rOP", R_BAD_LINE },
		{ STREAM_BAD, "\026\003", R_NOT_SMTP }, /* B14 */
		{ STREAM_BAD, "GET / HTTP/1.1", R_NOT_SMTP },
		{ STREAM_FLOOD, "", R_FLOOD },
		{ STREAM_STOPPED, "", R_STOPPING },
		{ STREAM_TIMEOUT, "", R_TIMEOUT },
	};
	enter("", 0);
	s.client.stream.first = 'N';
	for (size_t i = 0; i < ROWS(lines); i++)
		assert_int_equal(commands_answer(&s, lines[i].res, guarded(span_of(lines[i].line))),
			lines[i].want);
}

/* B14: base64 behind an AUTH that was refused may begin with any of its letters. */
static void
test_response_that_nobody_waits_for(void **state)
{
	(void)state;
	static const char *const lines[] = { "1234", "+A==", "/A==", "=", "*" };
	for (size_t i = 0; i < ROWS(lines); i++) {
		enter("", HELO);
		assert_int_equal(answer(lines[i]), R_NOT_SMTP);
		s.client.hush = true;
		assert_int_equal(answer(lines[i]), R_UNKNOWN_COMMAND);
		assert_int_equal(answer("GET / HTTP/1.1"), R_NOT_SMTP);
	}
}

/* R5: EHLO and HELO drop the transaction and tell the name; one that is refused does not. */
static void
test_hello(void **state)
{
	(void)state;
	enter("", HELO | MAIL);
	assert_int_equal(answer("EHLO - c"), R_EHLO_SYNTAX);
	assert_true(s.client.transaction.open && s.client.said.extended);
	assert_string_equal(s.client.said.helo, "c.example");
	assert_int_equal(answer("HELO d.example"), R_HELO);
	assert_true(!s.client.transaction.open && !s.client.said.extended);
	assert_string_equal(s.client.said.helo, "d.example");
	assert_int_equal(answer("EHLO [192.0.2.1]"), R_EHLO);
	assert_true(s.client.said.extended);
	assert_string_equal(s.client.said.helo, "[192.0.2.1]");
}

/* Commands that bring no message nearer, also refused ones, come to an end; others are free. */
static void
test_idle(void **state)
{
	(void)state;
	static const char *const idle[] = { "NOOP", "RSET", "EHLO c.example", "HELO c.example",
		"HELP", "VRFY a", "EXPN a", "STARTTLS", "RSET x", "VRFY" };
	for (size_t i = 0; i < ROWS(idle); i++) {
		enter("", HELO);
		for (int n = 0; n < LIMIT_IDLE_COMMANDS; n++)
			assert_int_not_equal(answer(idle[i]), R_IDLE_COMMANDS);
		assert_int_equal(answer(idle[i]), R_IDLE_COMMANDS);
		assert_int_equal(answer("MAIL FROM:<a@b.example>"), R_SENDER_OK);
		assert_int_equal(answer("QUIT"), R_BYE);
	}
}

/* S24: a stranger gets fewer of them, and a chunk of nothing is one. */
static void
test_idle_stranger(void **state)
{
	(void)state;
	enter("", HELO);
	s.client.said.rights.any_domain = false;
	for (int n = 0; n < LIMIT_STRANGER_COMMANDS; n++)
		assert_int_equal(answer("NOOP"), R_FINE);
	assert_int_equal(answer("NOOP"), R_IDLE_COMMANDS);
	enter("", HELO | MAIL | RCPT);
	for (int n = 0; n < LIMIT_IDLE_COMMANDS; n++)
		assert_int_equal(answer("BDAT 0"), R_CHUNK_OK);
	assert_int_equal(answer("BDAT 0"), R_IDLE_COMMANDS);
}

/* S24: a stranger has some time for a message, however often it says something else. */
static void
test_patience(void **state)
{
	(void)state;
	int64_t wait = (int64_t)LIMIT_STRANGER_TIME * 1000, now = clock_ms();
	enter("timeout_command = 1d\n", HELO);
	session_progress(&s);
	assert_true(session_patience(&s) > now + wait); /* not so a client of this site */
	s.client.said.rights.any_domain = false;
	assert_int_equal(answer("NOOP"), R_FINE);
	int64_t until = session_patience(&s);
	assert_true(until >= now + wait && until == s.client.idle_end);
	/* Chunks have a rate to keep, whatever the time between them, and so has a client of this site. */
	s.client.transaction.open = s.client.transaction.chunked = true;
	s.client.data_start = now;
	for (int i = 0; i < 2; i++) {
		s.client.said.rights.any_domain = i > 0;
		s.client.transaction.size = 0;
		assert_int_equal(session_patience(&s), now + s.conf.receive.timeout_data * 1000);
		s.client.transaction.size = 2 * LIMIT_STRANGER_TIME * s.conf.receive.min_data_rate;
		assert_true(session_patience(&s) > until);
	}
	s.client.said.rights.any_domain = s.client.transaction.open = false;
	s.conf.receive.timeout_command = 1;
	assert_true(session_patience(&s) < until);
}

/* One recipient too many is no error (R25), but brings no message nearer. */
static void
test_idle_recipients(void **state)
{
	(void)state;
	enter("max_recipients = 100\n", HELO | MAIL);
	for (int n = 0; n < 100; n++)
		assert_int_equal(answer("RCPT TO:<c@d.example>"), R_RCPT_OK);
	assert_int_equal(s.client.idle, 0);
	for (int n = 0; n < LIMIT_IDLE_COMMANDS; n++)
		assert_int_equal(answer("RCPT TO:<c@d.example>"), R_TOO_MANY_RCPT);
	assert_int_equal(answer("RCPT TO:<c@d.example>"), R_IDLE_COMMANDS);
}

/* S10: those beyond what the network may have are no errors either, and end it just as well. */
static void
test_idle_quota(void **state)
{
	(void)state;
	static char table[QUOTA_SIZE];
	enter("limit_recipients = 1\n", HELO | MAIL);
	quota_begin(&s.client.quota, table);
	quota_client(&s.client.quota, &(struct netaddr){ .ip = { 192, 0, 2, 1 } }, 86400);
	assert_int_equal(answer("RCPT TO:<c@d.example>"), R_RCPT_OK);
	for (int n = 0; n < LIMIT_IDLE_COMMANDS; n++)
		assert_int_equal(answer("RCPT TO:<c@d.example>"), R_QUOTA_RCPT);
	assert_int_equal(answer("RCPT TO:<c@d.example>"), R_IDLE_COMMANDS);
	assert_int_equal(s.client.transaction.draft.recipients, 1);
	quota_begin(&s.client.quota, NULL);
}

/* What AUTH brings, and what comes behind it while nothing is a command, is not for the log. */
static void
test_loggable(void **state)
{
	(void)state;
	static const struct {
		const char *line, *shown;
	} lines[] = {
		{ "MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>" },
		{ "dGVzdA==", "dGVzdA==" }, /* no AUTH went before */
		{ "BDAT 5 LAST", "BDAT" },
		{ "AUTH PLAIN AGEAYg==", "AUTH" },
		{ "AGEAYg==", "AUTH" },
		{ "c2VjcmV0", "AUTH" },
		{ "NOOP AGEAYg==", "NOOP AGEAYg==" }, /* a command: it waited */
		{ "c2VjcmV0", "c2VjcmV0" },
		{ " auth plain AGEAYg==", "AUTH" }, /* no command, but meant as one */
		{ "AUTHPLAIN AGEAYg==", "AUTH" },
		{ "quit", "quit" },
	};
	enter("", HELO);
	for (size_t i = 0; i < ROWS(lines); i++) {
		struct span line = guarded(span_of(lines[i].line));
		commands_hush(&s, line);
		struct span shown = commands_loggable(&s, line);
		if (!span_eq(shown, span_of(lines[i].shown)))
			fail_msg("%s: %.*s", lines[i].line, (int)shown.n, shown.p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_no_line),
		cmocka_unit_test(test_response_that_nobody_waits_for),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_idle_stranger),
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_idle_recipients),
		cmocka_unit_test(test_idle_quota),
		cmocka_unit_test(test_loggable),
	};
	return cmocka_run_group_tests_name("commands", tests, NULL, NULL);
}
