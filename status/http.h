/*
 * http: the head of one request, as far as it is needed (RFC 9112).
 *
 * One request is answered and the connection closed: what follows in it is read and dropped. So
 * there are no bodies, no pipelines and no second thoughts about where a message ends.
 */
#ifndef POSTERN_HTTP_H
#define POSTERN_HTTP_H

#include <stdbool.h>

#include "lib/stream.h"

enum {
	HTTP_HEAD = 8192, /* octets of request line and fields; what has more is refused */
	HTTP_LINE = 2048, /* ... of one line, of which the rest is not looked at */
	HTTP_PATH = 64,   /* ours are short */
	HTTP_LINGER = 65536, /* of what is dropped */
};

struct http_request {
	bool head;           /* HEAD: no body is wanted */
	bool open_metrics;   /* its Accept has OpenMetrics */
	char path[HTTP_PATH]; /* without the query; empty: it is none of ours */
};

/* Is this, as a Host field or of a target, an address, localhost, or our name? */
bool http_is_our_host(struct span host, const char *hostname);

/*
 * Reads a head. 200, and *r; or the status to refuse it with; 0: there is no answer to give, for
 * the client has gone or never said a thing.
 */
int http_read(struct stream *s, const char *hostname, int64_t deadline, struct http_request *r);

const char *http_reason(int status);

#endif
