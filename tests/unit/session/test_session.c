/* session: what one client leaves to the next: nothing. */
#include "tests/unit/spooled.h"

#include <sys/socket.h>

#include "session/commands.h"
#include "session/say.h"
#include "session/session.h"
#include "tests/unit/session/configured.h"

static struct session s; /* large */

static const struct peer peer = { .socket = true, .place = PEER_AT, .text = "[192.0.2.1]" };

/* Places of *c that are not zero; the first of them in *where. */
static size_t
count_left(const struct client *c, size_t *where)
{
	const char *p = (const char *)c;
	size_t n = 0;
	for (size_t i = sizeof(*c); i-- > 0;)
		if (p[i] != 0) {
			n++;
			*where = i;
		}
	return n;
}

static void
assert_nothing_left(void)
{
	size_t where = 0, n = count_left(&s.client, &where);
	if (n > 0)
		fail_msg("%zu octets are left, the first at %zu", n, where);
}

/* The client's side of a connection that *s has. */
static int
meet(const char *conf)
{
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	configure(&s.conf, conf);
	s.monitor = -1;
	session_begin(&s, &peer);
	session_forget(&s);
	s.client.stream.in = s.client.stream.out = fd[0];
	return fd[1];
}

static void
end(int theirs)
{
	int ours = s.client.stream.in;
	session_end(&s);
	close(ours);
	close(theirs);
}

/* Sends a line and answers it. */
static void
say(int theirs, const char *line)
{
	struct span got;
	assert_int_equal(write(theirs, line, strlen(line)), strlen(line));
	enum stream_result r = stream_line(&s.client.stream, LIMIT_COMMAND, LIMIT_COMMAND_JUNK,
		CLOCK_NEVER, &got);
	say_and_count(&s, commands_answer(&s, r, got), got);
}

static void
test_nothing_said(void **state)
{
	(void)state;
	end(meet(""));
	assert_nothing_left();
}

/* Of a transaction that ran, of one that was dropped, and of a draft that is in the spool's tmp/. */
static void
test_transaction(void **state)
{
	(void)state;
	size_t used;
	char text[3 * DRAFT_BUFFER];
	s.spool = sp;
	int theirs = meet("");
	s.client.said.rights.any_domain = true;
	say(theirs, "EHLO marker.example\r\n");
	say(theirs, "MAIL FROM:<marker@marker.example>\r\n");
	for (int i = 0; i < 5; i++) {
		char line[LIMIT_COMMAND];
		snprintf(line, sizeof(line), "RCPT TO:<m@marker%d.example>\r\n", i);
		say(theirs, line);
	}
	say(theirs, "RSET\r\n");
	say(theirs, "MAIL FROM:<m@m.example> SMTPUTF8\r\n");
	say(theirs, "RCPT TO:<m@n.example>\r\n");
	assert_int_equal(s.client.transaction.draft.recipients, 1);
	transaction_start_data(&s.client.transaction,
		&(struct trace){ .helo = "x", .hostname = "h", .with = "S", .with_utf8 = "U" }, false,
		false);
	(void)transaction_data(&s.client.transaction, span_of("held: back\r\n"), &used);
	memset(text, 'm', sizeof(text));
	draft_body(&s.client.transaction.draft, (struct span){ text, sizeof(text) });
	assert_int_equal(names("tmp"), 1);
	assert_int_equal(write(theirs, "unread", 6), 6);
	assert_true(stream_has_news(&s.client.stream));
	end(theirs);
	assert_nothing_left();
	assert_int_equal(names("tmp"), 0);
}

/* What stands in no buffer, and the end of a tls that nobody shook hands with. */
static void
test_states(void **state)
{
	(void)state;
	int pair[2];
	char octet;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	int theirs = meet("");
	struct client *c = &s.client;
	c->tls_ready = pair[0];
	c->secure = c->tls_failed = c->linger = c->hush = true;
	c->errors = c->idle = c->auth_failures = 3;
	memset(&c->tls, 'm', sizeof(c->tls));
	memset(c->check_text, 'm', sizeof(c->check_text));
	memset(&c->said, 'm', sizeof(c->said));
	memset(c->senders, 'm', sizeof(c->senders));
	c->senders_used = true;
	end(theirs);
	assert_nothing_left();
	assert_int_equal(read(pair[1], &octet, 1), 0);
	close(pair[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_said),
		TEST(test_transaction),
		cmocka_unit_test(test_states),
	};
	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
