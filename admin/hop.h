/*
 * hop: a next hop of Postfix ("[mail.example.net]:587", "example.org") in a section of
 * ours: its hosts, its TLS, and our login there.
 */
#ifndef POSTERN_HOP_H
#define POSTERN_HOP_H

#include "admin/postmap.h"

/* What main.cf and its tables say about all hops. */
struct hops {
	struct sheet *main;
	struct postmap passwords; /* smtp_sasl_password_maps; empty where we do not log in */
	struct postmap policies;  /* smtp_tls_policy_maps */
	bool login;		  /* we do */
	bool by_sender;		  /* ... by who sends, if the map has him */
};

/* `s` is main.cf as a whole; the caller frees. */
void hop_read(struct hops *h, struct translation *t, struct sheet *s);
void hop_free(struct hops *h);

/*
 * `hosts` of the section at hand, from a list of hops for SMTP; those of `more`, which may be
 * empty, are behind. Where there is a login (see below) each is a host with a name.
 */
void hop_put_hosts(struct translation *t, const struct hops *h, struct span list, struct span more,
	struct span sender);

/* ... and from one hop for LMTP, which may be "unix:path" or "inet:host:port". */
void hop_put_lmtp(struct translation *t, struct span hop);

/* TLS with a hop: what its policy says, or else main.cf. */
void hop_put_tls(struct translation *t, const struct hops *h, struct span hop);

/*
 * The login at a hop, if there is one; `sender` is an address or "@domain", or empty. Where it is
 * `expected` and missing, that is a warning.
 */
void hop_put_login(struct translation *t, const struct hops *h, struct span hop, struct span sender,
	bool expected);

/* Is it another one for this sender than for others? */
bool hop_login_is_his(const struct hops *h, struct span sender);

/* From which addresses, and to which family. */
void hop_put_addresses(struct translation *t, struct sheet *s);

#endif
