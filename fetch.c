/*
 * fetch: gets one thing over HTTPS, or posts one, and ends (RFC 8461 section 3.3, RFC 8460).
 *
 * libcurl reads what a web server that a stranger named says, so it does that in a process of its
 * own, one for each request: what one server makes of it cannot touch what another one says. It is
 * started by a keeper for a relay, with a socket to that relay and a connection that the relay has
 * made, to an address that it has judged; or by postern-tlsreport for its child, which stands in
 * the place of the relay then (tlsreport/post.h). fetch reads the authorities, locks itself in
 * (no file, no new socket, no exec), says so, and only then hears what to ask for
 * (lib/fetchwire.h). So curl looks up no name and connects to nobody; whatever becomes of it has a
 * connection to one web server, and a relay that expects 64 KB of text.
 *
 *	fetch --check    looks at what it takes
 *
 * TLS 1.2 and newer; the certificate is good, by a name in its subjectAltName, for the host that
 * was asked for. No redirect is followed, nothing is cached, and neither the environment nor a file
 * has a say: no proxy, no netrc, no cookie.
 *
 * Exit status: 0, whatever the reply is; 75 it cannot lock itself in; 78 the configuration is
 * wrong.
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "conf/credential.h"
#include "lib/cleanup.h"
#include "lib/fetchwire.h"
#include "lib/file.h"
#include "lib/limits.h"
#include "mail/address.h"
#include "process/check.h"
#include "process/launch.h"
#include "process/log.h"
#include "process/program.h"

/* The request, and what has come of it. */
static struct fetch_question question;
static struct fetch_reply reply;
static struct buf posted, got;
static size_t head;     /* octets of it */
static bool connected;  /* the connection was given to curl */

/* ---- the other side ------------------------------------------------------------------------ */

/* All of it. False: relay is gone, or does not go on. */
static bool
hear(void *p, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = recv(LAUNCH_FIRST_FD, (char *)p + done, n - done, 0);
		if (r <= 0 && !(r < 0 && errno == EINTR))
			return false;
		done += r > 0 ? (size_t)r : 0;
	}
	return true;
}

static bool
tell(const void *p, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = send(LAUNCH_FIRST_FD, (const char *)p + done, n - done, MSG_NOSIGNAL);
		if (r < 0 && errno != EINTR)
			return false;
		done += r > 0 ? (size_t)r : 0;
	}
	return true;
}

static bool
is_path(const char *path)
{
	for (const char *p = path; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			return false;
	return path[0] == '/';
}

/* False: it is none that a relay asks. */
static bool
hear_question(void)
{
	struct fetch_question *q = &question;
	if (!hear(q, sizeof(*q)))
		return false;
	q->host[sizeof(q->host) - 1] = q->path[sizeof(q->path) - 1] = '\0';
	q->type[sizeof(q->type) - 1] = '\0';
	if (q->ms > FETCH_TIME * 1000 || q->port > UINT16_MAX || q->post > FETCH_POST ||
		!address_is_domain(span_of(q->host)) || !is_path(q->path))
		return false;
	posted = buf_new(FETCH_POST);
	char part[4096];
	for (uint32_t n; posted.n < q->post; buf_add(&posted, (struct span){ part, n })) {
		n = q->post - (uint32_t)posted.n;
		n = n < sizeof(part) ? n : (uint32_t)sizeof(part);
		if (!hear(part, n) || posted.err != 0)
			return false;
	}
	return true;
}

/* ---- what curl asks for -------------------------------------------------------------------- */

/* The connection that there is, once: curl makes none. */
static curl_socket_t
give_connection(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)context;
	(void)purpose;
	(void)address;
	if (connected)
		return CURL_SOCKET_BAD;
	connected = true;
	return LAUNCH_SECOND_FD;
}

