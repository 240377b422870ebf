/*
 * health: does an smtpd that listens take mail? For the health checks of containers, which have no
 * other tools.
 *
 * It is a client that hears the greeting and leaves: 220 means that a session began, with its
 * spool open and its configuration read; that mail also goes out is not asked.
 */
#ifndef POSTERN_HEALTH_H
#define POSTERN_HEALTH_H

/*
 * Asks the one at "ADDRESS:PORT". EX_OK; or a line on standard error and EX_UNAVAILABLE, or
 * EX_USAGE for what is no address.
 */
int health_ask(const char *address);

#endif
