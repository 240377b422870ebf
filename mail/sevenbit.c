/*
 * A walk through the parts of a message by offsets. A single part is looked at up to its end before
 * its header is written, because the header says how it is encoded; nothing is kept but the
 * boundaries of the multiparts that we are in.
 */
#include "mail/sevenbit.h"

#include <errno.h>

#include "mail/encode.h"
#include "mail/mime.h"
#include "mail/words.h"

enum { NO_BOUNDARY = -1 };

static const struct span crlf = { "\r\n", 2 };

struct walk {
	struct pieces in;
	sevenbit_sink *sink;
	void *target;
	int err;          /* of the sink; sticks */
	const char *why;  /* it cannot be converted */

	uint64_t at;      /* what is read next */
	int parts;        /* that we are in */
	struct mime_boundary boundary[LIMIT_MIME_NESTED];
	int boundaries;
	int found;        /* the boundary that stands at `at`; NO_BOUNDARY: that is the end */
	bool closing;     /* it is the last of its multipart */

	char field[LIMIT_MIME_FIELD]; /* value of the field being read, or all of one that is put */
	size_t field_n;
};

/* Header and kind of a message or body part. */
struct entity {
	uint64_t start, end; /* of the fields */
	uint64_t body;       /* behind the empty line, if there is one */
	bool message;        /* and not a body part */
	int seen[MIME_FIELD_KINDS];
	enum mime_type type;
	enum mime_encoding encoding;
	struct mime_boundary boundary;
	bool old;            /* a message without any MIME field */
	bool unversioned;    /* a message without the field that says that it is MIME */
};

/* What stands between a header or boundary and the next boundary. */
struct content {
	uint64_t start, end; /* without the CRLF that belongs to the boundary */
	bool unfit;          /* cannot be sent as it is */
	bool binary;         /* holds NUL or CR or LF that is not CRLF */
};

static int
cannot(struct walk *w, const char *why)
{
	w->why = why;
	return -EILSEQ;
}

/* As pieces_at; nothing more is read once the sink has failed. */
static int
piece_at(struct walk *w, uint64_t at, struct span *piece)
{
	return w->err < 0 ? w->err : pieces_at(&w->in, at, piece);
}

/* ---- writing */

static void
put(void *walk, struct span s)
{
	struct walk *w = walk;
	if (w->err == 0 && s.n > 0)
		w->err = w->sink(w->target, s);
}

static void
put_text(struct walk *w, const char *s)
{
	put(w, span_of(s));
}

static void
encode_nothing(struct encoder *e, struct span piece)
{
	e->sink(e->ctx, piece);
}

static void
end_nothing(struct encoder *e, bool end_line)
{
	(void)e;
	(void)end_line;
}

/* Passes on what lies between two offsets. */
static int
pass(struct walk *w, uint64_t from, uint64_t to, struct encoder *e,
	void (*encode)(struct encoder *, struct span))
{
	while (from < to) {
		struct span piece;
		int r = piece_at(w, from, &piece);
		if (r < 0)
			return r;
		if (piece.n == 0)
			return -EIO; /* it was longer when we looked at it */
		if (piece.n > to - from)
			piece.n = (size_t)(to - from);
		encode(e, piece);
		from += piece.n;
	}
	return 0;
}

static int
copy(struct walk *w, uint64_t from, uint64_t to)
{
	struct encoder e = encoder_new(put, w);
	return pass(w, from, to, &e, encode_nothing);
}

/* ---- boundaries */

/*
 * Is the line that begins here a boundary? Then w->found. Where only some readers would see one, or
 * see another one, the message cannot be converted.
 */
static int
look_for_boundary(struct walk *w, struct span line)
{
	bool closing;
	w->found = NO_BOUNDARY;
	for (int i = 0; i < w->boundaries; i++) {
		if (!mime_is_boundary(line, &w->boundary[i], &closing))
			continue;
		if (w->found != NO_BOUNDARY)
			return cannot(w, "two multiparts have the same boundary");
		w->found = i;
		w->closing = closing;
	}
	if (w->found != NO_BOUNDARY && (piece_is_torn(line) || piece_is_binary(line)))
		return cannot(w, "the end of a boundary line is not CRLF");
	return 0;
}

