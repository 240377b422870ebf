#include "tests/unit/dns/nameserver.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HEADER = 12, PACKET = 65535, NAME = 256, QUERY = 600, OPT = 41, AD = 0x20, RCODE_FORMERR = 1,
	RCODE_SERVFAIL = 2 };

static const struct {
	const char *name;
	int number;
} types[] = { { "A", 1 }, { "NS", 2 }, { "CNAME", 5 }, { "SOA", 6 }, { "PTR", 12 }, { "MX", 15 }, { "TXT", 16 }, { "AAAA", 28 }, { "TLSA", 52 } };

struct packet {
	uint8_t p[2 + PACKET]; /* two octets of length for TCP */
	size_t n;              /* without them */
	int records, authority, additional;
	/* what directives said */
	int rcode, count, options, class;
	bool tc, silent, tiny, nosoa, bare, forge, forged, ad;
	const char *edns, *plain; /* what happens to questions with and without EDNS; NULL: nothing */
	const char *tcp;
};

struct question {
	char name[NAME];
	int type;
	bool edns, ad;
	size_t end; /* of the question section */
};

static const struct zone *zones;
static size_t zone_rows;

/* ---- building --------------------------------------------------------------------------- */

static void
put(struct packet *k, unsigned v, int octets)
{
	while (octets-- > 0 && k->n < PACKET)
		k->p[2 + k->n++] = (uint8_t)(v >> 8 * octets);
}

static void
put_name(struct packet *k, const char *name)
{
	if (name[0] == '@' && name[1] == '\0') {
		put(k, 0xc000 | HEADER, 2);
		return;
	}
	if (name[0] == '^') {
		put(k, 0xc000 | (unsigned)k->n, 2);
		return;
	}
	while (*name != '\0' && strcmp(name, ".") != 0 && strcmp(name, "@") != 0) {
		size_t n = strcspn(name, ".");
		put(k, (unsigned)n, 1);
		for (size_t i = 0; i < n; i++)
			put(k, (uint8_t)name[i], 1);
		name += n + (name[n] == '.');
	}
	put(k, *name == '@' ? 0xc000 | HEADER : 0, *name == '@' ? 2 : 1);
}

static int
type_number(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].number;
	return 0;
}

static void
put_hex(struct packet *k, const char *s)
{
	for (; *s != '\0'; s++) {
		unsigned octet;
		if (*s == 'S')
			put(k, 0xc000 | (unsigned)k->n, 2);
		else if (*s == 'F')
			put(k, 0xc000 | (unsigned)(k->n + 40), 2);
		else if (*s == 'H')
			put(k, 0xc003, 2);
		else if (*s == 'L') {
			put(k, 63, 1);
			for (int i = 0; i < 63; i++)
				put(k, 'a', 1);
		} else if (sscanf(s, "%2x", &octet) == 1 && *s != ' ') {
			put(k, octet, 1);
			s++;
		}
	}
}

static void
put_data(struct packet *k, int type, const char *data)
{
	uint8_t ip[16];
	int preference = 0, skip = 0;
	if (type == 15 && sscanf(data, "%d %n", &preference, &skip) == 1)
		put(k, (unsigned)preference, 2);
	if (type == 15 || type == 5 || type == 12 || type == 2)
		put_name(k, data + skip);
	else if (type == 1 || type == 28)
		for (int i = 0; i < (inet_pton(type == 1 ? AF_INET : AF_INET6, data, ip) == 1 ?
			(type == 1 ? 4 : 16) : 0); i++)
			put(k, ip[i], 1);
}

static void
put_record(struct packet *k, const char *owner, int type, const char *data)
{
	unsigned length = 0;
	put_name(k, owner);
	put(k, (unsigned)type, 2);
	put(k, k->class != 0 ? (unsigned)k->class : 1, 2);
	put(k, 300, 4);
	size_t at = k->n;
	put(k, 0, 2);
	if (data[0] == '#')
		put_hex(k, data + 1 + strcspn(data + 1, " "));
	else
		put_data(k, type, data);
	if (data[0] != '#' || sscanf(data + 1, "%u", &length) != 1 || data[1] == ' ')
		length = (unsigned)(k->n - at - 2);
	k->p[2 + at] = (uint8_t)(length >> 8);
	k->p[2 + at + 1] = (uint8_t)length;
	k->records++;
}

static void
put_many(struct packet *k, int type, int n)
{
	char data[64];
	for (int i = 0; i < n; i++) {
		if (type == 15)
			snprintf(data, sizeof(data), "%d m%d.@", n - i, i);
		else
			snprintf(data, sizeof(data), "198.51.%d.%d", i / 256, i % 256);
		put_record(k, "@", type, data);
	}
}

