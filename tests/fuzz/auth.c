/*
 * Exchanges of AUTH: the first octet picks the mechanism and whether TLS is spoken, each line after
 * it is a response; one that begins with '=' is put into base64 first, so that the mechanisms are
 * reached and not only the decoder. Whatever is said, nobody but who knows the password comes in.
 */
#include <gsasl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helpers/dialogue.h"
#include "helpers/proof.h"

/* What a password costs is no subject here; a fuzzer would spend its time on nothing else. */
#define gsasl_scram_secrets_from_password(hash, password, iterations, ...) \
	(gsasl_scram_secrets_from_password)(hash, password, (iterations) > 0, __VA_ARGS__)
#include "secrets/secret.c"

#include "fuzz.h"

/* The password is 32 octets no fuzzer will find; the certificate's user knows it no better. */
static char users[] =
	"user@host.example:{SCRAM-SHA-256}1,c2FsdHNhbHRzYWx0c2FsdA==,"
	"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=,MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY= "
	"{SCRAM-SHA-1}1,c2FsdHNhbHRzYWx0c2FsdA==,MDEyMzQ1Njc4OWFiY2RlZjAxMjM=,MDEyMzQ1Njc4OWFiY2RlZjAxMjM=\n"
	"crypt:$1$salt$0123456789abcdef012345\n";

static const char *const mechanisms[] = { "PLAIN", "LOGIN", "EXTERNAL", "SCRAM-SHA-1", "SCRAM-SHA-256",
	"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS" };

enum { MECHANISMS = sizeof(mechanisms) / sizeof(mechanisms[0]) };

/* One response into the socket, as the session would send it; false: it would not. */
static bool
respond(int fd, struct span line)
{
	static struct auth_text t;
	char *encoded = NULL;
	size_t n = line.n;
	t.given = true;
	if (n > 0 && line.p[0] == '=') {
		if (gsasl_base64_to(line.p + 1, n - 1, &encoded, &n) != GSASL_OK)
			return false;
		line = (struct span){ encoded, n };
	}
	bool fits = n < sizeof(t.text);
	if (fits) {
		if (n > 0)
			memcpy(t.text, line.p, n);
		t.text[n] = '\0';
		fits = send(fd, &t, auth_text_size(n + 1), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
	}
	free(encoded);
	return fits;
}

static void
respond_all(int fd, struct span in)
{
	while (in.n > 0) {
		const char *end = memchr(in.p, '\n', in.n);
		struct span line = end != NULL ? span_from(in.p, end) : in;
		if (!respond(fd, line))
			return;
		in = span_skip(in, line.n + (end != NULL));
	}
}

/* What auth said, up to its last word. */
static void
judge(int fd)
{
	static struct auth_text t;
	ssize_t n;
	while ((n = recv(fd, &t, sizeof(t), MSG_DONTWAIT)) > 0) {
		must((size_t)n > auth_text_size(0) && t.text[(size_t)n - auth_text_size(1)] == '\0');
		must(t.result != AUTH_DONE);
		must(t.result == AUTH_CHALLENGE || recv(fd, &t, sizeof(t), MSG_DONTWAIT) <= 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Gsasl *ctx;
	static struct claim claim;
	Gsasl_session *s;
	int pair[2];
	if (size == 0)
		return 0;
	if (ctx == NULL)
		must(gsasl_init(&ctx) == GSASL_OK);
	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	respond_all(pair[0], (struct span){ (const char *)data + 1, size - 1 });
	shutdown(pair[0], SHUT_WR);

	claim = (struct claim){ .session = pair[1], .users = users, .length = sizeof(users) - 1 };
	snprintf(claim.hello.mechanism, sizeof(claim.hello.mechanism), "%s", mechanisms[data[0] % MECHANISMS]);
	claim.hello.secure = data[0] / MECHANISMS % 2 != 0;
	gsasl_callback_set(ctx, proof_callback);
	gsasl_callback_hook_set(ctx, &claim);
	must(gsasl_server_start(ctx, claim.hello.mechanism, &s) == GSASL_OK);
	dialogue_run(&claim, s);
	gsasl_finish(s);
	close(pair[1]);
	judge(pair[0]);
	close(pair[0]);
	return 0;
}
