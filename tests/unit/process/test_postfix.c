/* postfix: each event, in the words of Postfix's log. */
#include "tests/unit/unit.h"

#include <string.h>
#include <syslog.h>

#include "process/postfix.h"

#define ID	 "01jdp2x5qk7m3v9c4n8t"
#define CAPITALS "01JDP2X5QK7M3V9C4N8T"

static const struct {
	struct log_fields f;
	int priority;
	const char *program, *name, *want;
} rows[] = {
	{ { .event = "connected", .client = "[192.0.2.1]" }, LOG_INFO, "smtpd", "smtpd",
		"connect from unknown[192.0.2.1]" },
	{ { .event = "connected", .client = "[IPv6:2001:db8::1]" }, LOG_INFO, "smtpd", "smtpd",
		"connect from unknown[2001:db8::1]" },
	{ { .event = "disconnected", .client = "local" }, LOG_INFO, "smtpd", "smtpd",
		"disconnect from localhost[local]" },
	{ { .event = "lost", .client = "[192.0.2.1]", .command = "DATA" }, LOG_NOTICE, "smtpd",
		"smtpd", "lost connection after DATA from unknown[192.0.2.1]" },
	{ { .event = "too_many_errors", .client = "[192.0.2.1]", .command = "foo bar" }, LOG_NOTICE,
		"smtpd", "smtpd", "too many errors after FOO from unknown[192.0.2.1]" },
	{ { .event = "too_many_errors", .client = "[192.0.2.1]", .command = "\\x00" }, LOG_NOTICE,
		"smtpd", "smtpd", "too many errors after UNKNOWN from unknown[192.0.2.1]" },
	{ { .event = "auth_failed",
		  .client = "[192.0.2.1]",
		  .command = "AUTH",
		  .mechanism = "LOGIN" },
		LOG_NOTICE, "smtpd", "smtpd",
		"warning: unknown[192.0.2.1]: SASL LOGIN "
		"authentication failed: authentication failure" },
	{ { .event = "tls", .client = "[192.0.2.1]", .tls = "TLSv1.3 with cipher X" }, LOG_INFO,
		"smtpd", "smtpd",
		"Anonymous TLS connection established from unknown[192.0.2.1]: TLSv1.3 "
		"with cipher X" },
	{ { .event = "authenticated", .client = "[192.0.2.1]" }, LOG_INFO, "smtpd", NULL, NULL },

	/* refusals */
	{ { .event = "relay_denied",
		  .client = "[192.0.2.1]",
		  .queue_id = ID,
		  .sender = "a@b.example",
		  .helo = "h",
		  .protocol = "ESMTP",
		  .command = "RCPT TO:<u@d.example> X=<y>",
		  .reply = "550 5.7.1 Error: relaying denied" },
		LOG_NOTICE, "smtpd", "smtpd",
		CAPITALS
		": reject: RCPT from unknown[192.0.2.1]: 550 5.7.1 <u@d.example>: Relay access "
		"denied; from=<a@b.example> to=<u@d.example> proto=ESMTP helo=<h>" },
	{ { .event = "refused",
		  .client = "[192.0.2.1]",
		  .queue_id = ID,
		  .sender = "",
		  .helo = "h",
		  .protocol = "SMTP",
		  .command = "rcpt to:<u@d.example>",
		  .reply = "550 5.7.1 Error: gone; from=<x@y.example>" },
		LOG_NOTICE, "smtpd", "smtpd",
		CAPITALS
		": reject: RCPT from unknown[192.0.2.1]: 550 5.7.1 <u@d.example>: Recipient "
		"address rejected: gone, from=<x@y.example>; from=<> to=<u@d.example> proto=SMTP "
		"helo=<h>" },
	{ { .event = "refused",
		  .client = "[192.0.2.1]",
		  .helo = "h",
		  .protocol = "ESMTP",
		  .command = "MAIL FROM:<a@b.example> SIZE=9",
		  .reply = "552 5.3.4 Error: message too large" },
		LOG_NOTICE, "smtpd", "smtpd",
		"NOQUEUE: reject: MAIL from unknown[192.0.2.1]: 552 5.3.4 "
		"Message size exceeds fixed limit; proto=ESMTP helo=<h>" },
	{ { .event = "refused",
		  .client = "[192.0.2.1]",
		  .command = "MAIL FROM:<a@b.example>",
		  .reply = "553 5.7.1 Error: not a sender of this user" },
		LOG_NOTICE, "smtpd", "smtpd",
		"NOQUEUE: reject: MAIL from unknown[192.0.2.1]: 553 5.7.1 <a@b.example>: Sender "
		"address "
		"rejected: not a sender of this user; proto=SMTP helo=<>" },
	{ { .event = "refused",
		  .client = "[192.0.2.1]",
		  .command = "EHLO a b",
		  .reply = "501 Syntax: EHLO hostname" },
		LOG_NOTICE, "smtpd", "smtpd",
		"NOQUEUE: reject: EHLO from unknown[192.0.2.1]: 501 5.0.0 <>: Helo command "
		"rejected: "
		"Syntax: EHLO hostname; proto=SMTP helo=<>" },
	{ { .event = "refused",
		  .client = "[192.0.2.1]",
		  .command = "greeting",
		  .reply = "421 4.7.0 mx.example Error: too much from your network, try again "
			   "later" },
		LOG_NOTICE, "smtpd", "smtpd",
		"NOQUEUE: reject: CONNECT from unknown[192.0.2.1]: 421 4.7.0 "
		"<unknown[192.0.2.1]>: Client host rejected: too much from your network, try again "
		"later; proto=SMTP helo=<>" },
	{ { .event = "refused",
		  .client = "[192.0.2.1]",
		  .queue_id = ID,
		  .sender = "a@b.example",
		  .helo = "h",
		  .protocol = "ESMTP",
		  .command = "message",
		  .reply = "554 5.4.6 Error: too many hops" },
		LOG_NOTICE, "smtpd", "smtpd",
		CAPITALS
		": reject: END-OF-MESSAGE from unknown[192.0.2.1]: 554 5.4.6 <END-OF-MESSAGE>: "
		"Data "
		"command rejected: too many hops; from=<a@b.example> proto=ESMTP helo=<h>" },
	{ { .event = "refused",
		  .client = "[192.0.2.1]",
		  .command = "FOO",
		  .reply = "500 5.5.2 Error: command not recognized" },
		LOG_NOTICE, "smtpd", "smtpd",
		"warning: unknown[192.0.2.1]: \"FOO\": 500 5.5.2 Error: command not recognized" },
	{ { .event = "refused",
		  .client = "[192.0.2.1]",
		  .command = "RCPTX TO:<u@d.example>",
		  .reply = "500 5.5.2 Error: command not recognized" },
		LOG_NOTICE, "smtpd", "smtpd",
		"warning: unknown[192.0.2.1]: \"RCPTX TO:<u@d.example>\": 500 5.5.2 Error: command "
		"not "
		"recognized" },
	{ { .event = "refused", .client = "[192.0.2.1]" }, LOG_NOTICE, "smtpd", "smtpd",
		"warning: TEXT" },

	{ { .event = "refused",
		  .client = "[192.0.2.1]",
		  .command = "RCPT\\x09TO:<u@d.example>",
		  .reply = "500 5.5.2 Error: command not recognized" },
		LOG_NOTICE, "smtpd", "smtpd",
		"warning: unknown[192.0.2.1]: \"RCPT\\x09TO:<u@d.example>\": 500 5.5.2 Error: command "
		"not recognized" },

	/* hosts */
	{ { .event = "delivered",
		  .queue_id = ID,
		  .recipient = "u@d.example",
		  .relay = "mx[192.0.2.2]:25",
		  .delay = "0.120",
		  .status = "2.0.0",
		  .reply = "250 2.0.0 Ok" },
		LOG_INFO, "relay", "smtp",
		CAPITALS
		": to=<u@d.example>, relay=mx[192.0.2.2]:25, delay=0.120, dsn=2.0.0, status=sent "
		"(250 2.0.0 Ok)" },
	{ { .event = "deferred",
		  .queue_id = ID,
		  .recipient = "u@d.example",
		  .relay = "mx[192.0.2.2]:25",
		  .delay = "1.000",
		  .status = "4.2.1",
		  .reply = "450 4.2.1 busy" },
		LOG_NOTICE, "relay", "smtp",
		CAPITALS ": to=<u@d.example>, relay=mx[192.0.2.2]:25, delay=1.000, dsn=4.2.1, "
			 "status=deferred (host mx[192.0.2.2]:25 said: 450 4.2.1 busy)" },
	{ { .event = "bounced",
		  .queue_id = ID,
		  .recipient = "u@d.example",
		  .delay = "1.000",
		  .status = "5.1.2",
		  .reply = "no such domain" },
		LOG_NOTICE, "relay", "smtp",
		CAPITALS
		": to=<u@d.example>, relay=none, delay=1.000, dsn=5.1.2, status=bounced (no such "
		"domain)" },
	{ { .event = "report", .queue_id = ID, .report = ID }, LOG_INFO, "relay", "bounce",
		CAPITALS ": sender non-delivery notification: " CAPITALS },
	{ { .event = "report", .queue_id = ID }, LOG_NOTICE, "relay", "bounce", "warning: TEXT" },
	{ { .event = "host_connected", .relay = "mx[192.0.2.2]:25", .tls = "TLSv1.3" }, LOG_INFO,
		"relay", "smtp",
		"Untrusted TLS connection established to mx[192.0.2.2]:25: TLSv1.3" },
	{ { .event = "host_connected", .relay = "mx[192.0.2.2]:25",
		.tls = "TLSv1.3 X, not verified" }, LOG_INFO, "relay", "smtp",
		"Untrusted TLS connection established to mx[192.0.2.2]:25: TLSv1.3 X, not "
		"verified" },
	{ { .event = "host_connected", .relay = "mx[192.0.2.2]:25",
		.tls = "TLSv1.3 X, verified by DANE" }, LOG_INFO, "relay", "smtp",
		"Verified TLS connection established to mx[192.0.2.2]:25: TLSv1.3 X, verified by "
		"DANE" },
	{ { .event = "host_connected", .relay = "mx[192.0.2.2]:25" }, LOG_INFO, "relay", NULL,
		NULL },
	{ { .event = "lane_deferred", .lane = "d.example" }, LOG_NOTICE, "relay", "smtp",
		"warning: TEXT" },
	{ { .event = "renewed" }, LOG_INFO, "smtpd", "postlog", "TEXT" },
	{ { .event = "rewritten", .queue_id = ID, .client = "[192.0.2.1]" }, LOG_INFO, "smtpd",
		"postlog", "TEXT" },
	{ { .event = "tls_report", .queue_id = ID }, LOG_INFO, "postern-tlsreport", "postlog",
		"TEXT" },
	{ { .event = "tls_report" }, LOG_WARNING, "postern-tlsreport", "postern-tlsreport",
		"warning: TEXT" },
	{ { .event = NULL }, LOG_ERR, "auth", "auth", "warning: TEXT" },
};

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[1024];
		const char *name = postfix_line(
			rows[i].priority, &rows[i].f, rows[i].program, "TEXT", 0, out, sizeof(out));
		if (rows[i].name == NULL) {
			assert_null(name);
			continue;
		}
		assert_non_null(name);
		assert_string_equal(name, rows[i].name);
		assert_string_equal(out, rows[i].want);
		assert_null(postfix_line(rows[i].priority, &rows[i].f, rows[i].program, "TEXT", 1,
			out, sizeof(out)));
	}
}

