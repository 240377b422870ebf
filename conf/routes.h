/*
 * routes: where mail goes that does not go by the MX records of its recipient's domain.
 *
 * A route is a section of the configuration (conf.h). The first in the file that matches has the mail,
 * and all mail of a route is one lane. What matches is decided when mail is queued, what the route says
 * when it is delivered.
 */
#ifndef POSTERN_ROUTES_H
#define POSTERN_ROUTES_H

#include "mail/address.h"
#include "conf/conf.h"

/*
 * `lane` is that of a recipient's domain (address_lane); if there is a route for mail from `sender` to
 * that domain, it becomes the route's. The null sender (empty) is none of a route's `senders`.
 */
void routes_lane(const struct conf *conf, struct span sender, char lane[static LANE_NAME_SIZE]);

/* The route of this name, or NULL. */
const struct route *routes_find(const struct conf *conf, struct span name);

/* One of a route's `hosts`. */
struct target {
	enum target_kind {
		TARGET_ADDRESS, /* [192.0.2.1], [192.0.2.1]:25, [2001:db8::1]:25 */
		TARGET_HOST,    /* mail.example.org:587, [mail.example.org]: its addresses */
		TARGET_DOMAIN,  /* example.org: its mail exchangers */
		TARGET_SOCKET,  /* unix:/path */
	} kind;
	struct netaddr addr;         /* TARGET_ADDRESS */
	char name[LIMIT_DOMAIN + 1]; /* the others: name or path */
	uint16_t port;               /* 0: none was given */
};

/* 0 or -EINVAL. */
int target_parse(struct span word, struct target *out);

/* Has each of a route's `hosts` a port, or is a socket? */
bool targets_have_ports(const char *hosts);

/* Does each of a route's `hosts` say which host it is, so that no answer of the DNS chooses one? */
bool targets_are_named(const char *hosts);

/* The addresses of `source`, at most one of each family. */
struct sources {
	bool has4, has6;
	struct netaddr v4, v6;
};

/* 0 or -EINVAL. */
int sources_parse(struct span list, struct sources *out);

#endif
