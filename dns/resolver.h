/*
 * resolver: which nameservers are asked, in which way, and which of them are believed to have
 * validated what they say (DNSSEC).
 *
 * What is in one is in dns/question.h, for whoever asks by it.
 */
#ifndef POSTERN_RESOLVER_H
#define POSTERN_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/net.h"

struct resolver;

/*
 * A resolver for these nameservers (with their ports), for a host of this name; without any,
 * nothing is found for now. NULL with errno set on failure.
 */
struct resolver *resolver_open(const struct sockaddr_storage *servers, int n, const char *hostname);
void resolver_close(struct resolver *r);

/* Another one like it, for another thread, which is closed before it. NULL: there is no memory. */
struct resolver *resolver_copy(const struct resolver *r);

/* The servers are asked over TCP only. */
void resolver_use_tcp(struct resolver *r);

/*
 * These servers from now on, over TCP only or not. Copies keep those that they have. False: they
 * are no others.
 */
bool resolver_use_servers(struct resolver *r, const struct sockaddr_storage *servers, int n,
	bool tcp);

/*
 * Who is believed to have validated an answer (DNSSEC) that says so: servers on loopback (but for
 * 127.0.0.11, by which Docker hands on what others say), and those in this list, which outlives the
 * resolver and its copies. Where one of the servers is none of these, no answer is believed: it
 * could be asked in the place of one that found something wrong.
 */
void resolver_trust(struct resolver *r, const struct netlist *vouchers);

/* Are all servers such? */
bool resolver_is_trusted(const struct resolver *r);

/* The same about one server. */
bool resolver_trusts(const struct netlist *vouchers, const struct sockaddr_storage *server);

/*
 * From now on hosts are looked up with their TLSA records for this TCP port (RFC 7672), if the
 * servers are trusted; 0: without.
 */
void resolver_use_dane(struct resolver *r, uint16_t port);

/* Do both ask the same servers? */
bool resolver_is_like(const struct resolver *r, const struct resolver *other);

/* Opens a file of hosts (hosts(5)) for resolver_named (dns.h); without one, there are no names. */
void resolver_use_hosts(struct resolver *r, const char *path);

#endif