static void
put_each(struct packet *k, const struct question *q, int n)
{
	int host = 0;
	char data[64];
	sscanf(q->name, "m%d", &host);
	for (int i = 0; i < n; i++) {
		snprintf(data, sizeof(data), "198.%d.%d.%d", 18 + host / 256, host % 256, i);
		put_record(k, "@", 1, data);
	}
}

static void
put_chain(struct packet *k, int n, bool backwards)
{
	char from[32], to[32], last[32];
	snprintf(last, sizeof(last), "c%d.@", n);
	if (backwards)
		put_record(k, last, 1, "192.0.2.1");
	for (int i = 0; i < n; i++) {
		int link = backwards ? n - 1 - i : i;
		snprintf(from, sizeof(from), link > 0 ? "c%d.@" : "@", link);
		snprintf(to, sizeof(to), "c%d.@", link + 1);
		put_record(k, from, 5, to);
	}
	if (!backwards)
		put_record(k, last, 1, "192.0.2.1");
}

static void
put_next(struct packet *k, const struct question *q, int last)
{
	int i = 0;
	char to[NAME + 16];
	sscanf(q->name, "l%d", &i);
	snprintf(to, sizeof(to), "l%d%s", i + 1, q->name + strcspn(q->name, "."));
	if (i < last)
		put_record(k, "@", 5, to);
	else if (q->type == 1)
		put_record(k, "@", 1, "192.0.2.1");
}

/*
 * What stands behind the answers: who is asked instead, or the SOA that makes "no data" of nothing
 * at all; and the upper bits of the rcode.
 */
static void
put_rest(struct packet *k)
{
	int answers = k->records;
	if (answers == 0 && k->rcode == 0 && !k->nosoa && k->authority == 0) {
		put_record(k, "@", type_number("SOA"), "# 0000 00000001 00000002 00000003 00000004 00000005");
		k->authority++;
	}
	if (k->options >= 0) {
		put_name(k, ".");
		put(k, OPT, 2);
		put(k, 1232, 2);
		put(k, (unsigned)k->options << 24, 4);
		put(k, 0, 2);
		k->additional++;
	}
	k->records = answers;
}

static void
directive(struct packet *k, const struct question *q, const char *word, const char *arg)
{
	int n = (int)strtol(arg, NULL, 10);
	if (strcmp(word, "rcode") == 0)
		k->rcode = n;
	else if (strcmp(word, "count") == 0)
		k->count = n;
	else if (strcmp(word, "mx") == 0)
		put_many(k, 15, n);
	else if (strcmp(word, "a") == 0)
		put_many(k, 1, n);
	else if (strcmp(word, "each") == 0)
		put_each(k, q, n);
	else if (strcmp(word, "chain") == 0 || strcmp(word, "backwards") == 0)
		put_chain(k, n, word[0] == 'b');
	else if (strcmp(word, "next") == 0)
		put_next(k, q, n);
	else if (strcmp(word, "opt") == 0)
		k->options = n;
	else if (strcmp(word, "class") == 0)
		k->class = n;
	else if (strcmp(word, "tcp") == 0)
		k->tcp = arg;
	else if (strcmp(word, "edns") == 0)
		k->edns = arg;
	else if (strcmp(word, "plain") == 0)
		k->plain = arg;
	k->tc = k->tc || strcmp(word, "tc") == 0;
	k->silent = k->silent || strcmp(word, "silent") == 0;
	k->tiny = k->tiny || strcmp(word, "short") == 0;
	k->nosoa = k->nosoa || strcmp(word, "nosoa") == 0;
	k->bare = k->bare || strcmp(word, "bare") == 0;
	k->forge = k->forge || strcmp(word, "forge") == 0;
	k->forged = k->forged || strcmp(word, "forged") == 0;
	k->ad = k->ad || strcmp(word, "ad") == 0;
}

static void
put_line(struct packet *k, const struct question *q, char *line)
{
	char *save = NULL;
	char *first = strtok_r(line, " ", &save);
	if (first == NULL)
		return;
	if (first[0] == '!') {
		const char *arg = strtok_r(NULL, " ", &save);
		directive(k, q, first + 1, arg != NULL ? arg : "");
		return;
	}
	const char *type = strtok_r(NULL, " ", &save);
	bool referral = strcmp(first, "referral") == 0;
	put_record(k, referral ? "." : first, type_number(type), save);
	if (referral)
		k->records--, k->authority++;
}

static bool
matches(const struct zone *z, const struct question *q)
{
	size_t n = strlen(z->name), m = strlen(q->name);
	bool name = z->name[0] == '*' ? m >= n - 1 && strcasecmp(q->name + m - n + 1, z->name + 1) == 0
				      : strcasecmp(z->name, q->name) == 0;
	return name && (z->type[0] == '*' || type_number(z->type) == q->type);
}

