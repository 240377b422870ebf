#include "sending/signature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/alabel.h"
#include "mail/dkim.h"
#include "mail/encode.h"
#include "sending/openssl.h"
#include "sending/signer.h"

_Static_assert((int)DKIM_HASH == (int)SIGN_HASH, "a digest is a digest");

#define CANNOT_SIGN "DKIM"

/*
 * Octets of a header that each courier may have in memory. A header may be sixteen times as long,
 * and has a copy: whoever may send could have hundreds of couriers take more than the unit has. So
 * those that are longer are signed one after the other.
 */
enum { HEADER_EACH = 64 * 1024 };

/* ---- digests ----------------------------------------------------------------------------- */

struct digest {
	EVP_MD_CTX *ctx;
	bool failed;
};

static struct digest
digest_begin(void)
{
	struct digest d = { .ctx = EVP_MD_CTX_new() };
	d.failed = d.ctx == NULL || EVP_DigestInit_ex(d.ctx, EVP_sha256(), NULL) != 1;
	return d;
}

/* Takes a piece, as a dkim_sink. */
static void
digest_add(void *target, struct span piece)
{
	struct digest *d = target;
	if (!d->failed && EVP_DigestUpdate(d->ctx, piece.p, piece.n) != 1)
		d->failed = true;
}

/* False: there is none. */
static bool
digest_end(struct digest *d, unsigned char out[static DKIM_HASH])
{
	bool done = !d->failed && EVP_DigestFinal_ex(d->ctx, out, NULL) == 1;
	EVP_MD_CTX_free(d->ctx);
	d->ctx = NULL;
	return done;
}

/* ---- the text ---------------------------------------------------------------------------- */

/* A text that is read: who signs it, which its header tells, and the digest of its body. */
struct reading {
	struct signer *s;
	const struct text *t;
	bool again;                    /* a signature that is there is no reason */
	struct dkim dkim;
	bool large;                    /* ... which has a long header: its turn is ours */
	bool chosen;                   /* the header is known, and with it: */
	struct dkimkeys_choice keys;
	const char *domain;            /* whose keys they are: d= */
	char room[ALABEL_DOMAIN];      /* where that may stand */
	unsigned char body[DKIM_HASH];
};

static struct dkimkeys_choice
choose_for(const struct signer *s, const char *domain)
{
	if (domain[0] == '\0')
		return (struct dkimkeys_choice){ .n = 0 };
	return dkimkeys_choose(&s->keys, s->hello.algorithm, domain, clock_wall());
}

/* "": it has none, or none of the DNS. */
static void
sender_domain(struct span sender, char out[static ALABEL_DOMAIN])
{
	const char *at = sender.n > 0 ? memrchr(sender.p, '@', sender.n) : NULL;
	if (at != NULL)
		(void)alabel_domain(span_from(at + 1, sender.p + sender.n), out);
}

/*
 * The keys of the domain of From, or else of that of the envelope, which is some help where it is
 * passed on.
 */
static void
choose(struct reading *r)
{
	r->chosen = true;
	r->domain = r->dkim.from;
	r->keys = choose_for(r->s, r->domain);
	if (r->keys.n == 0 && r->keys.broken == NULL) {
		sender_domain(r->t->m->env.sender, r->room);
		r->domain = r->room;
		r->keys = choose_for(r->s, r->domain);
	}
	/* All keys of a choice are of one domain of the table; "*" stands for that of the mail. */
	const struct dkimkeys_row *row = r->keys.n > 0 ? &r->s->keys.v[r->keys.key[0]]
						       : r->keys.broken;
	if (row != NULL && strcmp(row->domain, "*") != 0)
		r->domain = row->domain;
}

/*
 * A user who may send from some addresses only could write any other into From, and our signature
 * would make it true. What he was let say is the sender of the envelope.
 */
static bool
is_his(const struct reading *r)
{
	char own[ALABEL_DOMAIN] = "";
	sender_domain(r->t->m->env.sender, own);
	return !r->t->m->env.bound || (strcasecmp(r->dkim.from, own) == 0 &&
		strcmp(r->dkim.shared, r->dkim.from) == 0);
}

/*
 * Did we break the signatures that it came with? By the text as the host takes it, or by another
 * address in From (force_from).
 */
static bool
are_broken(const struct reading *r)
{
	return r->t->converted || r->dkim.put_away;
}

static bool
is_to_be_signed(const struct reading *r)
{
	return (r->keys.n > 0 || r->keys.broken != NULL) && is_his(r) &&
		dkim_may_sign(&r->dkim, span_of(r->domain)) &&
		(r->again || are_broken(r) || !dkim_has(&r->dkim, span_of(r->domain)));
}

/* As far as the header may go: to the first empty line, or all of it. */
static struct span
header_run(struct span piece)
{
	static const struct span end = { "\r\n\r\n", 4 };
	const char *p = memmem(piece.p, piece.n, end.p, end.n);
	return p != NULL ? span_from(piece.p, p + end.n) : piece;
}

/* Waits for those whose header is long, too, if this one is. */
static void
take_turn(struct reading *r)
{
	const struct dkim *d = &r->dkim;
	if (r->large || d->in_body || d->kept.n + d->line.n + d->before.n <= HEADER_EACH)
		return;
	pthread_mutex_lock(&r->s->large);
	r->large = true;
}

