/*
 * login: the name and password or token that hosts ask us for, read before the process locks itself
 * in.
 */
#ifndef POSTERN_LOGIN_H
#define POSTERN_LOGIN_H

#include "conf/conf.h"
#include "sending/sasl.h"

/*
 * Reads what the configuration names: 0, with out->user NULL if it names nothing; or -errno with
 * the reason in *why. Waits up to `timeout` s for the program that prints a token; SIGCHLD must not
 * be ignored.
 */
int login_load(const struct conf_delivery *c, int64_t timeout, struct login *out, struct buf *why);

/* Wipes password and token out of memory and frees them; the name is the configuration's. */
void login_free(struct login *login);

#endif
