/* routes: which mail goes by one, what a route may say, and what is in force for its mail. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "conf/routes.h"
#include "conf/way.h"

static char path[] = "/tmp/postern-routes-XXXXXX";
static struct conf_origins from; /* of what was loaded last */

static int
load(struct conf *c, const char *file, const char *option, struct buf *why)
{
	struct span text = span_of(file);
	int fd = open(path, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.p, text.n), text.n);
	close(fd);
	const char *options[] = { "hostname=h.example", "relay_path=/r", option };
	struct conf_args args = { .file = path, .options = options, .n = option != NULL ? 3 : 2 };
	*c = (struct conf){ 0 };
	return conf_load(c, &args, &from, why);
}

/* ---- which mail -------------------------------------------------------------------------- */

static const char routes[] =
	"max_errors = 7\n"
	"[route Own]\n"
	"senders = boss@us.example .sub.us.example\n"
	"hosts = [192.0.2.1]:25\n"
	"[lan]\n"
	"max_errors = 9\n"
	"[route both]\n"
	"domains = both.example\n"
	"senders = us.example\n"
	"hosts = both.example\n"
	"[route some]\n"
	"domains = d.example, .below.example [192.0.2.9]\n"
	"hosts = unix:/run/lmtp\n"
	"protocol = lmtp\n"
	"[route default]\n"
	"senders = us.example all.example\n"
	"domains = *\n"
	"hosts = mail.example:587 # and more\n";

static const struct {
	const char *sender, *domain, *lane;
} matches[] = {
	{ "a@x.example", "d.example", "route:some" },
	{ "a@x.example", "D.Example", "route:some" },
	{ "", "d.example", "route:some" },
	{ "a@x.example", "u.d.example", "u.d.example" },
	{ "a@x.example", "u.below.example", "route:some" },
	{ "a@x.example", "v.u.below.example", "route:some" },
	{ "a@x.example", "below.example", "below.example" },
	{ "a@x.example", "notbelow.example", "notbelow.example" },
	{ "a@x.example", "[192.0.2.9]", "route:some" },
	{ "a@x.example", "[192.0.2.10]", "[192.0.2.10]" },
	{ "Boss@US.example", "d.example", "route:own" }, /* the first one */
	{ "boss@us.example", "elsewhere.example", "route:own" },
	{ "u@v.sub.us.example", "d.example", "route:own" },
	{ "u@sub.us.example", "elsewhere.example", "elsewhere.example" },
	{ "a@us.example", "both.example", "route:both" },
	{ "a@x.example", "both.example", "both.example" },
	{ "a@us.example", "[192.0.2.10]", "route:default" },
	{ "\"a@x\"@all.example", "elsewhere.example", "route:default" },
	{ "", "elsewhere.example", "elsewhere.example" },
};

static void
test_which(void **state)
{
	(void)state;
	struct conf c;
	struct buf why = buf_new(1000);
	assert_int_equal(load(&c, routes, NULL, &why), 0);
	assert_int_equal(c.receive.max_errors, 7);
	for (size_t i = 0; i < ROWS(matches); i++) {
		char lane[LANE_NAME_SIZE];
		assert_int_equal(lane_name_of(span_of(matches[i].domain), lane), 0);
		routes_lane(&c, guarded(span_of(matches[i].sender)), lane);
		assert_string_equal(lane, matches[i].lane);
		assert_true(lane_name_valid(span_of(lane)));
		struct span name = lane_name_route(span_of(lane));
		assert_int_equal(name.n > 0, way_route(&c, name) != NULL);
	}
	assert_null(way_route(&c, span_of("gone")));
	conf_free(&c);
	buf_free(&why);
}

/* ---- what a route may say ---------------------------------------------------------------- */