static void
test_accepted(void **state)
{
	(void)state;
	static const char *const names[] = { "smtpd", "cleanup", "qmgr" };
	static const char *const want[] = { CAPITALS
		": client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=joe",
		CAPITALS ": message-id=<1@c.example>",
		CAPITALS ": from=<a@b.example>, size=12, nrcpt=2 (queue active)" };
	struct log_fields f = { .event = "accepted",
		.queue_id = ID,
		.client = "[192.0.2.1]",
		.sender = "a@b.example",
		.message_id = "1@c.example",
		.size = "12",
		.recipients = "2",
		.user = "joe",
		.mechanism = "PLAIN" };
	char out[1024];
	for (int part = 0; part < POSTFIX_PARTS; part++) {
		const char *name = postfix_line(LOG_INFO, &f, "smtpd", "x", part, out, sizeof(out));
		assert_string_equal(name, names[part]);
		assert_string_equal(out, want[part]);
	}
	assert_null(postfix_line(LOG_INFO, &f, "smtpd", "x", POSTFIX_PARTS, out, sizeof(out)));
	f.user = NULL;
	(void)postfix_line(LOG_INFO, &f, "smtpd", "x", 0, out, sizeof(out));
	assert_string_equal(out, CAPITALS ": client=unknown[192.0.2.1]");
	f.message_id = NULL;
	(void)postfix_line(LOG_INFO, &f, "smtpd", "x", 1, out, sizeof(out));
	assert_string_equal(out, CAPITALS ": message-id=<>");
}

/* However little room there is, nothing is written behind it, and it is a C string. */
static void
test_room(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t room = 1; room < 300; room++) {
			char *out = malloc(room);
			out[0] = '\0';
			(void)postfix_line(rows[i].priority, &rows[i].f, rows[i].program, "TEXT", 0,
				out, room);
			assert_true(strnlen(out, room) < room);
			free(out);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