static int
say_connected(void *context, curl_socket_t fd, curlsocktype purpose)
{
	(void)context;
	(void)fd;
	(void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/*
 * In place of the C library's, for libcurl too: one of 7.88 (Debian 12) connects what it was told
 * is connected, and takes the error that it would get for the host's.
 */
int
connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t n)
{
	if (connected)
		return 0;
	return (int)syscall(SYS_connect, fd, address, n); /* to a log */
}

/*
 * The host's name is asked for by OpenSSL as well: in the subjectAltName alone (section 3.3), where
 * curl would take a common name too, and with wildcards for a whole label.
 */
static CURLcode
ask_for_name(CURL *curl, void *ctx, void *context)
{
	X509_VERIFY_PARAM *p = SSL_CTX_get0_param(ctx);
	(void)curl;
	(void)context;
	X509_VERIFY_PARAM_set_hostflags(p,
		X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return X509_VERIFY_PARAM_set1_host(p, question.host, 0) == 1
		? CURLE_OK : CURLE_SSL_CONNECT_ERROR;
}

static size_t
take_head(char *p, size_t size, size_t n, void *context)
{
	(void)p;
	(void)context;
	head += size * n;
	return head <= FETCH_HEAD ? size * n : 0;
}

static size_t
take_body(char *p, size_t size, size_t n, void *context)
{
	(void)context;
	buf_add(&got, (struct span){ p, size * n });
	return got.err == 0 ? size * n : 0;
}

/*
 * Has who asked gone? Then another fetch may take the place of this one: there is a most of them.
 * curl asks that once a second at least.
 */
static int
is_left(void *context, curl_off_t all, curl_off_t came, curl_off_t to_send, curl_off_t sent)
{
	struct pollfd asker = { .fd = LAUNCH_FIRST_FD };
	(void)context;
	(void)all;
	(void)came;
	(void)to_send;
	(void)sent;
	return poll(&asker, 1, 0) > 0;
}

/* ---- the request --------------------------------------------------------------------------- */

/* The file of authorities, which is out of reach later. NULL: it cannot be read. */
static char *
read_authorities(const char *path, size_t *n)
{
	auto_fd fd = file_open(path);
	return fd < 0 ? NULL : file_read(fd, LIMIT_AUTHORITIES, n);
}

/* An option that this libcurl does not know is one that it may not do without. */
static bool failed;
#define SET(option, value) \
	do { \
		if (curl_easy_setopt(curl, (option), (value)) != CURLE_OK) \
			failed = true; \
	} while (0)

/* What holds for all requests. NULL: curl cannot do that. */
static CURL *
prepare(char *authorities, size_t n)
{
	struct curl_blob ca = { .data = authorities, .len = n, .flags = CURL_BLOB_NOCOPY };
	CURL *curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;
	if (curl == NULL)
		return NULL;
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, "https");
#else
	SET(CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTPS);
#endif
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, ""); /* whatever the environment says */
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_CAINFO_BLOB, &ca);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_SSL_CTX_FUNCTION, ask_for_name);
	SET(CURLOPT_OPENSOCKETFUNCTION, give_connection);
	SET(CURLOPT_SOCKOPTFUNCTION, say_connected);
	SET(CURLOPT_HEADERFUNCTION, take_head);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_XFERINFOFUNCTION, is_left);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_MAXFILESIZE, (long)FETCH_REPLY);
	SET(CURLOPT_USERAGENT, "Postern");
	return curl;
}

/* An address, for curl to have one: the connection is there. */
#define SOME_ADDRESS "192.0.2.1"

/* The lists live as long as the process does. */
static void
set_question(CURL *curl, char *why)
{
	const struct fetch_question *q = &question;
	auto_memory char *url = NULL, *address = NULL, *type = NULL;
	if (asprintf(&url, "https://%s:%u%s", q->host, q->port, q->path) < 0 ||
		asprintf(&address, "%s:%u:" SOME_ADDRESS, q->host, q->port) < 0 ||
		asprintf(&type, "Content-Type: %s", q->type) < 0)
		exit(EX_TEMPFAIL);
	SET(CURLOPT_URL, url);
	SET(CURLOPT_RESOLVE, curl_slist_append(NULL, address));
	const long ms = q->ms > 0 ? (long)q->ms : 1; /* 0 means for ever to curl */
	SET(CURLOPT_TIMEOUT_MS, ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, ms);
	SET(CURLOPT_ERRORBUFFER, why);
	if (q->post > 0) {
		SET(CURLOPT_HTTPHEADER,
			curl_slist_append(curl_slist_append(NULL, type), "Expect:"));
		SET(CURLOPT_POSTFIELDSIZE, (long)posted.n);
		SET(CURLOPT_POSTFIELDS, posted.p);
	}
}