/* A text that nobody signs is left once its header is known. */
static int
feed(void *target, struct span piece)
{
	struct reading *r = target;
	if (!r->chosen) {
		struct span header = header_run(piece);
		dkim_feed(&r->dkim, header);
		take_turn(r);
		piece = span_skip(piece, header.n);
		if (r->dkim.in_body)
			choose(r);
	}
	if (r->chosen && !is_to_be_signed(r))
		return -ECANCELED;
	dkim_feed(&r->dkim, piece);
	return 0;
}

/* 0 or -errno. */
static int
read_text(struct reading *r)
{
	struct digest d = digest_begin();
	dkim_begin(&r->dkim, digest_add, &d);
	int err = body_read(r->t, feed, r);
	dkim_end(&r->dkim);
	if (!r->chosen) /* there is no body */
		choose(r);
	bool digested = digest_end(&d, r->body);
	return err < 0 ? err : digested ? 0 : -ENOMEM;
}

/* ---- the fields -------------------------------------------------------------------------- */

/* One key signs. 0 or -errno. */
static int
add_one(struct signer *s, const struct reading *r, const struct dkim_key *key, size_t row,
	struct buf *out)
{
	struct digest d = digest_begin();
	unsigned char hash[DKIM_HASH];
	uint8_t octets[SIGN_SIGNATURE];
	auto_buf field = buf_new(DKIM_FIELD_MAX), text = buf_new(DKIM_FIELD_MAX);
	dkim_write(&r->dkim, key, r->body, &field);
	dkim_signed(&r->dkim, buf_span(&field), digest_add, &d);
	if (!digest_end(&d, hash) || field.err < 0)
		return field.err < 0 ? field.err : -ENOMEM;
	int n = signer_ask(s, row, hash, octets);
	if (n < 0)
		return n;
	encode_base64_text(&text, (struct span){ (const char *)octets, (size_t)n });
	dkim_sign(&field, buf_span(&text));
	buf_add(out, buf_span(&field));
	return out->err;
}

static struct dkim_key
key_of(const struct reading *r, size_t row)
{
	int64_t now = clock_wall();
	return (struct dkim_key){ .domain = r->domain, .selector = r->s->keys.v[row].selector,
		.algorithm = r->s->hello.algorithm[row], .at = now,
		.until = r->s->lifetime > 0 ? now + r->s->lifetime : 0 };
}

/* All keys that were chosen. 0 or -errno. */
static int
add_all(struct signer *s, const struct reading *r, struct buf *out)
{
	int err = 0;
	for (int i = 0; i < r->keys.n && err == 0; i++) {
		struct dkim_key key = key_of(r, r->keys.key[i]);
		err = add_one(s, r, &key, r->keys.key[i], out);
	}
	return err;
}

/* It cannot be signed. DONE: it goes without all the same. */
static enum outcome
do_without(struct link *l, const struct signer *s, struct buf *room, const char *why)
{
	buf_reset(room);
	if (s->missing == DKIM_MISSING_SEND) {
		l->lessons |= LESSON_UNSIGNED;
		return DONE;
	}
	link_say(l, CANNOT_SIGN, why);
	return SOFT;
}

static enum outcome
begin_with(struct link *l, struct text *t, struct span fields)
{
	t->signature = fields;
	t->length += fields.n;
	if (l->host.limit.size == 0 || t->length <= (uint64_t)l->host.limit.size)
		return DONE;
	link_say(l, BODY_NOT_SENT,
		"552 5.3.4 over the limit the host announced, once it is signed");
	return HARD;
}

/* The text was read, with this result: signs it, if that is to be. */
static enum outcome
sign(struct link *l, struct text *t, const struct reading *r, int err, struct buf *room)
{
	struct signer *s = l->terms.signer;
	const struct dkimkeys_row *broken = r->keys.broken;
	char why[LIMIT_LOG_TEXT];
	if (err < 0 && err != -ECANCELED)
		return do_without(l, s, room, strerror(-err));
	if (!is_to_be_signed(r))
		return DONE;
	if (r->dkim.err == -E2BIG)
		return do_without(l, s, room, "the header is too long to be signed");
	if (broken != NULL) {
		snprintf(why, sizeof(why), "the key %s of %s cannot be used (dkim_keys, line %u)",
			broken->selector, broken->domain, broken->line);
		return do_without(l, s, room, why);
	}
	err = r->dkim.err < 0 ? r->dkim.err : add_all(s, r, room);
	return err < 0 ? do_without(l, s, room, strerror(-err))
		       : begin_with(l, t, buf_span(room));
}

enum outcome
signature_add(struct link *l, struct text *t, struct buf *room)
{
	struct signer *s = l->terms.signer;
	enum conf_dkim_sign how = l->terms.conf->dkim;
	if (s == NULL || how == DKIM_SIGN_NO || link_is_final(l) || !t->m->env.ours)
		return DONE;
	if (s->blind)
		return do_without(l, s, room, "the table of keys cannot be read (dkim_keys)");
	struct reading *r = malloc(sizeof(*r));
	if (r == NULL)
		return do_without(l, s, room, strerror(ENOMEM));
	*r = (struct reading){ .s = s, .t = t, .again = how == DKIM_SIGN_AGAIN };
	*room = buf_new((size_t)DKIMKEYS_EACH * DKIM_FIELD_MAX);
	enum outcome o = sign(l, t, r, read_text(r), room);
	dkim_free(&r->dkim);
	if (r->large)
		pthread_mutex_unlock(&s->large);
	free(r);
	return o;
}