/* Reads on to the next boundary or the end. */
static int
scan(struct walk *w, struct content *c)
{
	struct span piece = { "", 0 };
	uint64_t line = w->at;    /* where it begins */
	size_t end = 0;           /* octets of the line end before it */
	*c = (struct content){ .start = w->at };
	for (;;) {
		int r = piece_at(w, w->at, &piece);
		if (r == 0 && w->at == line)
			r = look_for_boundary(w, piece);
		if (r < 0)
			return r;
		if (piece.n == 0 || (w->at == line && w->found != NO_BOUNDARY))
			break;
		struct span text = piece_text(piece);
		bool binary = piece_is_binary(piece);
		w->at += piece.n;
		c->binary = c->binary || binary;
		c->unfit = c->unfit || binary || !span_is_ascii(text) ||
			w->at - (piece.n - text.n) - line > LIMIT_TEXT_LINE;
		if (piece.p[piece.n - 1] == '\n') {
			line = w->at;
			end = piece.n - text.n;
		}
	}
	bool at_boundary = piece.n > 0;
	if (at_boundary && w->at > c->start && end == 0)
		return cannot(w, "a boundary line does not follow CRLF");
	c->end = at_boundary ? w->at - end : w->at;
	return 0;
}

/* ---- headers */

/* A line, or a piece of one that is too long: such lines go as they came. `begins`: its start. */
static int
check_header_line(struct walk *w, struct span line, bool begins, bool first)
{
	if ((!piece_ends_line(line) && !piece_is_torn(line)) || piece_is_binary(line))
		return cannot(w, "a line of a header is not whole");
	if (begins && (mime_is_folded(line) ? first : !mime_is_field(line)))
		return cannot(w, "a line of a header is not a field");
	return 0;
}

/* Does the second field mean for us what the first one does? */
static int
take_again(struct walk *w, bool same)
{
	return same ? 0 : cannot(w, "a MIME field occurs twice");
}

static int
take_type(struct walk *w, struct entity *e, struct span value)
{
	struct mime_boundary b = { .n = 0 };
	enum mime_type type = mime_type(value, &b);
	if (type == MIME_UNTYPED)
		type = e->type;
	if (e->seen[MIME_FIELD_TYPE]++ > 0)
		return take_again(w, type == e->type && type != MIME_UNKNOWN &&
			b.n == e->boundary.n && memcmp(b.text, e->boundary.text, b.n) == 0);
	e->type = type;
	e->boundary = b;
	return 0;
}

static int
take_encoding(struct walk *w, struct entity *e, struct span value)
{
	enum mime_encoding encoding = mime_encoding(value);
	if (e->seen[MIME_FIELD_ENCODING]++ > 0)
		return take_again(w, encoding == e->encoding);
	e->encoding = encoding;
	return 0;
}

/*
 * The field is complete. A version means nothing in a body part; one that is not 1.0 is as none,
 * and goes if that is added.
 */
static int
take_field(struct walk *w, struct entity *e, enum mime_field f)
{
	struct span value = { w->field, w->field_n };
	switch (f) {
	case MIME_FIELD_VERSION:
		e->seen[MIME_FIELD_VERSION] += e->message && mime_is_version(value);
		return 0;
	case MIME_FIELD_TYPE:
		return take_type(w, e, value);
	case MIME_FIELD_ENCODING:
		return take_encoding(w, e, value);
	default:
		return 0;
	}
}

/* Adds a line to the value of a field. */
static int
keep(struct walk *w, struct span text)
{
	if (text.n > sizeof(w->field) - w->field_n)
		return cannot(w, "a MIME field is too long");
	memcpy(w->field + w->field_n, text.p, text.n);
	w->field_n += text.n;
	return 0;
}

static int
read_field_line(struct walk *w, struct entity *e, struct span line, bool begins, enum mime_field *f)
{
	int r = check_header_line(w, line, begins, w->at == e->start);
	struct span text = piece_text(line);
	if (r == 0 && begins && !mime_is_folded(line)) {
		r = take_field(w, e, *f);
		*f = mime_field(line);
		w->field_n = 0;
		text = span_skip(text, *f != MIME_FIELD_OTHER ? strlen(mime_names[*f]) : 0);
	}
	return r == 0 && *f != MIME_FIELD_OTHER ? keep(w, text) : r;
}

/* Reads the fields and the empty line, which is missing where there is no body. */
static int
read_header(struct walk *w, struct entity *e)
{
	enum mime_field f = MIME_FIELD_OTHER;
	struct span line;
	bool begins = true;
	int r = 0;
	for (; r == 0; w->at += line.n) {
		r = piece_at(w, w->at, &line);
		if (r == 0 && begins)
			r = look_for_boundary(w, line);
		if (r == 0 && line.n == 0 && !begins)
			r = cannot(w, "a line of a header is not whole");
		if (r < 0 || line.n == 0 ||
			(begins && (w->found != NO_BOUNDARY || span_eq(line, crlf))))
			break;
		r = read_field_line(w, e, line, begins, &f);
		begins = piece_ends_line(line);
	}
	if (r < 0)
		return r;
	e->end = w->at;
	w->at += span_eq(line, crlf) ? crlf.n : 0;
	e->body = w->at;
	return take_field(w, e, f);
}

