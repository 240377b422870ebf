#include "status/http.h"

#include <string.h>

#include "lib/net.h"

static struct span
trimmed(struct span s)
{
	s = span_trim(s);
	while (s.n > 0 && (s.p[s.n - 1] == '\r' || s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/*
 * A page of the web that has its own name resolve to us would be let in by the browser: it is
 * refused by the name that it comes under.
 */
bool
http_is_our_host(struct span host, const char *hostname)
{
	const char *colon = memrchr(host.p, ':', host.n);
	if (host.n > 0 && host.p[0] == '[')
		return memchr(host.p, ']', host.n) != NULL;
	if (colon != NULL)
		host.n = (size_t)(colon - host.p);
	bool digits = host.n > 0;
	for (size_t i = 0; i < host.n; i++)
		digits = digits && (host.p[i] == '.' || (host.p[i] >= '0' && host.p[i] <= '9'));
	return host.n == 0 || digits || span_ieq(host, span_of("localhost")) ||
	       span_ieq(host, span_of(hostname));
}

/* "http://host/path" is as good as "/path" (section 3.2.2). False: it is not for us. */
static bool
strip_authority(struct span *target, const char *hostname)
{
	static const char scheme[] = "http://";
	if (!span_istarts(*target, span_of(scheme)))
		return true;
	*target = span_skip(*target, sizeof(scheme) - 1);
	const char *slash = memchr(target->p, '/', target->n);
	struct span host = { target->p, slash != NULL ? (size_t)(slash - target->p) : target->n };
	*target = span_skip(*target, host.n);
	return http_is_our_host(host, hostname);
}

/* 200 or what is wrong with the request line. */
static int
take_request_line(struct span line, const char *hostname, struct http_request *r, bool *old)
{
	const char *end = memchr(line.p, ' ', line.n);
	struct span method = { line.p, end != NULL ? (size_t)(end - line.p) : line.n };
	const char *last = memrchr(line.p, ' ', line.n);
	if (end == NULL || last == end)
		return 400;
	struct span target = { end + 1, (size_t)(last - end - 1) };
	if (target.n == 0)
		return 400;
	struct span version = span_skip(line, (size_t)(last + 1 - line.p));
	if (!span_istarts(version, span_of("HTTP/")))
		return 400;
	*old = span_eq(version, span_of("HTTP/1.0"));
	if (!*old && !span_eq(version, span_of("HTTP/1.1")))
		return 505;
	r->head = span_eq(method, span_of("HEAD"));
	if (!r->head && !span_eq(method, span_of("GET")))
		return 405;
	if (!strip_authority(&target, hostname))
		return 421;
	const char *query = memchr(target.p, '?', target.n);
	if (query != NULL)
		target.n = (size_t)(query - target.p);
	if (target.n > 0 && target.n < sizeof(r->path) &&
		memchr(target.p, '\0', target.n) == NULL) {
		memcpy(r->path, target.p, target.n);
		r->path[target.n] = '\0';
	}
	return 200;
}

static bool
holds(struct span text, const char *word)
{
	return memmem(text.p, text.n, word, strlen(word)) != NULL;
}

/* 200, or why the request is refused because of a field. */
static int
take_field(struct span line, const char *hostname, struct http_request *r, bool *hosted)
{
	const char *colon = memchr(line.p, ':', line.n);
	if (colon == NULL || colon == line.p)
		return 400;
	struct span name = span_from(line.p, colon);
	struct span value = trimmed(span_skip(line, name.n + 1));
	if (span_ieq(name, span_of("Accept")))
		r->open_metrics = r->open_metrics || holds(value, "application/openmetrics-text");
	if (!span_ieq(name, span_of("Host")))
		return 200;
	if (*hosted)
		return 400;
	*hosted = true;
	return http_is_our_host(value, hostname) ? 200 : 421;
}

static int
status_of(enum stream_result res)
{
	return res == STREAM_FLOOD ? 431 : res == STREAM_TIMEOUT ? 408 : 0;
}

int
http_read(struct stream *s, const char *hostname, int64_t deadline, struct http_request *r)
{
	size_t left = HTTP_HEAD;
	struct span line;
	bool old = false, hosted = false;
	*r = (struct http_request){ .path = "" };
	enum stream_result res = stream_head(s, HTTP_LINE, &left, deadline, &line);
	if (res != STREAM_OK)
		return status_of(res);
	int status = take_request_line(trimmed(line), hostname, r, &old);
	while (status == 200) {
		res = stream_head(s, HTTP_LINE, &left, deadline, &line);
		if (res != STREAM_OK)
			return status_of(res);
		if (trimmed(line).n == 0)
			break;
		status = take_field(trimmed(line), hostname, r, &hosted);
	}
	return status == 200 && !old && !hosted ? 400 : status;
}

const char *
http_reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 421:
		return "Misdirected Request";
	case 431:
		return "Request Header Fields Too Large";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Internal Server Error";
	}
}
