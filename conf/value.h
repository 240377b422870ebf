/*
 * value: one value of the configuration, by the type of its key.
 *
 * What has several numbers (SCHEDULE, SERVERS, NETS, PROXIES) is the same for all mail: it is never
 * copied.
 */
#ifndef POSTERN_CONF_VALUE_H
#define POSTERN_CONF_VALUE_H

#include "conf/conf.h"

#define SEC  INT64_C(1)
#define DAY  (86400 * SEC)
#define KIB  INT64_C(1024)
#define HUGE_SIZE (KIB * KIB * KIB * KIB)

enum key_type {
	TEXT, HOSTNAME, MAILBOX, PATHNAME,
	SECRET,   /* a path or a credential */
	SECRETS,  /* several */
	PASSWORD, /* ... or a variable of the environment */
	DOMAINS, DESTINATIONS, SENDERS, HOSTS, EXTENSIONS, SOURCES, LOCAL_SENDERS, /* texts */
	SUBMITTERS, MASQUERADE, EXCEPTIONS, GUARD,
	FIRST_LIST = DOMAINS, LAST_TEXT = GUARD,
	NUMBER, SIZE, SECONDS, NETS, PROXIES, SERVERS, SCHEDULE,
	LOG, LOG_FORMAT, TLS, DELIVERY_TLS, YESNO, MX_ORDER, FAMILY, PROTOCOL,
	DKIM_SIGN, DKIM_MISSING, DANE, /* choices */
};

struct key {
	const char *name;
	enum key_type type;
	enum key_place { /* where it may stand; and what its offset is in: */
		COMMON, /* in no section of a route; struct conf */
		BOTH,   /* in a route too; struct conf_delivery, this one and those below */
		ROUTE,  /* in a route only */
		LOGIN,  /* ... because it is who we are to the hosts that the route names */
		MATCH,  /* in a route only; struct route */
	} place;
	size_t offset;
	const char *preset;                           /* NULL: none, or worked out */
	int64_t min, max;
};

#define VALUE_NO_TLS "this program was built without TLS (make TLS=0)"
#define VALUE_NO_STS "this program was built without TLS or libcurl (make TLS=0, CURL=0)"

/* `home` is the struct that the key's offset is in. */

/* Puts a value into its place. NULL, or what is wrong with it. */
const char *value_set(void *home, const struct key *k, struct span v);

void value_print(const void *home, const struct key *k, FILE *out);

/* A shallow copy, of a key that may stand in a route. */
void value_copy(void *to, const void *from, const struct key *k);

void value_free(void *home, const struct key *k);

#endif
