/*
 * postfix_lists: settings of main.cf that are lists of domains or networks, of which some may stand
 * in files and tables.
 */
#ifndef POSTERN_POSTFIX_LISTS_H
#define POSTERN_POSTFIX_LISTS_H

#include "admin/translate.h"

/* For rules: mynetworks and relay_domains. */
void postfix_lists_nets(
	struct translation *t, struct sheet *s, const struct told *setting, const char *key);
void postfix_lists_domains(
	struct translation *t, struct sheet *s, const struct told *setting, const char *key);

#endif
