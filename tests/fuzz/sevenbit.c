/*
 * What comes out of sevenbit is text of 7 bits, by a look that knows nothing of MIME; a second time
 * nothing changes; and how the message is read makes no difference (A21).
 */
#include "fuzz.h"

#include <errno.h>

#include "lib/buf.h"
#include "mail/sevenbit.h"

struct source {
	struct span text;
	size_t most; /* octets of one read */
};

static ssize_t
read_source(const void *ctx, uint64_t offset, char *p, size_t n)
{
	const struct source *s = ctx;
	must(offset <= s->text.n);
	if (n > s->text.n - offset)
		n = (size_t)(s->text.n - offset);
	if (n > s->most)
		n = s->most;
	if (n > 0)
		memcpy(p, s->text.p + offset, n);
	return (ssize_t)n;
}

static int
collect(void *target, struct span piece)
{
	buf_add(target, piece);
	return 0;
}

static int
convert(struct span text, size_t most, struct buf *out)
{
	struct source s = { text, most };
	const char *why = NULL, *before = NULL;
	uint64_t length = 0;
	*out = buf_new(16 * text.n + 1024);
	int r = sevenbit_convert(read_source, &s, collect, out, &why);
	must(out->err == 0);
	must(r == 0 || r == -EILSEQ);
	must((why != NULL) == (r != 0));
	must(sevenbit_check(read_source, &s, &length, &before) == r && before == why);
	must(r != 0 || length == out->n);
	return r;
}

/* A line that is too long is one of a header, which goes as it came. */
static void
check_line(struct span line, struct span in)
{
	must(line.n <= LIMIT_TEXT_LINE || memmem(in.p, in.n, line.p, line.n) != NULL);
}

static void
check_text(struct span s, struct span in)
{
	size_t line = 0;
	for (size_t i = 0; i < s.n; i++) {
		must((unsigned char)s.p[i] <= 0x7f && s.p[i] != '\0');
		must(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
		must(s.p[i] != '\r' || (i + 1 < s.n && s.p[i + 1] == '\n'));
		if (s.p[i] != '\n')
			continue;
		check_line((struct span){ s.p + line, i - 1 - line }, in);
		line = i + 1;
	}
	check_line(span_skip(s, line), in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	struct buf out, again, torn;
	int r = convert(in, SIZE_MAX, &out);
	must(convert(in, 7, &torn) == r && span_eq(buf_span(&out), buf_span(&torn)));
	if (r == 0) {
		check_text(buf_span(&out), in);
		must(convert(buf_span(&out), SIZE_MAX, &again) == 0);
		must(span_eq(buf_span(&out), buf_span(&again)));
		buf_free(&again);
	}
	buf_free(&out);
	buf_free(&torn);
	return 0;
}
