/* dialogue: what auth says to the responses of a client, and when it believes it (R70). */
#include "tests/unit/helpers/proving.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "helpers/dialogue.h"

static int session; /* the other end of the pair */

/* ---- a session that has said all before it listens ------------------------------------------- */

#define SPAN(literal) { literal, sizeof(literal) - 1 }
#define RAW "base64: " /* what stands behind is not encoded */

/* NULL: there is no initial response. */
static void
respond(struct span plain)
{
	static struct auth_text t;
	char *encoded = NULL;
	size_t n = 0;
	t.given = plain.p != NULL;
	if (span_istarts(plain, span_of(RAW))) {
		plain = span_skip(plain, strlen(RAW));
		n = plain.n;
		memcpy(t.text, plain.p, n);
	} else if (plain.n > 0) {
		assert_int_equal(gsasl_base64_to(plain.p, plain.n, &encoded, &n), GSASL_OK);
		memcpy(t.text, encoded, n);
	}
	t.text[n] = '\0';
	assert_true(send(session, &t, auth_text_size(n + 1), 0) > 0);
	gsasl_free(encoded);
}

/* What it is told then, one line for each: its kind, its text, and the text behind that. */
static void
hear_all(char *out, size_t size)
{
	static const char *const kinds[] = { [AUTH_CHALLENGE] = "challenge", [AUTH_DONE] = "done",
		[AUTH_REFUSED] = "refused", [AUTH_BAD_TEXT] = "bad", [AUTH_TROUBLE] = "trouble" };
	static struct auth_text t;
	size_t n = 0;
	out[0] = '\0';
	while (recv(session, &t, sizeof(t), MSG_DONTWAIT) > 0) {
		const char *more = t.text + strlen(t.text) + 1;
		n += (size_t)snprintf(out + n, size - n, "%s %s%s%s\n", kinds[t.result], t.text,
			more[0] != '\0' ? " " : "", more);
	}
}

enum { RESPONSES = 3 };

static void
begin_dialogue(const char *mechanism, const char *client, const struct span *responses, int n)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	begin_claim(mechanism);
	snprintf(c.hello.client, sizeof(c.hello.client), "%s", client != NULL ? client : "");
	c.session = pair[0];
	session = pair[1];
	for (int i = 0; i < n; i++)
		respond(responses[i]);
	assert_int_equal(shutdown(session, SHUT_WR), 0);
}

static void
run_dialogue(char *out, size_t size)
{
	Gsasl_session *s;
	assert_int_equal(gsasl_server_start(library, c.hello.mechanism, &s), GSASL_OK);
	dialogue_run(&c, s);
	gsasl_finish(s);
	close(c.session);
	hear_all(out, size);
	close(session);
}

/* ---- mechanisms ------------------------------------------------------------------------------ */

#define NAME     "challenge VXNlcm5hbWU6\n"
#define PASSWORD "challenge UGFzc3dvcmQ6\n"
#define JOE      "done joe " SENDERS "\n"

