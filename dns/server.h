/*
 * server: one nameserver is asked, once, and until a deadline.
 *
 * Over UDP by udns: it makes the packets, sends them, and finds the question that a reply belongs
 * to. Each call has a context of its own with this server alone, so that what cannot be sent to one
 * server says nothing about the others, and each call has a fresh port. Over TCP, which udns does
 * not know, by ourselves.
 */
#ifndef POSTERN_SERVER_H
#define POSTERN_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "dns/answer.h"

/*
 * Asks about those of the n questions that are wanted and have no answer yet: with EDNS those that
 * are not plain, without it those that are. Returns when each of them was answered, or the server
 * turned out to be out of reach, or at the deadline: q->said is what it says about each of them.
 * 0; -errno: why the server is out of reach.
 */
int server_udp(const struct sockaddr_storage *server, bool edns, struct question *v, size_t n,
	int64_t deadline);

/* The same about one question. What fails is SAID_TROUBLE. */
int server_tcp(const struct sockaddr_storage *server, struct question *q, int64_t deadline);

#endif