/*
 * A message without MIME fields is text. One with some, but not the version, means what they say:
 * scripts forget it, and all readers know.
 */
static void
note_version(struct entity *e)
{
	e->unversioned = e->message && e->seen[MIME_FIELD_VERSION] == 0;
	e->old = e->unversioned && e->seen[MIME_FIELD_TYPE] + e->seen[MIME_FIELD_ENCODING] == 0;
}

/* Does another field stand for this line, which begins one, from now on? */
static bool
is_replaced(const struct entity *e, struct span line, const char *encoding, bool mime)
{
	enum mime_field f = mime_field(line);
	return (f == MIME_FIELD_ENCODING && encoding != NULL) ||
		(f == MIME_FIELD_VERSION && mime && e->unversioned);
}

/* Where a field ends that begins here, and whether it has 8-bit octets. */
static int
find_end(struct walk *w, const struct entity *e, uint64_t start, uint64_t *end, bool *eight)
{
	bool begins = true;
	*eight = false;
	for (*end = start; *end < e->end;) {
		struct span line;
		int r = piece_at(w, *end, &line);
		if (r < 0)
			return r;
		if (begins && *end > start && !mime_is_folded(line))
			break;
		*eight = *eight || !span_is_ascii(line);
		*end += line.n;
		begins = piece_ends_line(line);
	}
	return 0;
}

static void
gather(struct encoder *e, struct span piece)
{
	struct walk *w = e->ctx;
	if (piece.n <= sizeof(w->field) - w->field_n) {
		memcpy(w->field + w->field_n, piece.p, piece.n);
		w->field_n += piece.n;
	}
}

static int
put_words(struct walk *w, uint64_t start, uint64_t end)
{
	struct encoder e = encoder_new(put, w);
	w->field_n = 0;
	int r = end - start > sizeof(w->field) ? 0 : pass(w, start, end, &e, gather);
	if (r < 0)
		return r;
	return words_put((struct span){ w->field, w->field_n }, put, w) ? 0
		: cannot(w, "8-bit octets in a header field");
}

/*
 * The header and the empty line, with another encoding if one is given. `mime`: what it says of the
 * content must be believed from now on.
 */
static int
put_header(struct walk *w, const struct entity *e, const char *encoding, bool mime)
{
	for (uint64_t at = e->start, end; at < e->end; at = end) {
		struct span line;
		bool eight;
		int r = find_end(w, e, at, &end, &eight);
		if (r == 0)
			r = piece_at(w, at, &line);
		if (r == 0 && !is_replaced(e, line, encoding, mime))
			r = eight ? put_words(w, at, end) : copy(w, at, end);
		if (r < 0)
			return r;
	}
	if (mime && e->unversioned)
		put_text(w, "MIME-Version: 1.0\r\n");
	if (encoding != NULL && e->old)
		put_text(w, "Content-Type: text/plain; charset=unknown-8bit\r\n");
	if (encoding != NULL) {
		put_text(w, "Content-Transfer-Encoding: ");
		put_text(w, encoding);
		put(w, crlf);
	}
	return copy(w, e->end, e->body);
}

/* ---- parts */

/* How the content of a single part is sent, and what its header says then (NULL: what it said). */
struct coding {
	const char *name;
	void (*piece)(struct encoder *, struct span);
	void (*end)(struct encoder *, bool end_line);
};

static const struct coding as_is = { NULL, encode_nothing, end_nothing };
static const struct coding label = { "7bit", encode_nothing, end_nothing };
static const struct coding requoted = { NULL, encode_requoted, end_nothing };
static const struct coding quoted = { "quoted-printable", encode_quoted, encode_quoted_end };
static const struct coding base64 = { "base64", encode_base64, encode_base64_end };

/* Is what the encoding says of no account, because there is no such encoding? */
static bool
is_uncoded(const struct entity *e)
{
	return e->encoding == MIME_7BIT || e->encoding == MIME_8BIT ||
		(e->encoding == MIME_ODD && e->type != MIME_DATA);
}

/* Why content that cannot be sent as it is may not be encoded; NULL: it may. */
static const char *
objection(const struct entity *e, const struct content *c)
{
	bool single = e->type == MIME_TEXT || e->type == MIME_DATA;
	bool again = e->encoding == MIME_QUOTED && single && !c->binary;
	if (!again && !is_uncoded(e))
		return "a part is not encoded as it says";
	if (e->type == MIME_SEALED)
		return "a part that may not be changed cannot be sent as it is";
	if (e->type == MIME_UNKNOWN)
		return "a part whose MIME fields are not understood cannot be sent as it is";
	return NULL;
}

