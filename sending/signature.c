#include "sending/signature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/alabel.h"
#include "mail/dkim.h"
#include "mail/encode.h"
#include "sending/openssl.h"
#include "sending/signer.h"

_Static_assert((int)DKIM_HASH == (int)SIGN_HASH, "a digest is a digest");

#define CANNOT_SIGN "DKIM"

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

/* A text that was read: its fields, and the digest of its body. */
struct reading {
	struct dkim dkim;
	unsigned char body[DKIM_HASH];
};

static int
feed(void *target, struct span piece)
{
	dkim_feed(target, piece);
	return 0;
}

/* 0 or -errno. */
static int
read_text(const struct text *t, struct reading *r)
{
	struct digest d = digest_begin();
	dkim_begin(&r->dkim, digest_add, &d);
	int err = body_read(t, feed, &r->dkim);
	dkim_end(&r->dkim);
	bool digested = digest_end(&d, r->body);
	if (err == 0 && !digested)
		err = -ENOMEM;
	return err < 0 ? err : r->dkim.err;
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

/* What a domain is signed as: as that of the row, or where it is "*" as itself. */
static struct dkim_key
key_of(const struct signer *s, size_t row, const char *domain)
{
	const struct dkimkeys_row *k = &s->keys.v[row];
	int64_t now = clock_wall();
	return (struct dkim_key){ .domain = strcmp(k->domain, "*") == 0 ? domain : k->domain,
		.selector = k->selector, .algorithm = s->hello.algorithm[row], .at = now,
		.until = s->lifetime > 0 ? now + s->lifetime : 0 };
}

/* All keys of a choice for a domain. 0 or -errno. */
static int
add_all(struct signer *s, const struct reading *r, const struct dkimkeys_choice *c,
	const char *domain, struct buf *out)
{
	for (int i = 0; i < c->n; i++) {
		struct dkim_key key = key_of(s, c->key[i], domain);
		if (dkim_has(&r->dkim, span_of(key.domain)))
			continue;
		int err = add_one(s, r, &key, c->key[i], out);
		if (err < 0)
			return err;
	}
	return 0;
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

static struct dkimkeys_choice
choose(const struct signer *s, const char *domain)
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
 * passed on; that domain, which may stand in `room`, becomes *domain.
 */
static struct dkimkeys_choice
choose_for(const struct signer *s, const struct text *t, const struct reading *r,
	char room[static ALABEL_DOMAIN], const char **domain)
{
	struct dkimkeys_choice c = choose(s, r->dkim.from);
	*domain = r->dkim.from;
	if (c.n > 0 || c.broken != NULL)
		return c;
	sender_domain(t->m->env.sender, room);
	*domain = room;
	return choose(s, room);
}

/* The text was read: signs it. */
static enum outcome
sign(struct link *l, struct text *t, const struct reading *r, struct buf *room)
{
	struct signer *s = l->terms.signer;
	char why[LIMIT_LOG_TEXT], envelope[ALABEL_DOMAIN] = "";
	const char *domain;
	struct dkimkeys_choice c = choose_for(s, t, r, envelope, &domain);
	if (c.broken != NULL && !dkim_has(&r->dkim, span_of(domain))) {
		snprintf(why, sizeof(why), "the key %s of %s cannot be used (dkim_keys, line %u)",
			c.broken->selector, c.broken->domain, c.broken->line);
		return do_without(l, s, room, why);
	}
	int err = add_all(s, r, &c, domain, room);
	return err < 0 ? do_without(l, s, room, strerror(-err))
		       : begin_with(l, t, buf_span(room));
}

/* It cannot be signed, and need not be if there is no key for it. */
static enum outcome
leave_out(struct link *l, struct text *t, const struct reading *r, struct buf *room)
{
	char envelope[ALABEL_DOMAIN] = "";
	const char *domain;
	struct dkimkeys_choice c = choose_for(l->terms.signer, t, r, envelope, &domain);
	if (c.n == 0 && c.broken == NULL)
		return DONE;
	return do_without(l, l->terms.signer, room, "the header is too long to be signed");
}

enum outcome
signature_add(struct link *l, struct text *t, struct buf *room)
{
	struct signer *s = l->terms.signer;
	if (s == NULL || l->terms.conf->dkim == CONF_NO || link_is_final(l) || !t->m->env.ours)
		return DONE;
	if (s->blind)
		return do_without(l, s, room, "the table of keys cannot be read (dkim_keys)");
	struct reading *r = malloc(sizeof(*r));
	if (r == NULL)
		return do_without(l, s, room, strerror(ENOMEM));
	*room = buf_new((size_t)DKIMKEYS_EACH * DKIM_FIELD_MAX);
	int err = read_text(t, r);
	enum outcome o = DONE;
	if (err == 0)
		o = sign(l, t, r, room);
	else if (err == -E2BIG)
		o = leave_out(l, t, r, room);
	else
		o = do_without(l, s, room, strerror(-err));
	dkim_free(&r->dkim);
	free(r);
	return o;
}