/* False: no question that we understand. */
static bool
parse_question(const uint8_t *p, size_t n, struct question *q)
{
	size_t at = HEADER, to = 0;
	if (n < HEADER + 5 || n > QUERY)
		return false;
	q->edns = p[11] > 0;
	q->ad = (p[3] & AD) != 0;
	while (at < n && p[at] != 0) {
		if (p[at] > 63 || at + p[at] + 1 >= n || to + p[at] + 2 > sizeof(q->name))
			return false;
		if (to > 0)
			q->name[to++] = '.';
		memcpy(q->name + to, p + at + 1, p[at]);
		to += p[at];
		at += p[at] + 1U;
	}
	q->name[to] = '\0';
	if (at + 5 > n)
		return false;
	q->type = p[at + 1] << 8 | p[at + 2];
	q->end = at + 5;
	return true;
}

static void
answer(const uint8_t *query, const struct question *q, struct packet *k)
{
	memcpy(k->p + 2, query, q->end);
	k->n = q->end;
	k->records = k->rcode = k->authority = k->additional = 0;
	k->count = k->options = -1;
	k->tc = k->silent = k->tiny = k->nosoa = k->bare = k->forge = k->forged = k->ad = false;
	k->tcp = k->edns = k->plain = NULL;
	static char text[4096];
	for (size_t i = 0; i < zone_rows; i++) {
		char *save = NULL;
		if (!matches(&zones[i], q))
			continue;
		snprintf(text, sizeof(text), "%s", zones[i].answer);
		for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save))
			put_line(k, q, l);
		break;
	}
	put_rest(k);
}

/* Fills in the header; `full`: with the records. */
static void
finish(struct packet *k, const struct question *q, bool full)
{
	uint8_t *h = k->p + 2;
	int count = k->count >= 0 ? k->count : k->records;
	if (!full) {
		k->n = q->end;
		count = k->authority = k->additional = 0;
	}
	h[2] = (uint8_t)(0x80 | (h[2] & 1) | (full ? 0 : 2)); /* QR, RD, TC */
	h[3] = (uint8_t)(0x80 | (k->ad && q->ad ? AD : 0) | k->rcode);
	h[4] = 0, h[5] = 1;
	h[6] = (uint8_t)(count >> 8), h[7] = (uint8_t)count;
	h[8] = h[10] = 0;
	h[9] = (uint8_t)k->authority;
	h[11] = (uint8_t)k->additional;
}

/* An error and nothing else, not even the question if it is bare. */
static void
fail(struct packet *k, const struct question *q, int rcode)
{
	k->rcode = rcode;
	finish(k, q, false);
	k->p[2 + 2] &= (uint8_t)~2;
	if (k->bare) {
		k->p[2 + 5] = 0;
		k->n = HEADER;
	}
}

/* ---- serving ---------------------------------------------------------------------------- */

/* The same answer with another address in it, as somebody would send it who cannot see us. */
static void
send_forged(int udp, const struct packet *k, const struct sockaddr *to, socklen_t len)
{
	static struct packet f;
	f = *k;
	for (size_t i = k->n; i-- > HEADER;)
		if (memcmp(f.p + 2 + i, "\xc0\x00\x02\x01", 4) == 0) /* 192.0.2.1 */
			f.p[2 + i + 3] = 66;
	f.p[2] ^= 1; /* id */
	sendto(udp, f.p + 2, f.n, 0, to, len);
	f.p[2] ^= 1;
	f.p[2 + HEADER + 1] ^= 1; /* a letter of the question */
	sendto(udp, f.p + 2, f.n, 0, to, len);
	f.p[2 + HEADER + 1] ^= 1;
	int other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* all right but for the port */
	sendto(other, f.p + 2, f.n, 0, to, len);
	close(other);
}

static void
note(struct counts *counts, const uint8_t *query, const struct sockaddr_storage *from)
{
	in_port_t port = from->ss_family == AF_INET ? ((const struct sockaddr_in *)from)->sin_port
						     : ((const struct sockaddr_in6 *)from)->sin6_port;
	if (counts->udp <= SEEN_MAX)
		counts->seen[counts->udp - 1] = (struct seen){
			.id = (uint16_t)(query[0] << 8 | query[1]), .port = ntohs(port) };
}

