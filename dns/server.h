/*
 * server: one nameserver is asked, once, and until a deadline.
 *
 * Each call has a socket of its own, which is connected to this server alone, so that what cannot
 * be sent to one server says nothing about the others, and no packet of anybody else comes in; and
 * so each has a port of the kernel's choice, and each question an id that nobody can guess.
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