static const struct coding *
choose(const struct entity *e, const struct content *c)
{
	if (!c->unfit)
		return e->encoding == MIME_8BIT ? &label : &as_is;
	if (e->encoding == MIME_QUOTED)
		return &requoted;
	return e->type == MIME_TEXT && !c->binary ? &quoted : &base64;
}

static int
single(struct walk *w, const struct entity *e)
{
	struct encoder out = encoder_new(put, w);
	struct content c;
	int r = scan(w, &c);
	if (r == 0 && c.unfit && objection(e, &c) != NULL)
		return cannot(w, objection(e, &c));
	const struct coding *to = choose(e, &c);
	if (r == 0)
		r = put_header(w, e, to->name, to != &as_is);
	if (r == 0)
		r = pass(w, c.start, c.end, &out, to->piece);
	if (r < 0)
		return r;
	to->end(&out, w->found == NO_BOUNDARY);
	return copy(w, c.end, w->at);
}

/*
 * What stands around the parts of a multipart, up to the next boundary. No reader decodes it, and
 * few show it; what cannot stand there is quoted, so that nothing is lost to a person who looks.
 */
static int
surroundings(struct walk *w, bool *unfit)
{
	struct encoder out = encoder_new(put, w);
	struct content c;
	int r = scan(w, &c);
	*unfit = c.unfit;
	if (r == 0 && c.binary)
		r = cannot(w, "what stands outside of the parts cannot be sent as it is");
	if (r < 0 || !c.unfit)
		return r < 0 ? r : copy(w, c.start, w->at);
	r = pass(w, c.start, c.end, &out, encode_quoted);
	if (r < 0)
		return r;
	encode_quoted_end(&out, w->found == NO_BOUNDARY);
	return copy(w, c.end, w->at);
}

static int
boundary_line(struct walk *w)
{
	struct span line;
	int r = piece_at(w, w->at, &line);
	if (r < 0)
		return r;
	put(w, line);
	w->at += line.n;
	return 0;
}

static int entity(struct walk *w, bool message, enum mime_type untyped);

static int
multipart(struct walk *w, const struct entity *e)
{
	enum mime_type untyped = e->type == MIME_DIGEST ? MIME_MESSAGE : MIME_TEXT;
	int mine = w->boundaries++;
	w->boundary[mine] = e->boundary;
	bool unfit;
	int r = surroundings(w, &unfit);
	if (r == 0 && w->found != mine && unfit) /* that is all there is, and around nothing */
		return cannot(w, "a boundary is missing");
	while (r == 0 && w->found == mine && !w->closing) {
		r = boundary_line(w);
		if (r == 0)
			r = entity(w, false, untyped);
	}
	if (r < 0)
		return r;
	w->boundaries--;
	if (w->found != mine)
		return 0; /* what holds it ends, and so does it */
	r = boundary_line(w);
	return r < 0 ? r : surroundings(w, &unfit);
}

/* A part that holds others; these are encoded, not the whole. Which of them is not known yet. */
static int
composite(struct walk *w, const struct entity *e)
{
	int r = put_header(w, e, e->encoding == MIME_8BIT ? label.name : NULL, true);
	if (r < 0)
		return r;
	return e->type == MIME_MESSAGE ? entity(w, true, MIME_TEXT) : multipart(w, e);
}

static bool
is_composite(const struct entity *e)
{
	return is_uncoded(e) && (e->type == MIME_MESSAGE ||
		e->type == MIME_MULTIPART || e->type == MIME_DIGEST);
}

/* A message or body part, up to the next boundary that is not its own. */
static int
entity(struct walk *w, bool message, enum mime_type untyped)
{
	struct entity e = { .start = w->at, .message = message, .type = untyped };
	if (w->parts == LIMIT_MIME_NESTED)
		return cannot(w, "parts are nested too deep");
	int r = read_header(w, &e);
	if (r < 0)
		return r;
	note_version(&e);
	w->parts++;
	r = is_composite(&e) ? composite(w, &e) : single(w, &e);
	w->parts--;
	return r;
}

int
sevenbit_convert(pieces_read *read, const void *source, sevenbit_sink *sink, void *target,
	const char **why)
{
	struct walk w = { .in = { .read = read, .source = source }, .sink = sink,
		.target = target };
	int r = entity(&w, true, MIME_TEXT);
	if (r == -EILSEQ && w.why != NULL)
		*why = w.why;
	return r < 0 ? r : w.err;
}

static int
count(void *target, struct span piece)
{
	uint64_t *n = target;
	*n += piece.n;
	return 0;
}

int
sevenbit_check(pieces_read *read, const void *source, uint64_t *length, const char **why)
{
	uint64_t n = 0;
	int r = sevenbit_convert(read, source, count, &n, why);
	if (r == 0)
		*length = n;
	return r;
}
