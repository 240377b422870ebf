/* The dot reader: the same result however its input is split; what it accepts is well formed. */
#include "fuzz.h"

#include "lib/buf.h"
#include "mail/dot.h"

struct reading {
	enum dot_result result;
	size_t used;
	struct dot dot;
	struct buf body;
};

static void
collect(void *ctx, struct span piece)
{
	buf_add(ctx, piece);
}

static struct reading
read_in_pieces(struct span in, bool lenient, size_t piece)
{
	struct reading r = { .dot = dot_new(lenient), .body = buf_new(2 * in.n + 2) };
	r.result = DOT_MORE;
	while (r.result == DOT_MORE && r.used < in.n) {
		struct span part = span_skip(in, r.used);
		size_t used;
		if (part.n > piece)
			part.n = piece;
		r.result = dot_read(&r.dot, part, &used, collect, &r.body);
		must(used <= part.n);
		must(r.result != DOT_MORE || used == part.n);
		r.used += used;
	}
	must(r.body.err == 0);
	return r;
}

/* CRLF only, whole lines at the end, no shorter than it can be. */
static void
check_body(struct span body)
{
	for (size_t i = 0; i < body.n; i++) {
		must(body.p[i] != '\n' || (i > 0 && body.p[i - 1] == '\r'));
		must(body.p[i] != '\r' || (i + 1 < body.n && body.p[i + 1] == '\n'));
	}
	must(body.n == 0 || body.p[body.n - 1] == '\n');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	for (int lenient = 0; lenient <= 1; lenient++) {
		struct reading whole = read_in_pieces(in, lenient, size);
		for (size_t piece = 1; piece <= 3; piece++) {
			struct reading r = read_in_pieces(in, lenient, piece);
			must(r.result == whole.result && r.used == whole.used);
			must(r.dot.bare == whole.dot.bare && r.dot.nul == whole.dot.nul);
			must(span_eq(buf_span(&r.body), buf_span(&whole.body)));
			buf_free(&r.body);
		}
		if (whole.result == DOT_END && !whole.dot.bare)
			check_body(buf_span(&whole.body));
		must(whole.result != DOT_BROKEN || whole.dot.bare);
		buf_free(&whole.body);
	}
	return 0;
}