static const struct {
	const char *file, *wrong;
} mistakes[] = {
	{ "[route]\n", NULL }, /* a profile of that name, which nobody asked for */
	{ "[route a b]\n", "PATH:1: a b: not a name for a route" },
	{ "[route -a]\n", "PATH:1: -a: not a name for a route" },
	{ "[route ../x]\n", "PATH:1: ../x: not a name for a route" }, /* H7 */
	{ "[route a\n", "PATH:1: [route a: neither \"[profile]\" nor \"[route NAME]\"" },
	{ "[route aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb]\n",
		"PATH:1: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb: not a name" },
	{ "[route a]\n", "PATH:1: a: has no hosts" },
	{ "[route a]\nhosts =\ndomains = *\n", "PATH:1: a: has no hosts" },
	{ "[route a]\nhosts = h.example\n", "PATH:1: a: has neither domains nor senders" },
	{ "[route a]\nhosts = h.example\n[route b]\n", "PATH:1: a: has neither domains nor senders" },
	{ "[route a]\nhosts = h.example\n[lan]\n", "PATH:1: a: has neither domains nor senders" },
	{ "[route a]\nhosts = h\ndomains = *\n[route A]\n", "PATH:4: A: there is a route of this name" },
	{ "[route a]\nhosts = h\ndomains = *\nhosts = i\n", "PATH:4: hosts: set before at PATH:2" },
	{ "[route a]\nhost = h\n", "PATH:2: host: unknown key" },
	{ "[route a]\nmax_relays_per_lane = 1\n",
		"PATH:2: max_relays_per_lane: unknown key; it is max_connections_per_lane now" },
	{ "[route a]\nmax_connections = 1\n", "PATH:2: max_connections: is the same for all routes" },
	{ "[route a]\nmax_connections_per_host = 1\n",
		"PATH:2: max_connections_per_host: is the same for all routes" },
	{ "[route a]\nhosts\n", "PATH:2: hosts: not \"key = value\"" },
	{ "[route a]\nhostname = h.example\n", "PATH:2: hostname: is the same for all routes" },
	{ "[route a]\nretry = 1m\n", "PATH:2: retry: is the same for all routes" },
	{ "[route a]\nhosts = h:0\n", "PATH:2: hosts: not a list of hosts" },
	{ "[route a]\ndomains = d.example **\n", "PATH:2: domains: not a list of domains" },
	{ "[route a]\nsenders = *\n", "PATH:2: senders: not a list of addresses and domains" },
	{ "[route a]\nprotocol = uucp\n", "PATH:2: protocol: neither smtp nor lmtp" },
	{ "[route a]\nfamily = 4\n", "PATH:2: family: not one of any, ipv4, ipv6, prefer-ipv4" },
	{ "[route a]\nsource = h.example\n", "PATH:2: source: not an IPv4 address, an IPv6 address, or" },
	{ "[route a]\ndomains = *\nprotocol = lmtp\nhosts = [192.0.2.1]\n",
		"PATH:1: a: LMTP needs hosts with ports, or sockets" }, /* RFC 2033 section 5 */
	{ "hosts = h.example\n", "PATH:1: hosts: stands behind \"[route NAME]\" only" },
	/* S1: whose exchanger a host is the DNS says, and so anybody. */
	{ "[route a]\ndomains = *\nhosts = h.example:25 d.example\ndelivery_user = us\n",
		"PATH:1: a: a login needs hosts that are named (mail.example.net:587)" },
	{ "delivery_user = us\n", "PATH:1: delivery_user: a login belongs to hosts that you name" },
	{ "[route a]\ndelivery_password_file = environment:a.b\n",
		"PATH:2: delivery_password_file: not an absolute path" },
	/* Whose "route" was forgotten: all its mail would go another way, without a word. */
	{ "[lan]\ndomains = *\n", "PATH:2: domains: stands behind \"[route NAME]\" only" },
	{ "[smarthost]\nhosts = h.example:587\n", "PATH:2: hosts: stands behind \"[route NAME]\" only" },
	{ "[route]\nhosts = h.example:587\n", "PATH:2: hosts: stands behind \"[route NAME]\" only" },
	{ "[smarthost]\ndelivery_user = us\n", "PATH:2: delivery_user: a login belongs to hosts" },
	{ "[lan]\nmax_connections_per_lane = x\n", NULL }, /* its values are its own matter */
};

/* `wrong` begins `text`, with the name of the file where PATH stands. */
static bool
says(struct span text, const char *wrong)
{
	static const struct span mark = { "PATH", 4 };
	while (*wrong != '\0') {
		bool here = strncmp(wrong, mark.p, mark.n) == 0;
		struct span want = here ? span_of(path) : (struct span){ wrong, 1 };
		if (text.n < want.n || memcmp(text.p, want.p, want.n) != 0)
			return false;
		text = span_skip(text, want.n);
		wrong += here ? mark.n : 1;
	}
	return true;
}

static void
test_mistakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(mistakes); i++) {
		struct conf c;
		struct buf why = buf_new(1000);
		int r = load(&c, mistakes[i].file, NULL, &why);
		if (mistakes[i].wrong == NULL)
			assert_int_equal(r, 0);
		else if (r == 0 || !says(buf_span(&why), mistakes[i].wrong))
			fail_msg("%s: %.*s", mistakes[i].file, (int)why.n, why.p);
		conf_free(&c);
		buf_free(&why);
	}
	struct conf c;
	struct buf why = buf_new(1000);
	assert_int_equal(load(&c, "", "domains=*", &why), -EINVAL); /* no route on a command line */
	conf_free(&c);
	buf_free(&why);
}

