#include "conf/recipient_map.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/file.h"

#define BETWEEN " \t,"

enum { QUOTED = 100 };

/* What stands behind the colon; what is before it becomes *key. */
static struct span
cut_line(struct span line, struct span *key)
{
	*key = span_trim(span_cut(&line, ':'));
	return span_trim(line);
}

static bool
is_at_domain(struct span s)
{
	return s.n > 1 && s.p[0] == '@' && address_is_domain(span_skip(s, 1));
}

/* A local part, which is an address with any domain. */
static bool
is_name(struct span s)
{
	struct address a;
	auto_buf b = buf_new(LIMIT_ADDRESS);
	buf_add(&b, s);
	buf_puts(&b, "@x");
	return memchr(s.p, '@', s.n) == NULL && address_mailbox(buf_span(&b), &a) == 0;
}

static bool
is_key(struct span s)
{
	struct address a;
	return is_at_domain(s) || is_name(s) || address_mailbox(s, &a) == 0;
}

/* What is wrong with the right side; NULL: nothing. */
static const char *
check_targets(struct span key, struct span targets)
{
	size_t n = 0;
	for (struct span word; (word = span_word(&targets, BETWEEN)).n > 0; n++) {
		struct address a;
		bool domain = word.p[0] == '@';
		if (domain ? !is_at_domain(word) : address_mailbox(word, &a) < 0)
			return "not an address";
		if (!span_is_ascii(word) || word.n > LIMIT_PATH - 2)
			return "an address beyond ASCII, or too long";
		if (domain && key.p[0] != '@')
			return "@domain stands behind @domain only";
	}
	return n == 0 ? "no address behind the colon"
		: n > RECIPIENT_MAP_TARGETS ? "more than 100 addresses" : NULL;
}

const char *
recipient_map_check(struct span line)
{
	struct span key, targets = cut_line(line, &key);
	if (span_has_stray_cr(line))
		return "a CR that ends no line";
	if (span_says_nothing(line))
		return NULL;
	if (memchr(line.p, ':', line.n) == NULL)
		return "no colon behind the recipient";
	return is_key(key) ? check_targets(key, targets) : "not an address, @domain, or name";
}

static int
check_text(const char *path, struct span text, struct buf *why)
{
	text = span_without_mark(text);
	for (int number = 1; text.n > 0; number++) {
		struct span line = span_line(&text);
		const char *wrong = recipient_map_check(line);
		if (wrong == NULL)
			continue;
		buf_printf(why, "recipient_map %s:%d: %s: \"", path, number, wrong);
		buf_escape(why, line, QUOTED);
		buf_puts(why, "\"");
		return -EINVAL;
	}
	return 0;
}

int
recipient_map_load(const char *path, struct buf *out, struct buf *why)
{
	auto_fd fd = file_open(path);
	auto_buf text = buf_new(RECIPIENT_MAP_FILE);
	char piece[4096];
	ssize_t n = fd < 0 ? -1 : 0;
	while (fd >= 0 && text.err == 0 && (n = read(fd, piece, sizeof(piece))) > 0)
		buf_add(&text, (struct span){ piece, (size_t)n });
	int err = n < 0 ? -errno : text.err;
	if (err < 0) {
		buf_printf(why, "recipient_map %s: %s", path,
			err == -E2BIG ? "larger than 64 KiB" : strerror(-err));
		return err;
	}
	err = check_text(path, buf_span(&text), why);
	if (err < 0)
		return err;
	buf_free(out);
	*out = text;
	text = buf_new(0);
	return 0;
}

/* What stands behind a key; p is NULL: it is not there. */
static struct span
find_key(struct span map, struct span wanted)
{
	map = span_without_mark(map);
	while (map.n > 0) {
		struct span line = span_line(&map), key, targets = cut_line(line, &key);
		if (!span_says_nothing(line) && address_same(key, wanted))
			return targets;
	}
	return (struct span){ 0 };
}

static bool
is_ours(struct span domain, const char *hostname)
{
	return span_ieq(domain, span_of(hostname)) || span_ieq(domain, span_of("localhost"));
}

bool
recipient_map_find(struct span map, const char *hostname, const struct address *to, struct buf *out)
{
	struct span at = span_skip(to->whole, to->local.n);
	struct span found = find_key(map, to->whole);
	if (found.p == NULL && is_ours(to->domain, hostname))
		found = find_key(map, to->local);
	if (found.p == NULL && at.n > 0)
		found = find_key(map, at);
	for (struct span rest = found, word; (word = span_word(&rest, BETWEEN)).n > 0;) {
		if (word.p[0] == '@')
			buf_add(out, to->local);
		buf_add(out, word);
		buf_puts(out, "\n");
	}
	return found.p != NULL;
}
