/*
 * way: how mail of a lane is delivered, by what its route says or what is common, and with which
 * login.
 */
#ifndef POSTERN_WAY_H
#define POSTERN_WAY_H

#include "conf/conf.h"
#include "mail/lane_name.h"

/* The route of this name, or NULL. */
const struct route *way_route(const struct conf *conf, struct span name);

/* The settings by which mail of this lane is delivered. */
void way_of(const struct conf *conf, const char *lane, struct conf_delivery *out);

/*
 * A login is what hosts ask us for: a name, and a password or a token. Each has a relay of its own,
 * and a name for that: LOGIN_NONE, or "route:" and the first route in the file that has it.
 */
#define LOGIN_NONE "none"
enum { LOGIN_NAME_SIZE = sizeof(LANE_ROUTE) + ROUTE_NAME };

/* The login that mail of this lane needs. */
void way_login(const struct conf *conf, const char *lane, char login[static LOGIN_NAME_SIZE]);

#endif
