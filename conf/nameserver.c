#include "conf/nameserver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/file.h"

enum { PORT = 53, QUOTED = 60 };

/* White space of a line, whatever wrote it. */
static const char blanks[] = " \t\r\f\v";

/* ---- one server ------------------------------------------------------------------------- */

/* The number of a link that is named, or numbered; 0: there is none; -EINVAL: no name of one. */
static int
link_number(struct span name)
{
	char text[IF_NAMESIZE];
	int64_t number = span_number(name);
	if (number >= 0)
		return number <= INT32_MAX ? (int)number : -EINVAL;
	if (name.n == 0 || name.n >= sizeof(text) || memchr(name.p, '\0', name.n) != NULL)
		return -EINVAL;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	return (int)if_nametoindex(text);
}

/* "address" or "address%link" */
static int
parse_address(struct span s, uint16_t port, struct sockaddr_storage *out)
{
	struct netaddr a;
	struct span link = s, address = span_cut(&link, '%');
	bool scoped = address.n < s.n;
	int number = scoped ? link_number(link) : 0;
	if (netaddr_parse(address, &a) < 0 || number < 0 || (scoped && netaddr_is_v4(&a)))
		return -EINVAL;
	netaddr_to(&a, port, out);
	if (scoped)
		((struct sockaddr_in6 *)out)->sin6_scope_id = (uint32_t)number;
	return 0;
}

int
nameserver_parse(struct span word, struct sockaddr_storage *out)
{
	struct span host = word, port = { 0 };
	const char *end = word.p + word.n;
	const char *bracket = word.n > 0 ? memchr(word.p, ']', word.n) : NULL;
	const char *colon = word.n > 0 ? memchr(word.p, ':', word.n) : NULL;
	if (bracket != NULL && word.p[0] == '[') {
		host = span_from(word.p + 1, bracket);
		port = span_from(bracket + 1, end);
	} else if (colon != NULL && memchr(colon + 1, ':', (size_t)(end - colon - 1)) == NULL) {
		host = span_from(word.p, colon);
		port = span_from(colon, end);
	}
	int number = PORT;
	if (port.n > 0)
		number = port.p[0] == ':' ? net_port(span_skip(port, 1)) : -1;
	return number < 0 ? -EINVAL : parse_address(host, (uint16_t)number, out);
}

static void
print_link(uint32_t number, FILE *out)
{
	char name[IF_NAMESIZE];
	if (if_indextoname(number, name) != NULL)
		fprintf(out, "%%%s", name);
	else
		fprintf(out, "%%%u", number);
}

void
nameserver_print(const struct sockaddr_storage *server, FILE *out)
{
	struct netaddr a;
	char text[NETADDR_TEXT];
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)server;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)server;
	if (netaddr_from((const struct sockaddr *)server, &a) < 0)
		return;
	netaddr_text(&a, text);
	if (server->ss_family == AF_INET) {
		fprintf(out, "%s:%d", text, ntohs(v4->sin_port));
		return;
	}
	fprintf(out, "[%s", text);
	if (v6->sin6_scope_id != 0 || netaddr_class(&a) == NET_LINK_LOCAL)
		print_link(v6->sin6_scope_id, out);
	fprintf(out, "]:%d", ntohs(v6->sin6_port));
}

/* ---- resolv.conf ------------------------------------------------------------------------- */

struct reading {
	const char *path;
	int line;
	bool named; /* a line was there that names a server */
	struct conf_servers *out;
	struct buf *odd;
};

/* The system's resolver takes IPv4 addresses in old forms too, like 127.1. */
static int
parse_old_form(struct span word, struct sockaddr_storage *out)
{
	char text[NETADDR_TEXT];
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	if (word.n == 0 || word.n >= sizeof(text))
		return -EINVAL;
	memcpy(text, word.p, word.n);
	text[word.n] = '\0';
	*v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(PORT) };
	return inet_aton(text, &v4->sin_addr) == 1 ? 0 : -EINVAL;
}

/* Can anything be sent there? */
static bool
is_usable(const struct sockaddr_storage *server)
{
	struct netaddr a;
	return netaddr_from((const struct sockaddr *)server, &a) == 0 &&
		(netaddr_is_v4(&a) || netaddr_class(&a) != NET_LINK_LOCAL ||
			((const struct sockaddr_in6 *)server)->sin6_scope_id != 0);
}

static void
complain(struct reading *r, const char *wrong, struct span word)
{
	buf_printf(r->odd, "%s%s:%d: %s: \"", r->odd->n > 0 ? "; " : "", r->path, r->line, wrong);
	buf_escape(r->odd, word, QUOTED);
	buf_puts(r->odd, "\"");
}

/* Addresses, as far as they go: the first one must be one, what follows may be anything. */
static void
take_servers(struct reading *r, struct span words)
{
	r->named = true;
	for (int i = 0; i == 0 || words.n > 0; i++) {
		struct span word = span_word(&words, " \t\r\f\v,");
		struct sockaddr_storage server = { 0 };
		int err = nameserver_parse(word, &server);
		if (err < 0 && i == 0) /* further on it may be a number of anything */
			err = parse_old_form(word, &server);
		if (err < 0 && i > 0)
			return;
		if (err < 0)
			complain(r, "not the address of a nameserver", word);
		else if (!is_usable(&server))
			complain(r, "an address of a link that is not there", word);
		else if (r->out->n < CONF_NAMESERVER_MAX)
			r->out->v[r->out->n++] = server;
	}
}

/* Of the options, the one without which no server may be heard: use-vc, which means TCP. */
static void
take_options(struct reading *r, struct span words)
{
	for (struct span word; (word = span_word(&words, blanks)).n > 0;)
		if (span_eq(word, span_of("use-vc")))
			r->out->tcp = true;
}

static void
take_line(struct reading *r, struct span line)
{
	if (span_has_stray_cr(span_chomp(line)))
		complain(r, "a CR that ends no line", span_chomp(line));
	line = span_cut(&line, '#');
	line = span_cut(&line, ';');
	struct span whole = line, key = span_word(&line, blanks);
	if (span_ieq(key, span_of("nameserver")))
		take_servers(r, line);
	else if (span_istarts(key, span_of("nameserver"))) /* "nameserver:", "nameserver=" */
		complain(r, "not a line that names a nameserver", span_trim(whole));
	else if (span_ieq(key, span_of("options")))
		take_options(r, line);
}

int
nameserver_read(const char *path, struct conf_servers *out, struct buf *odd)
{
	struct reading r = { .path = path, .out = out, .odd = odd };
	char *line = NULL;
	size_t size = 0;
	auto_file f = file_stream(path);
	*out = (struct conf_servers){ 0 };
	if (f == NULL && errno != ENOENT)
		buf_printf(odd, "%s: %s", path, strerror(errno));
	for (ssize_t n; f != NULL && (n = getline(&line, &size, f)) > 0;) {
		struct span s = { line, (size_t)n - (line[n - 1] == '\n') };
		take_line(&r, ++r.line == 1 ? span_without_mark(s) : s);
	}
	if (f != NULL && ferror(f)) /* of what its host lacks a container has a directory */
		buf_printf(odd, "%s%s: %s", odd->n > 0 ? "; " : "", path, strerror(errno));
	free(line);
	if (out->n == 0 && r.named)
		return -EINVAL;
	if (out->n == 0)
		return parse_address(span_of("127.0.0.1"), PORT, &out->v[out->n++]);
	return 0;
}
