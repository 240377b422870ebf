/*
 * nameserver: a DNS server on loopback, UDP and TCP, that says what a table wants it to say.
 *
 * An answer is text, one record or directive a line:
 *
 *	@ MX 10 mx.example       owner, type, data; "@" is the name that was asked for, "^" a pointer to
 *	                         itself
 *	@ MX # 000a 4c40 ...     data in hex; S: a pointer to itself, F: one that leads forward,
 *	                         H: one into the header, L: a label of 63 octets
 *	@ MX #7 000a             the same with a data length that is not true
 *	!rcode N   !count N      code and number of records in the header
 *	!class N                 of the records that follow
 *	!tc                      over UDP: no records and TC
 *	!silent   !short         no answer; five octets
 *	!edns X   !plain X       what a question with EDNS gets, or one without: silent, tc, or an
 *	                         rcode
 *	!bare                    ... without the question, in a header alone
 *	!opt N                   EDNS in the answer, with these upper bits of the rcode
 *	!ad                      it was validated, if the question asks for that
 *	!nosoa                   no SOA behind an answer without records (else there is one)
 *	referral NS ns.example   the root's servers, behind the answers
 *	!forge   !forged         with a wrong id, a wrong question, a wrong port: only that; and then
 *	                         the true one
 *	!tcp stall|close|half|slow|id|other|type|question|tc|tiny|servfail
 *	                         other: about another name; type: of another type; question: it is
 *	                         none itself; tc: with TC
 *	!mx N   !a N             so many records, m<i>.@ and addresses
 *	!each N                  so many addresses that no other host m<i> has
 *	!chain N                 @ CNAME c1.@, c1.@ CNAME c2.@, ... and 192.0.2.1 at the end
 *	!backwards N             the same, last first
 *	!next N                  a name that begins with l<i> is a CNAME of l<i+1>, up to l<N>, which
 *	                         has the address 192.0.2.1
 */
#ifndef POSTERN_UNIT_NAMESERVER_H
#define POSTERN_UNIT_NAMESERVER_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct zone {
	const char *name; /* or "*.suffix" */
	const char *type; /* or "*" */
	const char *answer;
};

enum { SEEN_MAX = 4096 };

struct nameserver {
	int family; /* AF_INET6: on ::1; else on 127.0.0.1 */
	pid_t pid;
	struct sockaddr_storage addr;
	struct counts {
		volatile int udp, tcp; /* questions so far */
		struct seen {
			uint16_t id, port;
		} seen[SEEN_MAX];      /* of the first ones over UDP */
	} *counts;                     /* shared with the server */
};

/*
 * Starts it, with no more than `family` set; it ends with its parent. What is not in the table
 * exists and has no data.
 */
void nameserver_start(struct nameserver *ns, const struct zone *zone, size_t rows);
void nameserver_stop(struct nameserver *ns);

#endif
