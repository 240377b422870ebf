/*
 * Packets of a nameserver. The first three octets are the code, the number of records, and which
 * question was asked; what follows stands behind that question. The whole input is read as a packet
 * of its own, too.
 */
#include "dns/answer.c"
#include "dns/question.c"
#include "dns/server.c"

#include "dns/addresses.h"
#include "dns/mx.h"
#include "dns/name.h"

#include "fuzz.h"

enum { LEAD = 3 };

static const dnsc_t name[] = "\1a\7example";

static void
try_packet(enum dns_type type, const void *p, size_t n)
{
	static struct mx_set hosts;
	static struct addresses addresses;
	struct question q;
	struct span packet = exact_copy(p, n);
	question_set(&q, name, type);
	answer_read(&q, (dnscc_t *)packet.p, (int)n);
	must(q.said != SAID_NONE && q.links <= LINKS_MAX);
	must((q.said == SAID_TROUBLE || q.said == SAID_EMPTY) <= (q.trouble != NULL));
	must(q.said != SAID_RECORDS || q.length == (int)n);
	must(dns_dnlen(q.name) <= DNS_MAXDN);
	free_copy(packet);
	if (q.said == SAID_RECORDS && type == DNS_T_MX) {
		const char *why = NULL;
		hosts.n = hosts.nulls = 0;
		enum answer a = mx_read(&q, &hosts, &why);
		must(a == ANSWER_FOUND || a == ANSWER_NULL_MX || a == ANSWER_NO_HOST ||
			a == ANSWER_TEMPORARY);
		must((why != NULL) == (a == ANSWER_NO_HOST || a == ANSWER_TEMPORARY));
		must((a == ANSWER_FOUND) <= (hosts.n > 0) && hosts.n <= RECORDS_MAX);
		for (int i = 0; i < hosts.n; i++) {
			char text[LIMIT_DOMAIN + 1];
			name_write(hosts.v[i].name, text);
			for (const char *c = text; *c != '\0'; c++)
				must(*c > ' ' && *c <= '~' &&
					strchr("\\/$()\"<>", *c) == NULL); /* G12 */
		}
	} else if (q.said == SAID_RECORDS) {
		bool good = addresses_read(&q, &addresses);
		must(addresses.n <= EXCHANGER_ADDRESSES_MAX && (good || addresses.n == 0));
	}
	free(q.packet);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = { DNS_T_MX, DNS_T_A, DNS_T_AAAA };
	static dnsc_t packet[TCP_SIZE];
	if (size < LEAD || size > TCP_SIZE / 2)
		return 0;
	enum dns_type type = types[data[2] % 3];
	struct question q;
	question_set(&q, name, type);
	size_t n = write_question(&q, packet, 7, false);
	packet[2] |= 0x80;
	packet[3] = data[0] & 15;
	packet[7] = data[1];
	memcpy(packet + n, data + LEAD, size - LEAD);
	try_packet(type, packet, n + size - LEAD);
	try_packet(type, data, size);
	return 0;
}