static const struct {
	const char *mechanism, *client;
	int n;
	struct span responses[RESPONSES];
	const char *want;
} rows[] = {
	{ "PLAIN", NULL, 1, { SPAN("\0joe\0pencil") }, JOE },
	{ "PLAIN", NULL, 1, { SPAN("\0max\0pencil") }, "done max\n" },
	{ "PLAIN", NULL, 1, { SPAN("\0JOE\0pencil") }, JOE },
	{ "PLAIN", NULL, 2, { { NULL, 0 }, SPAN("\0joe\0pencil") }, "challenge \n" JOE },
	{ "PLAIN", NULL, 1, { SPAN("\0joe\0wrong") }, "refused joe\n" },
	{ "PLAIN", NULL, 1, { SPAN("\0nobody\0pencil") }, "refused nobody\n" },
	{ "PLAIN", NULL, 1, { SPAN("\0spoilt\0pencil") }, "trouble spoilt\n" },
	/* it may say whom it speaks for, if that is itself */
	{ "PLAIN", NULL, 1, { SPAN("joe\0joe\0pencil") }, JOE },
	{ "PLAIN", NULL, 1, { SPAN("JOE\0joe\0pencil") }, JOE },
	{ "PLAIN", NULL, 1, { SPAN("max\0joe\0pencil") }, "refused joe " SENDERS "\n" },
	/* no base64, or not what the mechanism wants */
	{ "PLAIN", NULL, 1, { SPAN(RAW "!") }, "bad \n" },
	{ "PLAIN", NULL, 1, { SPAN("") }, "bad \n" },
	{ "PLAIN", NULL, 1, { SPAN("joe") }, "bad \n" },
	/* the session has gone */
	{ "PLAIN", NULL, 0, { { NULL, 0 } }, "" },
	{ "PLAIN", NULL, 1, { { NULL, 0 } }, "challenge \n" },
	/* by the words that clients know */
	{ "LOGIN", NULL, 3, { { NULL, 0 }, SPAN("joe"), SPAN("pencil") }, NAME PASSWORD JOE },
	{ "LOGIN", NULL, 2, { SPAN("joe"), SPAN("pencil") }, PASSWORD JOE },
	{ "LOGIN", NULL, 2, { SPAN("joe"), SPAN("wrong") }, PASSWORD "refused joe\n" },
	{ "LOGIN", NULL, 2, { { NULL, 0 }, SPAN("joe") }, NAME PASSWORD },
	/* the name is that of the certificate */
	{ "EXTERNAL", "joe", 1, { SPAN("") }, JOE },
	{ "EXTERNAL", "joe", 1, { SPAN("joe") }, JOE },
	{ "EXTERNAL", "joe", 1, { SPAN("max") }, "refused joe " SENDERS "\n" },
	{ "EXTERNAL", "nobody", 1, { SPAN("") }, "refused nobody\n" },
	{ "EXTERNAL", "", 1, { SPAN("joe") }, "refused \n" },
};

static void
test_mechanisms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char got[512];
		begin_dialogue(rows[i].mechanism, rows[i].client, rows[i].responses, rows[i].n);
		run_dialogue(got, sizeof(got));
		if (strcmp(got, rows[i].want) != 0)
			fail_msg("row %zu: %s: %s", i, rows[i].mechanism, got);
	}
}

/* Where case counts in names, another spelling is somebody else. */
static void
test_exact_names(void **state)
{
	static const struct span other = SPAN("JOE\0joe\0pencil");
	char got[512];
	(void)state;
	begin_dialogue("PLAIN", NULL, &other, 1);
	c.conf.auth.case_sensitive = CONF_YES;
	run_dialogue(got, sizeof(got));
	assert_string_equal(got, "refused joe " SENDERS "\n");
}

/* A list of senders that would have to be cut lets nobody in. */
static void
test_many_senders(void **state)
{
	static const struct span joe = SPAN("\0joe\0pencil");
	static const struct { size_t senders; bool fits; } sizes[] = { { AUTH_SENDERS - 1, true },
		{ AUTH_SENDERS, false } };
	static char file[2 * AUTH_SENDERS], got[2 * AUTH_SENDERS];
	(void)state;
	for (size_t i = 0; i < ROWS(sizes); i++) {
		int n = snprintf(file, sizeof(file), "joe:%s:", CRYPT);
		memset(file + n, 'x', sizes[i].senders);
		begin_dialogue("PLAIN", NULL, &joe, 1);
		c.users = file;
		c.length = (size_t)n + sizes[i].senders;
		run_dialogue(got, sizeof(got));
		if (sizes[i].fits)
			assert_int_equal(strlen(got), strlen("done joe \n") + sizes[i].senders);
		else
			assert_string_equal(got, "trouble joe\n");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mechanisms),
		cmocka_unit_test(test_exact_names),
		cmocka_unit_test(test_many_senders),
	};
	return cmocka_run_group_tests_name("dialogue", tests, start, stop);
}
