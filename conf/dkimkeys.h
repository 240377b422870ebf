/*
 * dkimkeys: which key signs the mail of which domain. The file of dkim_keys has a line for each:
 *
 *	DOMAIN SELECTOR FILE [SINCE]
 *
 *	example.org  s2026  /etc/postern/dkim/example.org.pem
 *	example.org  e2026  credential:dkim-ed25519
 *	example.org  s2027  /etc/postern/dkim/next.pem  2027-01-01
 *	*            s2026  /etc/postern/dkim/all.pem
 *
 * DOMAIN is that of From or one above it, which receivers take for the same (relaxed alignment,
 * RFC 7489 section 3.1.1); the nearest one counts. "*" stands for every other domain, each of which
 * has to publish that key. All lines of a domain sign, one key of each algorithm: of several that
 * whose SINCE (midnight, UTC) was last; until then a line is as none. "#" begins a comment.
 */
#ifndef POSTERN_DKIMKEYS_H
#define POSTERN_DKIMKEYS_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/limits.h"
#include "lib/signwire.h"

enum {
	DKIMKEYS_EACH = 2,          /* signatures of a message: as many as there are algorithms */
	DKIMKEYS_SIZE = 512 * 1024, /* octets of the file */
};

struct dkimkeys_row {
	char *domain;   /* with A-labels, in lower case; "*" */
	char *selector;
	char *file;     /* PEM, or a credential */
	int64_t since;  /* s since 1970; INT64_MIN: always */
	unsigned line;  /* of the file */
};

/* Begins as { 0 }. */
struct dkimkeys {
	struct dkimkeys_row *v; /* owned, with its texts */
	size_t n;
	uint32_t sum;           /* of the text that was read */
};

/* 0, or -EINVAL with a line for the operator in *why, that begins with the path. */
int dkimkeys_read(struct dkimkeys *k, const char *path, struct buf *why);

/* The same of a text that was read; `path` is for *why. */
int dkimkeys_parse(struct dkimkeys *k, const char *path, struct span text, struct buf *why);

void dkimkeys_free(struct dkimkeys *k);

/* Does a line of this very domain, or "*", sign at a time? */
bool dkimkeys_has(const struct dkimkeys *k, const char *domain, int64_t now);

/* What is to be done with the mail of a domain. */
struct dkimkeys_choice {
	int n;                     /* keys that sign; 0 and not broken: it is sent without */
	size_t key[DKIMKEYS_EACH]; /* rows */
	const struct dkimkeys_row *broken; /* one that should sign and cannot be used; NULL */
};

/*
 * Chooses for the mail of a domain (A-labels) at a time; `algorithm` has one of each row, 0 for a
 * key that cannot be used (enum dkim_algorithm).
 */
struct dkimkeys_choice dkimkeys_choose(const struct dkimkeys *k, const uint8_t *algorithm,
	const char *domain, int64_t now);

#endif