/* What a section says counts for its mail only. */
static void
test_in_force(void **state)
{
	(void)state;
	struct conf c;
	struct conf_delivery here;
	struct buf why = buf_new(1000);
	assert_int_equal(load(&c,
		"timeout_connect = 7s\nfamily = ipv6\n"
		"[route a]\ndomains = *\nhosts = h.example\nfamily = ipv4\nsource = 192.0.2.7\n"
		"timeout_connect = 3s\nmax_connections_per_lane = 1\ndelivery_without = chunking\n"
		"dkim = again\n"
		"[route b]\ndomains = *\nhosts = i.example\n", "timeout_helo=9s", &why), 0);
	conf_delivery_of(&here, &c, way_route(&c, span_of("a")));
	assert_string_equal(here.hosts, "h.example");
	assert_string_equal(here.source, "192.0.2.7");
	assert_int_equal(here.family, FAMILY_IPV4);
	assert_int_equal(here.timeout_connect, 3);
	assert_int_equal(here.max_connections_per_lane, 1);
	assert_string_equal(here.without, "chunking");
	assert_int_equal(here.dkim, DKIM_SIGN_AGAIN);
	assert_int_equal(here.timeout_helo, 9);
	conf_delivery_of(&here, &c, way_route(&c, span_of("b")));
	assert_string_equal(here.hosts, "i.example");
	assert_string_equal(here.source, "");
	assert_int_equal(here.family, FAMILY_IPV6);
	assert_int_equal(here.timeout_connect, 7);
	assert_int_equal(here.max_connections_per_lane, 5);
	assert_string_equal(here.without, "");
	assert_int_equal(here.dkim, DKIM_SIGN_YES);
	conf_delivery_of(&here, &c, NULL);
	assert_string_equal(here.hosts, "");
	assert_int_equal(here.timeout_connect, 7);
	conf_free(&c);
	buf_free(&why);
}

/* What is printed can be read again, and says the same. */
static void
test_print(void **state)
{
	(void)state;
	char *text[2] = { NULL, NULL };
	size_t n;
	for (int i = 0; i < 2; i++) {
		struct conf c;
		struct buf why = buf_new(1000);
		if (load(&c, i == 0 ? routes : text[0], NULL, &why) < 0)
			fail_msg("%.*s", (int)why.n, why.p);
		FILE *f = open_memstream(&text[i], &n);
		assert_non_null(f);
		conf_print(&c, &from, f);
		fclose(f);
		conf_free(&c);
		buf_free(&why);
	}
	assert_non_null(strstr(text[0], "[route default]\ndomains = *  # "));
	assert_non_null(strstr(text[1], "[route some]\ndomains = d.example, .below.example [192.0.2.9]  # "));
	free(text[0]);
	free(text[1]);
}

static int
start(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int
stop(void **state)
{
	(void)state;
	return unlink(path);
}

/* Where strangers' words may have mail of our own go. */
static void
test_open_to(void **state)
{
	static const struct { const char *mailbox; bool open; } rows[] = {
		{ "a@elsewhere.example", true },
		{ "a@[192.0.2.1]", true },      /* judged by whoever connects */
		{ "a@inside.example", false },
		{ "a@INSIDE.example", false },
		{ "a@u.below.example", false },
		{ "a@[192.0.2.9]", false },
		{ "a@ours.example", true },     /* anybody may send there */
		{ "a%b@ours.example", false },  /* ... but not through it */
		{ "\"a@b\"@ours.example", false },
		{ "b!a@ours.example", false },
		{ "a%b@elsewhere.example", true },
		{ "a@sent.example", true },     /* a route for senders is none for mail without */
		{ "a", false },
		{ "", false },
	};
	struct conf c;
	struct buf why = buf_new(1000);
	(void)state;
	for (int smarthost = 0; smarthost < 2; smarthost++) {
		char text[1000];
		snprintf(text, sizeof(text), "relay_domains = ours.example\n"
			"[route own]\ndomains = sent.example\nsenders = us.example\n"
			"hosts = [192.0.2.1]\n"
			"[route inside]\ndomains = inside.example .below.example [192.0.2.9] "
			"ours.example\nhosts = [192.0.2.1]\n%s", smarthost == 0 ? ""
				: "[route out]\ndomains = *\nhosts = [192.0.2.2]\n");
		assert_int_equal(load(&c, text, NULL, &why), 0);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			assert_int_equal(routes_open_to(&c, span_of(rows[i].mailbox)),
				rows[i].open);
		conf_free(&c);
	}
	buf_free(&why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which),
		cmocka_unit_test(test_open_to),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_in_force),
		cmocka_unit_test(test_print),
	};
	return cmocka_run_group_tests_name("routes", tests, start, stop);
}
