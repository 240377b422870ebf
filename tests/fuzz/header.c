/*
 * The walk over a header: the same parts however it is split, all octets in order, and each part
 * where such a one may be. What is heard is the same, too; and a Message-ID is one word for a
 * reader of the log.
 */
#include "fuzz.h"

#include "lib/buf.h"
#include "mail/eightbit.h"
#include "mail/hops.h"
#include "mail/message_id.h"

enum { TORN = 7, MORE = 64, ROOM = 8 };

/* What came of a header. */
struct heard {
	struct buf octets; /* all of them */
	struct buf parts;  /* a letter and the octets of each; pieces of one line are one */
	enum header_kind last;
	int hops;
	struct eightbit eightbit;
	char id[MESSAGE_ID_TEXT];
	char room[ROOM];
	struct header_value value;
};

static void
check_field(const struct heard *h, const struct header_part *p)
{
	struct span behind = span_skip(p->text, p->name.n);
	bool longer = h->last == HEADER_FIELD && h->octets.n > 0 && p->name.n == 0;
	must(p->text.n > 0 && p->text.n <= HEADER_NAME);
	must(longer || h->octets.n == 0 || h->octets.p[h->octets.n - 1] == '\n');
	must(longer || header_is_name(p->text.p[0]));
	if (p->name.n == 0)
		return;
	must(span_starts(p->text, p->name));
	for (size_t i = 0; i < p->name.n; i++)
		must(header_is_name(p->name.p[i]));
	must(span_eq(span_trim(behind), span_of(":")));
}

static void
note(struct heard *h, const struct header_part *p)
{
	if (p->kind == HEADER_FIELD)
		check_field(h, p);
	must(p->kind != HEADER_VALUE || h->last == HEADER_FIELD || h->last == HEADER_VALUE);
	must(p->kind != HEADER_VALUE || p->text.n > 0);
	must(p->kind != HEADER_END || p->text.n == 0 || span_eq(p->text, span_of("\r\n")));
	if (p->text.n > 0 && (p->kind != h->last || p->kind == HEADER_FIELD))
		buf_printf(&h->parts, "%d", (int)p->kind);
	buf_add(&h->parts, p->text);
	buf_add(&h->octets, p->text);
	if (p->text.n > 0)
		h->last = p->kind;
}

static void
hear(struct heard *h, struct span in, size_t most)
{
	struct header walk = { 0 };
	struct header_part part;
	struct message_id id;
	*h = (struct heard){ .octets = buf_new(in.n + MORE), .parts = buf_new(3 * in.n + MORE),
		.last = HEADER_END };
	message_id_begin(&id);
	while (in.n > 0) {
		struct span piece = { in.p, in.n < most ? in.n : most };
		in = span_skip(in, piece.n);
		while (header_next(&walk, &piece, &part)) {
			note(h, &part);
			hops_hear(&h->hops, &part);
			eightbit_hear(&h->eightbit, &part);
			message_id_hear(&id, &part);
			header_take(&h->value, &part, span_of("Subject"), h->room, sizeof(h->room));
		}
		must(piece.n == 0 || walk.over);
		buf_add(&h->octets, piece);
	}
	part = header_end(&walk);
	must(walk.over);
	buf_add(&h->octets, part.text);
	buf_add(&h->parts, part.text);
	message_id_text(&id, h->id);
	must(h->octets.err == 0 && h->parts.err == 0);
}

static void
release(struct heard *h)
{
	buf_free(&h->octets);
	buf_free(&h->parts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	struct heard whole, torn;
	hear(&whole, in, SIZE_MAX);
	must(span_eq(buf_span(&whole.octets), in));
	for (const char *p = whole.id; *p != '\0'; p++)
		must(*p > ' ' && *p <= '~' && strchr("<>\"", *p) == NULL);
	for (size_t most = 1; most <= TORN; most += TORN - 1) {
		hear(&torn, in, most);
		must(span_eq(buf_span(&torn.octets), in));
		must(span_eq(buf_span(&torn.parts), buf_span(&whole.parts)));
		must(torn.hops == whole.hops && torn.eightbit.found == whole.eightbit.found);
		must(torn.eightbit.over == whole.eightbit.over);
		must(strcmp(torn.id, whole.id) == 0);
		must(torn.value.fields == whole.value.fields);
		must(span_eq((struct span){ torn.room, torn.value.n },
			(struct span){ whole.room, whole.value.n }));
		release(&torn);
	}
	release(&whole);
	return 0;
}
