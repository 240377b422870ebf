#include "session/proxy.h"

enum {
	V1_MAX = 107,    /* a line with its CRLF */
	V2_HEAD = 16,
	V2_IPV4 = 12,    /* octets of addresses and ports */
	V2_IPV6 = 36,
	V2_UNIX = 216,
};

static const char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";

/* Cuts what stands before the next blank off *s. */
static struct span
word(struct span *s)
{
	const char *blank = s->n > 0 ? memchr(s->p, ' ', s->n) : NULL;
	struct span w = blank != NULL ? span_from(s->p, blank) : *s;
	*s = span_skip(*s, w.n + (blank != NULL));
	return w;
}

static bool
is_port(struct span s)
{
	int64_t v = s.n <= 5 ? span_number(s) : -1;
	return v >= 0 && v <= UINT16_MAX;
}

/* An address, which may have a scope ("fe80::1%eth0"). */
static bool
is_address(struct span s, struct netaddr *out)
{
	struct span address = span_cut(&s, '%');
	return netaddr_parse(address, out) == 0;
}

/* "PROXY TCP4 source destination port port" CRLF */
static enum proxy_result
parse_v1(struct span in, size_t *used, struct netaddr *out)
{
	struct netaddr source, destination;
	const char *lf = memchr(in.p, '\n', in.n < V1_MAX ? in.n : V1_MAX);
	if (lf == NULL)
		return in.n < V1_MAX ? PROXY_MORE : PROXY_BAD;
	*used = (size_t)(lf + 1 - in.p);
	struct span line = { in.p, *used - 1 };
	if (line.n < 2 || line.p[line.n - 1] != '\r')
		return PROXY_BAD;
	line.n--;
	if (!span_eq(word(&line), span_of("PROXY")))
		return PROXY_BAD;
	struct span family = word(&line);
	if (span_eq(family, span_of("UNKNOWN")))
		return PROXY_ITSELF;
	bool v4 = span_eq(family, span_of("TCP4"));
	if (!v4 && !span_eq(family, span_of("TCP6")))
		return PROXY_BAD;
	if (!is_address(word(&line), &source) || !is_address(word(&line), &destination))
		return PROXY_BAD;
	if (!is_port(word(&line)) || !is_port(word(&line)) || line.n > 0)
		return PROXY_BAD;
	/*
	 * A proxy may say TCP6 of an IPv4 client: its socket has both families, or the other end is
	 * IPv6; and it writes ::ffff:192.0.2.1 or 192.0.2.1 (L52).
	 */
	if (v4 && !netaddr_is_v4(&source))
		return PROXY_BAD;
	*out = source;
	return PROXY_CLIENT;
}

static enum proxy_result
parse_v2(struct span in, size_t *used, struct netaddr *out)
{
	if (in.n < V2_HEAD)
		return PROXY_MORE;
	const unsigned char *h = (const unsigned char *)in.p;
	size_t length = (size_t)h[14] << 8 | h[15];
	if (h[12] >> 4 != 2 || V2_HEAD + length > PROXY_MAX)
		return PROXY_BAD;
	if (in.n < V2_HEAD + length)
		return PROXY_MORE;
	*used = V2_HEAD + length;
	if ((h[12] & 0xf) == 0) /* LOCAL */
		return PROXY_ITSELF;
	if ((h[12] & 0xf) != 1)
		return PROXY_BAD;
	struct netaddr a = { .ip = { [10] = 0xff, [11] = 0xff } };
	if (h[13] == 0x11 && length >= V2_IPV4)
		memcpy(a.ip + 12, h + V2_HEAD, 4);
	else if (h[13] == 0x21 && length >= V2_IPV6)
		memcpy(a.ip, h + V2_HEAD, sizeof(a.ip));
	else if (h[13] == 0 || (h[13] == 0x31 && length >= V2_UNIX))
		return PROXY_ITSELF; /* no family, or a UNIX socket of the proxy's host */
	else
		return PROXY_BAD; /* not a connection that SMTP is spoken on */
	*out = a;
	return PROXY_CLIENT;
}

enum proxy_result
proxy_parse(struct span in, size_t *used, struct netaddr *out)
{
	size_t n = sizeof(v2_signature) - 1;
	if (in.n == 0)
		return PROXY_MORE;
	if (memcmp(in.p, v2_signature, in.n < n ? in.n : n) == 0)
		return in.n < n ? PROXY_MORE : parse_v2(in, used, out);
	return parse_v1(in, used, out);
}