static const char *
reason_of(CURLcode r, const char *why)
{
	if (got.err != 0 || r == CURLE_FILESIZE_EXCEEDED)
		return "it is longer than 64 KB";
	if (head > FETCH_HEAD)
		return "its head is longer than 64 KB";
	if (r == CURLE_OPERATION_TIMEDOUT)
		return "timed out";
	return why[0] != '\0' ? why : curl_easy_strerror(r);
}

/* Asks, and fills in the reply. */
static void
perform(CURL *curl)
{
	char why[CURL_ERROR_SIZE] = "";
	const char *type = NULL;
	long status = 0;
	set_question(curl, why);
	CURLcode r = failed ? CURLE_UNKNOWN_OPTION : curl_easy_perform(curl);
	if (r != CURLE_OK) {
		reply.trouble = r == CURLE_PEER_FAILED_VERIFICATION ? FETCH_CERTIFICATE
								    : FETCH_FAILED;
		snprintf(reply.why, sizeof(reply.why), "%s", reason_of(r, why));
		return;
	}
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	reply.trouble = FETCH_DONE;
	reply.status = (uint32_t)status;
	reply.n = (uint32_t)got.n;
	if (type != NULL && strlen(type) < sizeof(reply.type))
		snprintf(reply.type, sizeof(reply.type), "%s", type);
}

/* From now on: what it has taken to come here is no web server's fault. */
static void
limit_time(void)
{
	const rlim_t used = (rlim_t)(clock() / CLOCKS_PER_SEC) + 1;
	const struct rlimit cpu = { used + FETCH_CPU, used + FETCH_CPU + 1 };
	alarm(FETCH_LIFE);
	(void)setrlimit(RLIMIT_CPU, &cpu); /* who may not has a lower one */
}

static int
serve(const struct conf *conf)
{
	struct log_fields f = { .event = "sts" };
	size_t n = 0;
	char *authorities = read_authorities(conf->relay.ca, &n);
	if (authorities == NULL) {
		log_event(LOG_ERR, &f, "delivery_ca %s: %s: nothing can be fetched",
			conf->relay.ca, strerror(errno));
		return EXIT_CONFIG;
	}
	got = buf_new(FETCH_REPLY);
	CURL *curl = prepare(authorities, n);
	if (curl == NULL)
		return EX_TEMPFAIL;
	credential_forget();
	limit_time();
	if (!program_lock_in(SANDBOX_FETCH, NULL, -1, &f))
		return EX_TEMPFAIL;
	const char ready = FETCH_READY;
	if (!tell(&ready, 1) || !hear_question())
		return EXIT_SUCCESS;
	perform(curl);
	if (tell(&reply, sizeof(reply)))
		(void)tell(got.p, reply.n);
	return EXIT_SUCCESS;
}

/* ---- start ------------------------------------------------------------------------------- */

/* The certificate's name is asked for by a function of OpenSSL. */
static void
check_library(struct findings *f, const struct conf *conf)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
	(void)conf;
	if (v->ssl_version == NULL || strncmp(v->ssl_version, "OpenSSL", 7) != 0)
		check_fault(f, "libcurl has TLS by %s, and not by OpenSSL: no policy of MTA-STS "
			"can be fetched", v->ssl_version != NULL ? v->ssl_version : "nothing");
}

static const struct check checks[] = { { check_library } };

int
main(int argc, char **argv)
{
	static struct conf conf;
	struct options o;
	auto_buf why = buf_new(LIMIT_COMMAND);

	if (!program_begin(&o, argc, argv))
		return EX_USAGE;
	const char *unfit = o.serve || o.check ? NULL : "fetch is started by relay";
	int err = program_configure(&conf, NULL, &o, unfit, "fetch", &why);
	if (o.check)
		return err < 0 ? check_refuse("fetch", &why)
			       : check_all("fetch", &o, &conf, NULL, checks, CHECKS(checks));
	return err < 0 ? program_refuse(&why) : serve(&conf);
}
