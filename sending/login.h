/* login: who we are to hosts, read before the process locks itself in. */
#ifndef POSTERN_LOGIN_H
#define POSTERN_LOGIN_H

#include "conf/conf.h"
#include "sending/sasl.h"

/*
 * As configured; 0 with out->user NULL if nothing is. -errno with the reason in *why. Waits for the
 * program that prints a token; SIGCHLD must not be ignored.
 */
int login_load(const struct conf *c, struct login *out, struct buf *why);

#endif