static void
serve_udp(int udp, struct counts *counts)
{
	static struct packet k;
	uint8_t query[QUERY];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct question q;
	ssize_t n = recvfrom(udp, query, sizeof(query), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	if (n < 0 || !parse_question(query, (size_t)n, &q))
		return;
	note(counts, query, &from);
	answer(query, &q, &k);
	const char *how = q.edns ? k.edns : k.plain;
	if (how != NULL && strcmp(how, "silent") == 0)
		return;
	if (how != NULL && strcmp(how, "tc") == 0)
		finish(&k, &q, false);
	else if (how != NULL)
		fail(&k, &q, (int)strtol(how, NULL, 10));
	else if (k.rcode == RCODE_FORMERR)
		fail(&k, &q, k.rcode);
	else
		finish(&k, &q, !k.tc);
	if (k.forge || k.forged)
		send_forged(udp, &k, (struct sockaddr *)&from, len);
	if (!k.silent && !k.forge)
		sendto(udp, k.p + 2, k.tiny ? 5 : k.n, 0, (struct sockaddr *)&from, len);
}

static bool
read_exactly(int fd, uint8_t *p, size_t n)
{
	for (ssize_t r; n > 0; p += r, n -= (size_t)r)
		if ((r = read(fd, p, n)) <= 0)
			return false;
	return true;
}

/* Stalled connections stay open until the server ends. */
static void
serve_tcp(int listener)
{
	static struct packet k;
	static const struct timeval patience = { 60, 0 };
	uint8_t query[2 + QUERY];
	struct question q;
	int fd = accept(listener, NULL, NULL);
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	size_t n = read_exactly(fd, query, 2) ? (size_t)query[0] << 8 | query[1] : 0;
	if (n == 0 || n > QUERY || !read_exactly(fd, query + 2, n) ||
		!parse_question(query + 2, n, &q)) {
		close(fd);
		return;
	}
	answer(query + 2, &q, &k);
	const char *how = k.tcp != NULL ? k.tcp : "";
	if (strcmp(how, "servfail") == 0)
		k.rcode = RCODE_SERVFAIL;
	finish(&k, &q, true);
	if (strcmp(how, "id") == 0)
		k.p[2] ^= 1;
	if (strcmp(how, "tc") == 0)
		k.p[2 + 2] |= 2;
	if (strcmp(how, "other") == 0)
		k.p[2 + HEADER + 1] ^= 1;
	if (strcmp(how, "type") == 0)
		k.p[2 + HEADER + strlen(q.name) + 2 + 1] ^= 1;
	if (strcmp(how, "question") == 0)
		k.p[2 + 2] &= 0x7f;
	k.p[0] = (uint8_t)(k.n >> 8);
	k.p[1] = (uint8_t)k.n;
	if (strcmp(how, "tiny") == 0)
		k.p[0] = 0, k.p[1] = 5;
	size_t send_now = strcmp(how, "half") == 0 || strcmp(how, "stall") == 0 ? k.n / 2 : k.n + 2;
	if (strcmp(how, "close") == 0)
		send_now = 0;
	size_t piece = strcmp(how, "slow") == 0 ? 1 : send_now;
	for (size_t at = 0; at < send_now; at += piece)
		if (send(fd, k.p + at, piece, MSG_NOSIGNAL) < 0)
			break;
	if (strcmp(how, "stall") != 0)
		close(fd);
}

static void
serve(int udp, int tcp, struct counts *counts)
{
	struct pollfd p[] = { { .fd = udp, .events = POLLIN }, { .fd = tcp, .events = POLLIN } };
	while (poll(p, 2, -1) > 0) {
		if (p[0].revents != 0) {
			counts->udp++;
			serve_udp(udp, counts);
		}
		if (p[1].revents != 0) {
			counts->tcp++;
			serve_tcp(tcp);
		}
	}
}

/* Both protocols on one port of the kernel's choice. */
static int
bind_both(struct nameserver *ns, int *udp, int *tcp)
{
	int family = ns->family == AF_INET6 ? AF_INET6 : AF_INET;
	for (int i = 0; i < 50; i++) {
		struct sockaddr_in v4 = { .sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
		socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
		struct sockaddr *a = (struct sockaddr *)&ns->addr;
		memcpy(a, family == AF_INET ? (void *)&v4 : (void *)&v6, len);
		*udp = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		*tcp = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(*udp, a, len) == 0 && getsockname(*udp, a, &len) == 0 &&
			bind(*tcp, a, len) == 0 && listen(*tcp, 16) == 0)
			return 0;
		close(*udp);
		close(*tcp);
	}
	return -1;
}

void
nameserver_start(struct nameserver *ns, const struct zone *zone, size_t rows)
{
	int udp, tcp;
	zones = zone;
	zone_rows = rows;
	ns->counts = mmap(NULL, sizeof(*ns->counts), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ns->counts == MAP_FAILED || bind_both(ns, &udp, &tcp) < 0)
		abort();
	pid_t parent = getpid();
	ns->pid = fork();
	if (ns->pid < 0)
		abort();
	if (ns->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			serve(udp, tcp, ns->counts);
		_exit(1);
	}
	close(udp);
	close(tcp);
}

void
nameserver_stop(struct nameserver *ns)
{
	kill(ns->pid, SIGKILL);
	waitpid(ns->pid, NULL, 0);
	munmap(ns->counts, sizeof(*ns->counts));
}
